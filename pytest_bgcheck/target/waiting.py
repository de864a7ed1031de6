"""Waits for the ends of jobs, and for services to be ready: one waiter for each target with running
jobs, a thread with one call that blocks on the target until any of them has something to tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..clocks import unix_s
from ..errors import Gone, NoAnswer, TargetError
from ..events import SHOWN
from ..model import Result, State, Tries
from . import recovery, replies
from .calls import QUESTION_CALL_S, Calls
from .records import Record, Records, Target, log_internal_error
from .threads import in_thread
from .transport import ask, ask_stream

INTERNAL_ERRORS = 3
"""After so many errors of ours in a row, in waiting for some jobs, these are unreachable."""

NO_SAMPLE = "no sample could be taken: its command ends with rc 126 or 127, as if it were not there"
"""Why a probe is given up that runs, and sees nothing."""

CHILD_CALL_S = 4
"""How long one call of a forked child waits on the target: it outlives the child there."""

IDLE_S = 1.0
"""The least time from one waiting call to the next, where several had nothing to tell."""

FIRST_IDLE_S = 0.05
"""The same after the first of these, which a job of another process may have ended."""

BATCH_S = 1.0
"""How long ended jobs are left to gather, while nobody waits for one, where a call has but one
reply."""


class Waiting:
    """The waiters of one run. The methods may be called from any thread."""

    def __init__(
        self,
        records: Records,
        calls: Calls,
    ) -> None:
        self._records = records
        self._calls = calls
        self._in_child = False

    def ensure(self, target: Target, new: Sequence[Record]) -> None:
        """Have a waiter for a target with running jobs.

        One that waits already is woken by each end from now on, if its call is there. But ``new``
        jobs may have ended before, even while the reply to their start was under way: they are
        asked about once, and again when that call has begun.
        """
        with self._records.changed:
            needed = bool(target.running) and not target.has_waiter and not self._records.closing
            target.has_waiter = target.has_waiter or needed
            self._records.changed.notify_all()

        def no_waiter() -> None:
            target.has_waiter = False  # the next job that runs here gets another

        if needed:
            in_thread(
                self._records,
                target,
                lambda: self._wait(target),
                lambda: list(target.running.values()),
                failed=no_waiter,
            )
        elif new:
            self._ask_about(target, new)

    def _ask_about(self, target: Target, jobs: Sequence[Record]) -> None:
        in_thread(self._records, target, lambda: self._ask_once(target, jobs), lambda: jobs)

    def _ask_once(self, target: Target, records: Sequence[Record]) -> None:
        """Take the results of those jobs that have ended already."""
        try:
            call = self._calls.wait(target, records, 0, False)
            reply = ask(target.transport, call, QUESTION_CALL_S)
        except TargetError as error:
            target.last_error = str(error)  # the waiter asks again
            return
        with self._records.changed:
            if not self._records.closing:
                self._records.take_reply(target, records, reply)

    def _wait(self, target: Target) -> None:
        """Collect the results of a target's jobs until none runs."""
        failures = bugs = idle = 0
        silent_since = 0.0
        while True:
            if not failures:
                self._settle_without_sample(target)
            with self._records.changed:
                self._settle_overdue(target, failures > 0)
                if self._records.closing or not target.running:
                    target.has_waiter = False
                    return
                records = list(target.running.values())
                unready = [record for record in records if record.may_get_ready]
            begun, began_at = self._calls.now_s(), unix_s()
            try:
                self._await_once(target, records)
            except Gone as error:
                self._records.settle_all(records, State.LOST, f"the target is gone: {error}")
                continue
            except Exception as error:
                failures += 1
                if isinstance(error, TargetError):
                    target.last_error = str(error)
                else:
                    # A bug of ours, perhaps in what has just come: the next reply may be good.
                    bugs += 1
                    target.last_error = log_internal_error(target, error)
                    if bugs >= INTERNAL_ERRORS:
                        self._records.settle_all(records, State.UNREACHABLE, target.last_error)
                        continue
                if failures == 1:
                    silent_since = began_at if isinstance(error, NoAnswer) else unix_s()
                tries = Tries(failures, silent_since, target.last_error)
                target.last_error = tries.text(unix_s())
                self._records.note_tries(records, tries)
                last = max(record.deadline_s for record in records)
                self._records.pause(self._calls.pause_s(failures, last) or 0.0)
                continue
            failures = bugs = 0
            told = any(r.result for r in records) or not all(r.may_get_ready for r in unready)
            idle = 0 if told else idle + 1
            if idle:
                # A target that cannot wait, for whatever reason, must not be asked without a pause.
                pause_s = min(IDLE_S, FIRST_IDLE_S * 2 ** min(idle - 1, 8))
                self._records.pause(max(0.0, begun + pause_s - self._calls.now_s()))
            if not target.transport.streams:
                self._records.pause(BATCH_S, lambda: target.waits > 0)

    def _await_once(self, target: Target, records: Sequence[Record]) -> None:
        """Make one call that waits on the target for any of its jobs, and take what it tells."""
        now = self._calls.now_s()
        soonest_s = min(record.deadline_s for record in records)
        expire_s, patience_s = recovery.await_patience(now, soonest_s)
        if self._in_child:
            expire_s = min(expire_s, CHILD_CALL_S)
        stream = target.transport.streams
        call = self._calls.wait(target, records, expire_s, stream)

        def take(reply: replies.Reply) -> None:
            with self._records.changed:
                if not self._records.closing:
                    self._records.take_reply(target, records, reply)

        def ask_about_others() -> None:
            # They were started since the call was made, and perhaps ended before it was there.
            with self._records.changed:
                others = [r for r in target.running.values() if r not in named]
            if others:
                self._ask_about(target, others)

        if stream:
            named = set(records)
            ask_stream(target.transport, call, patience_s, take, ask_about_others)
        else:
            take(ask(target.transport, call, patience_s))

    def _settle_without_sample(self, target: Target) -> None:
        """Settle the probes of which no sample was taken until their deadline, if the target says
        that they go on: then their command cannot be run there."""
        now = self._calls.now_s()
        with self._records.changed:
            probes = [r for r in target.running.values() if r.probe and r.may_get_ready]
            probes = [r for r in probes if r.ending_s is None and now >= r.deadline_s]
            if not probes or self._records.closing:
                return
        try:
            call = self._calls.tails(target, probes, 2 * SHOWN)
            reply = ask(target.transport, call, QUESTION_CALL_S)
        except TargetError:
            return
        self._records.take_reply(target, probes, reply)
        reports = {report.id: report for report in reply.reports}
        for record in probes:
            report = reports.get(record.spec.id)
            if report is not None and report.window is not None and not report.window.samples:
                result = Result(
                    State.NOT_STARTED, None, report.running_s, 0, NO_SAMPLE, report.stdout,
                    report.stderr, window=report.window,
                )  # fmt: skip
                self._records.settle(record, result)

    def _settle_overdue(self, target: Target, failing: bool) -> None:
        """Settle the jobs whose deadline is over. ``failing``: the last call has failed."""
        now = self._calls.now_s()
        for record in list(target.running.values()):
            if now >= record.deadline_s:
                running = "past its deadline the target still reports it as running"
                if record.may_get_ready and record.ending_s is None:
                    no_sample = ", and its first sample has not ended"
                    running += no_sample if record.probe is not None else ", and not as ready"
                detail = target.last_error if failing else running
                self._records.settle(record, Result(State.UNREACHABLE, detail=detail))

    def go_on_in_child(self) -> None:
        """Be those of a forked child."""
        self._in_child = True
