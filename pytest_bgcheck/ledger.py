"""What is known of a run: every job, wait and test once, whatever process it was in.

The ledger is where the reports are made: in the only process, or on the xdist controller. What
happens is told to it as `pytest_bgcheck.events`. Several workers tell of the same job, in any
order: the first word stands, but what a target has proven replaces that it could not be asked.

Times (``*_at``) are seconds since the epoch, by the clock of the process that told them. Pure;
imports only events, model and tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from . import events
from .model import Result, State, Tries
from .tasks import Check, Probe, Service

RUN_ENDED = "the run ended"
"""The detail of a job that still ran then."""

NOT_ASKED = "at the end of the run nobody could ask how it stood"
"""The detail of a service that was never proven to have lived until then."""

UNFINISHED = "unfinished"
"""The outcome of a test that did not come to its end."""

PROVEN = frozenset(
    {State.SUCCEEDED, State.FAILED, State.TIMED_OUT, State.LOST, State.DIED, State.NOT_READY}
)
"""The ends that only a target can tell of."""


_KINDS = {kind.kind: kind for kind in (Check, Service, Probe)}


@dataclass
class Wait:
    """One test's wait for one job; ``waited_s`` is None while it lasts.

    It ends with the job, or before: when the test waits no longer. A test that awaits several jobs
    waits for all of them from the same moment on.
    """

    test: str
    worker: str
    began_at: float
    waited_s: float | None = None

    @property
    def ended_at(self) -> float | None:
        return None if self.waited_s is None else self.began_at + self.waited_s


@dataclass
class JobEntry:
    """What the run knows of a job.

    ``key`` is unique in the run; ``target`` is its target's key, ``kind`` that of its task.
    ``worker`` had it started: an xdist worker's id, else empty. ``planned_at``, ``started_at`` and
    ``ended_at``: when it was planned, its start was confirmed, and its end was known here;
    ``ready_at``: when a service was known to be ready, ``ready_s`` seconds after its start there.
    ``duration_s`` is what it took on the target. ``result`` has only the head and the tail of long
    output; ``cut`` names the streams that were cut before that. ``tries``: by worker, the calls
    about it that were not answered, now or at its end. ``wanted``: a test that ran has asked for
    its result. ``judged``: one has read how it ended, or has failed for it; of a check: or has
    awaited it by mark. ``watched``: one's mark has judged what the probe saw, one has read a window
    of it, or has failed since there was none. ``unawaited``: what the job makes of the run if none
    has judged, or watched, it; empty: what the run's option says. ``after``: the fixture behind
    which it starts, else empty; ``reached``: that was set up; ``set_up_failed``: why it could not
    be, the last time. ``ready``, ``ready_output``, ``ready_timeout_s``: by what and within how long
    a service has to be ready; empty and None for others. ``every_s``, ``sample_timeout_s``: how
    often a probe takes a sample, and how long each may take; None for others. ``windows``: what it
    was asked for.
    """

    key: str
    id: str = ""
    target: str = ""
    kind: str = "check"
    name: str = ""
    host: str = ""
    command: str = ""
    timeout_s: float = 0.0
    grace_s: float = 0.0
    accepted: tuple[int, ...] = ()
    output_limit: int = 0
    unawaited: str = ""
    after: str = ""
    reached: bool = False
    set_up_failed: str = ""
    ready: str = ""
    ready_output: str = ""
    ready_timeout_s: float | None = None
    every_s: float | None = None
    sample_timeout_s: float | None = None
    planned_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    worker: str = ""
    state: State = State.PENDING
    ready_at: float | None = None
    ready_s: float | None = None
    result: Result | None = None
    cut: tuple[str, ...] = ()
    tries: dict[str, Tries] = field(default_factory=dict)
    wanted: bool = False
    judged: bool = False
    watched: bool = False
    requested_by: list[str] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    windows: list[events.WindowClosed] = field(default_factory=list)

    @property
    def is_service(self) -> bool:
        return self.kind == Service.kind

    @property
    def is_probe(self) -> bool:
        return self.kind == Probe.kind

    @property
    def ends_with_run(self) -> bool:
        """True of a kind that runs until the run, or a block, ends."""
        return self.is_service or self.is_probe

    @property
    def begun(self) -> State:
        """Its state once its target has confirmed its start."""
        return _KINDS[self.kind].begun

    @property
    def held_back(self) -> bool:
        """True if its start point was not reached."""
        return bool(self.after) and not self.reached

    @property
    def may_run(self) -> bool:
        """True if it may be on its target: it was asked for, and its end is not known."""
        return not (self.state.final or self.held_back)

    @property
    def first_awaited_at(self) -> float | None:
        return min((wait.began_at for wait in self.waits), default=None)

    @property
    def verdict_seen_at(self) -> float | None:
        """When the first test that awaited it knew how it had ended."""
        if self.ended_at is None:
            return None
        ends = (wait.ended_at for wait in self.waits if wait.ended_at is not None)
        return min((at for at in ends if at >= self.ended_at - 1e-3), default=None)

    @property
    def unanswered(self) -> Tries | None:
        """The calls about it that were not answered, None if its target answers.

        Of several workers' those that began first.
        """
        return min(self.tries.values(), key=lambda tries: tries.began_at, default=None)

    @property
    def bad(self) -> bool:
        """True if it did not succeed, and not only because nobody asked for it before the end; nor
        because the run was interrupted, which ends each service."""
        if not self.state.final or self.state.succeeded:
            return False
        cancelled = self.state is State.CANCELLED
        if self.ends_with_run and cancelled:
            return False
        return self.wanted or not (self.held_back or cancelled)

    @property
    def is_ready(self) -> bool:
        """True of a service that is ready, and of a probe that takes samples: no mark waits."""
        return self.ends_with_run and self.state is _KINDS[self.kind].ready_state

    @property
    def was_ready(self) -> bool:
        """True if it is a service that was ready, as far as anybody has told."""
        told = self.result is not None and self.result.ready_s is not None
        return told or self.ready_s is not None

    @property
    def duration_s(self) -> float | None:
        return None if self.result is None else self.result.duration

    @property
    def limit_s(self) -> float:
        """The limit that counts: to be ready for a service that is not, of the first sample for a
        probe that has none, else to its end."""
        not_ready = self.state in (State.PENDING, State.STARTING, State.NOT_READY)
        ready_limit_s = self.ready_timeout_s or self.sample_timeout_s
        return ready_limit_s if ready_limit_s and not_ready else self.timeout_s

    def decided_at(self, wait: Wait) -> float | None:
        """When what a test waits for has happened to it, None if it has not."""
        if self.ends_with_run and self.ready_at is not None and wait.began_at <= self.ready_at:
            return self.ready_at
        return self.ended_at

    @property
    def decided_after_s(self) -> float | None:
        """How long a mark would have waited for it: until a check's own end, until a service was
        ready; None if that did not come."""
        if self.ends_with_run:
            return self.ready_s
        ended_by_itself = self.result is not None and self.result.rc is not None
        return self.duration_s if ended_by_itself else None


@dataclass
class TestEntry:
    """A test's span on its worker (empty without xdist), over all its phases and reruns.

    ``outcome``: passed, failed, skipped (so is a test that failed as expected), or unfinished.
    ``message``: the first line of why it failed. ``ran``: it was not skipped, neither before nor in
    its call.
    """

    __test__ = False

    test: str
    worker: str
    started_at: float
    ended_at: float
    outcome: str
    message: str = ""
    ran: bool = False


def why_never_started(
    after: str, set_up_failed: str, test: str = "", for_others: bool = False
) -> str:
    """Return why a job's start point was not reached.

    ``test``: that has awaited it. ``for_others``: it was reached for other hosts of the same
    declaration.
    """
    start_point = f"it starts after the fixture {after!r}, which"
    if set_up_failed:
        return f"{start_point} failed: {set_up_failed}"
    missed = "was set up for other hosts, but not for this one" if for_others else "was not set up"
    if test:
        ask = f"request {after!r} in that test"
        return f"{start_point} {missed} before {test} awaited it: {ask}"
    return f"{start_point} {missed} in this run"


class Ledger:
    """All jobs and tests of a run.

    Any thread may call. ``listeners`` are called with each event, once it has been applied, under
    the ledger's lock.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, JobEntry] = {}
        self.tests: dict[tuple[str, str], TestEntry] = {}
        self.listeners: list[Callable[[events.Event], None]] = []
        self._open_waits: dict[tuple[str, str], list[tuple[JobEntry, Wait]]] = {}
        self._lock = threading.RLock()

    def tell(self, event: events.Event) -> None:
        with self._lock:
            self._apply(event)
            for listen in self.listeners:
                listen(event)

    def known_jobs(self) -> list[JobEntry]:
        """Return the jobs that are known now: any thread may go through the list."""
        with self._lock:
            return list(self.jobs.values())

    def add_phase(
        self, test: str, worker: str, when: str, started_at: float, ended_at: float, outcome: str,
        expected: bool = False, message: str = "",
    ) -> None:  # fmt: skip
        """Add a phase of a test. A test passes when its call does; a worse outcome stands.

        ``expected``: it failed as it was expected to, which pytest reports as skipped. ``message``:
        why it failed.
        """
        with self._lock:
            entry = self.tests.setdefault(
                (worker, test), TestEntry(test, worker, started_at, ended_at, UNFINISHED)
            )
            entry.ended_at = max(entry.ended_at, ended_at)
            entry.ran |= when == "call" and (outcome != "skipped" or expected)
            if when == "setup" and outcome == "passed":
                entry.outcome, entry.message = UNFINISHED, ""  # a rerun starts anew
            elif outcome != "passed" or (when == "call" and entry.outcome == UNFINISHED):
                entry.outcome = outcome
                entry.message = entry.message or message

    def close(self, at: float, interrupted: bool = False) -> None:
        """End the waits that are still open, and the jobs, which the run's end has cancelled.

        ``interrupted``: nobody has asked before how they stood. Else a service is known by now to
        have been stopped.
        """
        with self._lock:
            for worker, test in list(self._open_waits):
                self.tell(events.WaitEnded(worker, test, at, {}))
            for job in self.jobs.values():
                if not job.state.final:
                    result = Result(State.CANCELLED, detail=RUN_ENDED)
                    if job.ends_with_run and job.started_at is not None and not interrupted:
                        result = Result(State.UNREACHABLE, detail=NOT_ASKED)
                    if job.held_back:
                        detail = self._why_never_started(job)
                        result = Result(State.NOT_STARTED, detail=detail)
                    self.tell(events.JobEnded(job.key, result, at))
            # The report of a test that was interrupted has no call phase, or never came.
            for wait in (wait for job in self.jobs.values() for wait in job.waits):
                ended_at = at if wait.ended_at is None else wait.ended_at
                entry = self.tests.setdefault(
                    (wait.worker, wait.test),
                    TestEntry(wait.test, wait.worker, wait.began_at, ended_at, UNFINISHED),
                )
                entry.ended_at = max(entry.ended_at, ended_at)

    def why_never_started(self, key: str, test: str) -> str:
        """Return why a job is not started any more that a test awaits."""
        with self._lock:
            return self._why_never_started(self._job(key), test)

    def _why_never_started(self, job: JobEntry, test: str = "") -> str:
        for_others = any(
            other.reached and (other.name, other.after) == (job.name, job.after)
            for other in self.jobs.values()
        )
        return why_never_started(job.after, job.set_up_failed, test, for_others)

    def end_waits_of(self, worker: str, at: float) -> None:
        """End the waits of a worker that is gone, and its tries."""
        with self._lock:
            for job in self.jobs.values():
                job.tries.pop(worker, None)
            for test in [test for other, test in self._open_waits if other == worker]:
                self.tell(events.WaitEnded(worker, test, at, {}))

    # --- events ---------------------------------------------------------------------------------

    def _apply(self, event: events.Event) -> None:
        match event:
            case events.JobPlanned():
                job = self._job(event.key)
                if job.planned_at is None:
                    vars(job).update(vars(event))  # the event's fields are the entry's
            case events.StartPointReached():
                for key in event.keys:
                    self._job(key).reached = True
            case events.StartPointFailed():
                for key in event.keys:
                    self._job(key).set_up_failed = event.reason
            case events.JobRequested():
                job = self._job(event.key)
                if event.test not in job.requested_by:
                    job.requested_by.append(event.test)
            case events.JobStarted():
                job = self._job(event.key)
                job.tries.pop(event.worker, None)
                if job.started_at is None:
                    job.started_at, job.worker = event.at, event.worker
                    if job.state is State.PENDING:
                        job.state = job.begun
                job.command = event.command or job.command
            case events.JobReady():
                job = self._job(event.key)
                if job.ready_at is None:
                    job.ready_at, job.ready_s = event.at, event.took_s
                    ready_state = _KINDS[job.kind].ready_state
                    if not job.state.final and ready_state is not None:
                        job.state = ready_state
            case events.TargetTried():
                for job in map(self._job, event.keys):
                    if event.tries is None:
                        job.tries.pop(event.worker, None)
                    elif not job.state.final:
                        job.tries[event.worker] = event.tries
            case events.JobEnded():
                job = self._job(event.key)
                proven = event.result.state in PROVEN and job.state not in PROVEN
                if proven or not job.state.final:
                    job.state, job.result = event.result.state, event.result
                    job.ended_at, job.cut = event.at, event.cut
                    if job.state not in (State.UNREACHABLE, State.CANCELLED):
                        job.tries.clear()
            case events.JobWanted():
                self._job(event.key).wanted = True
            case events.JobJudged():
                self._job(event.key).judged = True
            case events.WindowRead():
                self._job(event.key).watched = True
            case events.WaitBegan():
                open_waits = self._open_waits.setdefault((event.worker, event.test), [])
                for key in event.keys:
                    job, wait = self._job(key), Wait(event.test, event.worker, event.at)
                    job.wanted = True
                    job.judged |= event.judges and not job.ends_with_run
                    job.waits.append(wait)
                    open_waits.append((job, wait))
            case events.WaitEnded():
                for job, wait in self._open_waits.pop((event.worker, event.test), []):
                    if event.waited_s and job.key not in event.waited_s:
                        # Another thread of the test waits for another job.
                        still_open = self._open_waits.setdefault((event.worker, event.test), [])
                        still_open.append((job, wait))
                        continue
                    over_at = min(event.at, job.decided_at(wait) or event.at)
                    until_then_s = max(0.0, over_at - wait.began_at)
                    wait.waited_s = event.waited_s.get(job.key, until_then_s)
            case events.WindowClosed():
                job = self._job(event.key)
                job.windows.append(event)
                job.watched |= event.limits is not None

    def _job(self, key: str) -> JobEntry:
        return self.jobs.setdefault(key, JobEntry(key))
