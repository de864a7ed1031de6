"""Starts jobs and waits for their ends, in threads.

The front of `starting` and `waiting`. What is known of jobs and targets is in `records`, and
changes under its condition only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..clocks import monotonic_s
from ..ledger import RUN_ENDED
from ..model import Result, State, Tries
from . import requests
from .asking import Asking
from .calls import QUESTION_CALL_S, Calls
from .cleaner import Cleaner
from .following import Follower
from .proving import Proving
from .records import HeldBack, Record, Records, StartedElsewhere, Target
from .starting import Starting
from .transport import ask
from .waiting import Waiting
from .watching import Watching

CANCEL_S = 10.0
"""For how long a target is asked again to end a job, if it has not answered."""

_JITTER = random.Random().random
"""Not the module's own numbers: a test that has seeded them shall get what it expects."""


class Runner:
    """The jobs of one run, on all its targets. The methods may be called from any thread.

    ``run_id`` is the run's id (letters and digits), ``base`` the directory for files on the targets
    (empty: theirs to say), ``forks`` the number of hosts started or cleaned at once. What is called
    back: see `Records`. ``held_back`` None: every job is started when it is submitted. ``owner``:
    what stands in the ids of jobs that no other process of the run knows, see `Calls`.
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
        self._calls = Calls(run_id, base, forks, shell, clock, jitter)
        self.owner = self._calls.owner
        cleaner = Cleaner(self.records, self._calls)
        self.stop, self.close = cleaner.stop, cleaner.close
        self.settle_starts, self.no_test_waits = cleaner.settle_starts, cleaner.no_test_waits
        self.follow = Follower(self.records, self._calls).follow
        self._asking = Asking(self.records, self._calls)
        proving = Proving(self.records, self._calls, self._asking)
        self.prove = proving.prove
        watching = Watching(self.records, self._calls, self._asking, proving)
        self.open_windows, self.close_windows = watching.open, watching.close
        self._waiting = Waiting(self.records, self._calls)
        self._starting = Starting(self.records, self._calls, self._asking, self._waiting)
        self._without_threads: dict[Target, list[Record]] = {}

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
            self._starting.in_background(target, batch)
        for target, started in attached.items():
            self._waiting.ensure(target, started)

    def started_elsewhere(
        self, target: Target, directory: bytes, terms: Mapping[str, str],
        commands: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Take note that another process of the run has started jobs on a target.

        ``terms``, and ``commands`` that functions have made, are by id. The jobs are awaited once
        they are submitted, without asking for their start again; but not if they are submitted with
        other terms, for the target to refuse.
        """
        now = self._calls.now_s()
        jobs = {id: StartedElsewhere(terms[id], now, commands.get(id, "")) for id in terms}
        self.release(self.records.note_elsewhere(target, directory, jobs))

    # --- waiting ------------------------------------------------------------------------------

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

        Its end is heard like any other. Raises a TargetError if the target cannot be asked, also
        after some tries.
        """
        if not self._runs(record):
            return

        def cancel() -> None:
            ask(record.target.transport, self._calls.cancel(record), QUESTION_CALL_S)

        self._asking.until_answered(cancel, self._calls.now_s() + CANCEL_S)
        self.records.note_ending(record, self._calls.now_s())

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
                    record.state, None, report.running_s, 0, "", report.stdout, report.stderr,
                    window=report.window,
                )  # fmt: skip
        return Result(State.LOST, detail="its directory on the target is gone")

    def _runs(self, record: Record) -> bool:
        """Wait until a job was started; return whether it runs."""
        self.resume(record.target)
        self.wait_for(lambda: record.state is not State.PENDING, [record], None)
        return record.runs

    # --- forked children ----------------------------------------------------------------------

    def go_on_in_child(self) -> None:
        """Be the runner of a forked child, in which no thread of the parent goes on."""
        self._waiting.go_on_in_child()
        self._calls.go_on_in_child()
        self._without_threads = self.records.go_on_in_child(self._calls.now_s())

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
            self._starting.in_background(target, pending)
        self._waiting.ensure(target, ())
