"""Starts jobs and waits for their ends, in threads.

Each target (a host, as one user) has at most one waiter: a thread with one call that blocks on the
target until any of its jobs ends. Starts run in threads of their own, so that only who asks for a
result waits. All threads are daemons: one that is stuck in a call is left behind.

What is known of jobs and targets is in `records`, and changes under its condition only.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..clocks import monotonic_s, unix_s
from ..errors import BadReply, Gone, NoAnswer, Refused, TargetError
from ..ledger import RUN_ENDED
from ..model import Result, State, Tries
from ..originals import threading
from . import recovery, replies, requests
from .calls import QUESTION_CALL_S, Calls
from .cleaner import Cleaner
from .commands import make_commands
from .records import HeldBack, Record, Records, StartedElsewhere, Target, log_internal_error
from .transport import Call, ask, ask_stream

START_TURN_S = 10.0
"""How long a host waits for its turn among ``forks``: those that do not answer delay no others."""

INTERNAL_ERRORS = 3
"""After so many errors of ours in a row, in waiting for some jobs, these are unreachable."""

CHILD_CALL_S = 4
"""How long one call of a forked child waits on the target: it outlives the child there."""

IDLE_S = 1.0
"""The least time from one waiting call to the next, where the first had nothing to tell."""

_JITTER = random.Random().random
"""Not the module's own numbers: a test that has seeded them shall get what it expects."""

BATCH_S = 1.0
"""How long ended jobs are left to gather, while nobody waits for one, where a call has but one
reply."""


class Runner:
    """The jobs of one run, on all its targets. The methods may be called from any thread.

    ``run_id`` is the run's id (letters and digits), ``base`` the directory for files on the targets
    (empty: theirs to say), ``forks`` the number of hosts started or cleaned at once. What is called
    back: see `Records`. ``held_back`` None: every job is started when it is submitted.
    """

    def __init__(
        self,
        run_id: str,
        *,
        base: str = "",
        forks: int = 32,
        shell: str = "/bin/sh",
        clock: Callable[[], float] = monotonic_s,
        jitter: Callable[[], float] = _JITTER,
        on_start: Callable[[Record], None] = lambda record: None,
        on_ready: Callable[[Record], None] = lambda record: None,
        on_end: Callable[[Record], None] = lambda record: None,
        on_want: Callable[[Record], None] = lambda record: None,
        on_tries: Callable[[Sequence[Record], Tries | None], None] = lambda records, tries: None,
        on_unexpected: Callable[[str], None] = lambda line: None,
        held_back: HeldBack | None = None,
    ) -> None:
        self.run_id = run_id
        self._held_back = held_back
        self.records = Records(
            on_start=on_start, on_ready=on_ready, on_end=on_end, on_want=on_want,
            on_tries=on_tries, on_unexpected=on_unexpected,
        )  # fmt: skip
        self._calls = Calls(run_id, base, forks, shell)
        cleaner = Cleaner(self.records, self._calls, clock, jitter)
        self.stop, self.close = cleaner.stop, cleaner.close
        self.settle_starts, self.no_test_waits = cleaner.settle_starts, cleaner.no_test_waits
        self._clock = clock
        self._jitter = jitter
        self._in_child = False
        self._without_threads: dict[Target, list[Record]] = {}
        self._unreachable: dict[str, str] = {}

    # --- starting -----------------------------------------------------------------------------

    def submit(self, jobs: Iterable[tuple[requests.Spec, Target]]) -> list[Record]:
        """Start jobs in the background and return their records, in this order, at once.

        A job that is known already is not started again, and one that is held back not yet. Each
        target gets one call, or as few as the size of a request allows.
        """
        new, result = [], []
        with self.records.changed:
            for spec, target in jobs:
                record = self.records.get(target, spec.id)
                if record is None:
                    held_back = self._held_back is not None and self._held_back.holds(spec, target)
                    record = Record(spec, target, held_back=held_back)
                    self.records.add(record)
                    new.append(record)
                result.append(record)
        self._start_new(new)
        return result

    def release(self, records: Iterable[Record]) -> None:
        """Start those of some jobs that are held back."""
        self._start_new(self.records.release(records))

    def _start_new(self, records: Iterable[Record]) -> None:
        """Start new jobs, or attach to them, unless they are held back."""
        batches: dict[Target, list[Record]] = {}
        attached: dict[Target, list[Record]] = {}
        with self.records.changed:
            for record in records:
                if self.records.closing:
                    self.records.settle(record, Result(State.CANCELLED, detail=RUN_ENDED))
                elif record.held_back:
                    continue
                elif self.records.attach(record):
                    attached.setdefault(record.target, []).append(record)
                else:
                    batches.setdefault(record.target, []).append(record)
            for target in batches:
                target.starting += 1
                target.start_requested = True
        for target, batch in batches.items():
            self._in_thread(self._start, target, batch)
        for target, started in attached.items():
            self._ensure_waiter(target, started)

    def started_elsewhere(
        self, target: Target, directory: bytes, terms: Mapping[str, str],
        commands: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Take note that another process of the run has started jobs on a target.

        ``terms``, and ``commands`` that functions have made, are by id. The jobs are awaited once
        they are submitted, without asking for their start again; but not if they are submitted with
        other terms, for the target to refuse.
        """
        now = self._clock()
        jobs = {id: StartedElsewhere(terms[id], now, commands.get(id, "")) for id in terms}
        self.release(self.records.note_elsewhere(target, directory, jobs))

    def _ensure_waiter(self, target: Target, new: Sequence[Record]) -> None:
        """Have a waiter for a target with running jobs.

        One that waits already is woken by each end from now on, if its call is there. But ``new``
        jobs may have ended before, even while the reply to their start was under way: they are
        asked about once, and again when that call has begun.
        """
        with self.records.changed:
            needed = bool(target.running) and not target.has_waiter and not self.records.closing
            target.has_waiter = target.has_waiter or needed
            self.records.changed.notify_all()
        if needed:
            self._in_thread(self._wait, target, ())
        elif new:
            self._in_thread(self._ask_once, target, new)

    def _ask_once(self, target: Target, records: Sequence[Record]) -> None:
        """Take the results of those jobs that have ended already."""
        try:
            call = self._calls.wait(target, records, 0, False)
            reply = ask(target.transport, call, QUESTION_CALL_S)
        except TargetError as error:
            target.last_error = str(error)  # the waiter asks again
            return
        with self.records.changed:
            if not self.records.closing:
                self.records.take_reply(target, records, reply)

    def _in_thread(
        self, work: Callable[..., None], target: Target, records: Sequence[Record]
    ) -> None:
        """Do some work for jobs of a target in a thread, which must not leave them unsettled."""

        def guarded() -> None:
            try:
                work(target, records)
            except Exception as error:
                failed(error)
            finally:
                over()

        def failed(error: Exception) -> None:
            with self.records.changed:
                detail = log_internal_error(target, error)
                concerned = records or list(target.running.values())
                self.records.settle_all(concerned, State.UNREACHABLE, detail)
                if work == self._wait:
                    target.has_waiter = False  # the next job that runs here gets another

        def over() -> None:
            if work == self._start:
                with self.records.changed:
                    target.starting -= 1
                    self.records.changed.notify_all()

        try:
            threading.Thread(target=guarded, name=f"bgcheck {target.label}", daemon=True).start()
        except RuntimeError as error:  # no more threads
            failed(error)
            over()

    def _start(self, target: Target, records: Sequence[Record]) -> None:
        """Start some jobs, first those that need no function to make their command."""
        self._start_all(target, [r for r in records if r.spec.task.has_command])
        rest = [r for r in records if not r.spec.task.has_command and r.state is State.PENDING]
        if target.identity not in self._unreachable:
            rest, attached = make_commands(self.records, target, rest)
            self._ensure_waiter(target, attached)
        self._start_all(target, rest)

    def _start_all(self, target: Target, records: Sequence[Record]) -> None:
        for call, batch in self._calls.starts(target, records):
            if not self._start_batch(target, call, batch):
                rest = [r for r in records if r.state is State.PENDING]
                if self.records.closing:  # which has cut the tries short: it proves nothing
                    self.records.cancel_all(rest)
                else:
                    self.records.settle_all(rest, State.UNREACHABLE, target.last_error)
                break

    def _start_batch(self, target: Target, call: Call, records: Sequence[Record]) -> bool:
        """Ask for the start of some jobs until it is answered. Return False if it never was."""
        if target.identity in self._unreachable:
            given_up = self._unreachable[target.identity]
            target.last_error = f"this host was given up before: {given_up}"
            return False
        longest = max([r.timeout_s for r in records], default=recovery.START_PATIENCE_S)
        deadline_s = recovery.start_deadline(self._clock(), longest)

        def start() -> replies.Reply:
            with self._calls.turn(START_TURN_S):
                patience_s = recovery.start_patience(self._clock(), deadline_s, len(records))
                reply = ask(target.transport, call, patience_s)
            self._calls.check_start(target, records, reply)
            return reply

        try:
            reply = self._repeat(start, records, deadline_s)
        except Refused as error:
            target.last_error = str(error)
            self.records.settle_all(records, State.NOT_STARTED, str(error))
            return True
        except TargetError as error:
            tries = next((record.tries for record in records if record.tries is not None), None)
            target.last_error = tries.text(unix_s()) if tries else str(error)
            if not self.records.closing and target.directory is None:
                # No later job is tried there, nor one as another user.
                self._unreachable.setdefault(target.identity, target.last_error)
            return False
        self.records.take_start(target, records, reply, self._clock())
        self._ensure_waiter(target, [r for r in records if r.result is None])
        return True

    def _repeat(
        self, call: Callable[[], replies.Reply], records: Sequence[Record], deadline_s: float
    ) -> replies.Reply:
        """Repeat a call about some jobs until it gives a reply.

        Raises the last TargetError at the deadline.
        """
        foreign = 0
        began_at = unix_s()
        for failures in itertools.count(1):
            try:
                return call()
            except Refused:
                raise
            except TargetError as error:
                self.records.note_tries(records, Tries(failures, began_at, str(error)))
                foreign = foreign + 1 if isinstance(error, BadReply) else 0
                if foreign >= recovery.FOREIGN_ANSWERS:
                    raise Refused(f"the answers do not come from /bin/sh: {error}") from error
                pause_s = recovery.pause_s(failures, self._clock(), deadline_s, self._jitter())
                if pause_s is None or self.records.closing:
                    raise
                self.records.pause(pause_s)
        raise AssertionError  # pragma: no cover

    # --- waiting ------------------------------------------------------------------------------

    def _wait(self, target: Target, _: Sequence[Record]) -> None:
        """Collect the results of a target's jobs until none runs."""
        failures = bugs = 0
        silent_since = 0.0
        while True:
            with self.records.changed:
                self._settle_overdue(target, failures > 0)
                if self.records.closing or not target.running:
                    target.has_waiter = False
                    return
                records = list(target.running.values())
            begun, began_at = self._clock(), unix_s()
            try:
                self._await_once(target, records)
            except Gone as error:
                self.records.settle_all(records, State.LOST, f"the target is gone: {error}")
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
                        self.records.settle_all(records, State.UNREACHABLE, target.last_error)
                        continue
                if failures == 1:
                    silent_since = began_at if isinstance(error, NoAnswer) else unix_s()
                tries = Tries(failures, silent_since, target.last_error)
                target.last_error = tries.text(unix_s())
                self.records.note_tries(records, tries)
                last = max(record.deadline_s for record in records)
                self.records.pause(
                    recovery.pause_s(failures, self._clock(), last, self._jitter()) or 0.0
                )
                continue
            failures = bugs = 0
            if all(record.result is None for record in records):
                # A target that cannot wait, for whatever reason, must not be asked without a pause.
                self.records.pause(max(0.0, begun + IDLE_S - self._clock()))
            if not target.transport.streams:
                self.records.pause(BATCH_S, lambda: target.waits > 0)

    def _await_once(self, target: Target, records: Sequence[Record]) -> None:
        """Make one call that waits on the target for any of its jobs, and take what it tells."""
        now = self._clock()
        soonest_s = min(record.deadline_s for record in records)
        expire_s, patience_s = recovery.await_patience(now, soonest_s)
        if self._in_child:
            expire_s = min(expire_s, CHILD_CALL_S)
        stream = target.transport.streams
        call = self._calls.wait(target, records, expire_s, stream)

        def take(reply: replies.Reply) -> None:
            with self.records.changed:
                if not self.records.closing:
                    self.records.take_reply(target, records, reply)

        def ask_about_others() -> None:
            # They were started since the call was made, and perhaps ended before it was there.
            with self.records.changed:
                others = [r for r in target.running.values() if r not in named]
            if others:
                self._in_thread(self._ask_once, target, others)

        if stream:
            named = set(records)
            ask_stream(target.transport, call, patience_s, take, ask_about_others)
        else:
            take(ask(target.transport, call, patience_s))

    def _settle_overdue(self, target: Target, failing: bool) -> None:
        """Settle the jobs whose deadline is over. ``failing``: the last call has failed."""
        now = self._clock()
        for record in list(target.running.values()):
            if now >= record.deadline_s:
                running = "past its deadline the target still reports it as running"
                detail = target.last_error if failing else running
                self.records.settle(record, Result(State.UNREACHABLE, detail=detail))

    def want(self, record: Record) -> None:
        """Take note that somebody asks for a job's result."""
        self.resume(record.target)
        self.records.want(record)

    def wait_for(
        self, ready: Callable[[], bool], records: Sequence[Record], timeout_s: float | None
    ) -> bool:
        """Block until ``ready()``, which is called under the condition; return what it said last.

        ``records``: the jobs that it is about. ``timeout_s`` None: without a limit.
        """
        if self._held_back is not None and any(record.waits_for_start for record in records):
            return self._held_back.wait_for(ready, records, timeout_s)
        return self.records.wait_for(ready, records, timeout_s)

    def look(self, record: Record) -> None:
        """Take note that somebody looks at how a job stands."""
        self.resume(record.target)
        if self._held_back is not None and record.waits_for_start:
            self._held_back.look(record)

    # --- what a test asks of one job -----------------------------------------------------------

    def cancel(self, record: Record) -> None:
        """End a job on its target, if it runs; wait for its start before that.

        Its end is heard like any other. Raises a TargetError if the target cannot be asked.
        """
        if self._runs(record):
            ask(record.target.transport, self._calls.cancel(record), QUESTION_CALL_S)

    def tail(self, record: Record) -> Result:
        """Return how a job stands: its result or, while it runs, its output so far.

        Raises a TargetError if the target cannot be asked.
        """
        self.look(record)
        if record.waits_for_start or not self._runs(record):
            return record.result or Result(record.state)
        reply = ask(record.target.transport, self._calls.tail(record), QUESTION_CALL_S)
        for report in reply.reports:
            if report.result is not None:
                return record.spec.task.outcome(report.result)
            if not report.gone:
                return Result(
                    record.state, None, report.running_s, 0, "", report.stdout, report.stderr
                )
        return Result(State.LOST, detail="its directory on the target is gone")

    def _runs(self, record: Record) -> bool:
        """Wait until a job was started; return whether it runs."""
        self.resume(record.target)
        self.wait_for(lambda: record.state is not State.PENDING, [record], None)
        return record.runs

    # --- forked children ----------------------------------------------------------------------

    def go_on_in_child(self) -> None:
        """Be the runner of a forked child, in which no thread of the parent goes on."""
        self._in_child = True
        self._calls.go_on_in_child()
        self._without_threads = self.records.go_on_in_child(self._clock())

    def resume(self, target: Target) -> None:
        """Start a target's threads in a forked child, which has none: once somebody asks for one of
        its jobs."""
        records = self._without_threads.pop(target, None)
        if records is None:
            return
        pending = [r for r in records if r.state is State.PENDING and not r.held_back]
        if pending:
            with self.records.changed:
                target.starting += 1
            self._in_thread(self._start, target, pending)
        self._ensure_waiter(target, ())
