"""What is known of a run's jobs and targets, and the one condition under which that changes.

Results come from the targets only; what a target did not prove is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..clocks import Condition
from ..events import job_key
from ..ledger import RUN_ENDED
from ..log import LOG, hide, internal_error
from ..model import Result, State, Tries
from ..tasks import Probe, Service
from . import recovery, replies, requests
from .transport import Transport

OTHER_TERMS = "it was already started in this run, with other arguments"
"""Why a target does not start a job again."""


@dataclass(eq=False)
class Record:
    """What is known of a job. Changed by `Records` only, under their condition.

    ``started_s``: when its start was confirmed, by the monotonic clock. ``tries``: the calls about
    it, in a row, that its target has not answered. ``wanted``: somebody has asked for its result.
    ``held_back``: it is not to be started yet, or never was. ``ready_s``: after how many seconds a
    service was ready, by the target's clock. ``ending_s``: when its target has taken note that it
    is to end, by the monotonic clock. ``started_here``: it was not there before a request of this
    process.
    """

    spec: requests.Spec
    target: Target
    state: State = State.PENDING
    result: Result | None = None
    started_s: float | None = None
    tries: Tries | None = None
    wanted: bool = False
    held_back: bool = False
    ready_s: float | None = None
    ending_s: float | None = None
    started_here: bool = False

    @property
    def key(self) -> str:
        """The job's key in the ledger: the same in all processes of the run."""
        return job_key(self.spec.id, self.target.key)

    # What starting, waiting and judging need to know of a job's task stands here and in the task.

    @property
    def name(self) -> str:
        return self.spec.task.name

    @property
    def service(self) -> Service | None:
        """Its task, if that is a service."""
        task = self.spec.task
        return task if isinstance(task, Service) else None

    @property
    def probe(self) -> Probe | None:
        """Its task, if that is a probe."""
        task = self.spec.task
        return task if isinstance(task, Probe) else None

    @property
    def ends_with_run(self) -> bool:
        return self.spec.task.ends_with_run

    @property
    def state_shown(self) -> State:
        """The state as people read it: a service, or a probe, that is asked for is starting."""
        asked_for = self.state is State.PENDING and not self.held_back
        return State.STARTING if asked_for and self.ends_with_run else self.state

    @property
    def may_get_ready(self) -> bool:
        """True for a service that is not known to be ready, or a probe without a sample, if it is
        not known to have ended."""
        return self.ends_with_run and self.ready_s is None and self.result is None

    @property
    def waits_for_start(self) -> bool:
        """True while it is held back and may still be started."""
        return self.held_back and self.result is None

    @property
    def timeout_s(self) -> float:
        """How long it may run on the target."""
        return self.spec.task.timeout_s

    @property
    def deadline_s(self) -> float:
        """Until when the target is asked for its result, by the monotonic clock; of a service that
        is not ready, or a probe without a sample: for that."""
        begun_s, limit_s = self.started_s or 0.0, self.timeout_s
        if self.ready_s is None:
            limit_s = self.spec.task.longest_wait_s
        until_s = begun_s + limit_s
        if self.ending_s is not None:
            until_s = min(until_s, self.ending_s)
        return recovery.job_deadline(until_s, self.spec.task.grace_s)

    @property
    def secrets(self) -> list[str]:
        """What must be shown nowhere."""
        return [value for _, value in self.spec.task.env]

    @property
    def runs(self) -> bool:
        """True if its start was confirmed, and its end is not known."""
        return self.result is None and self.state is not State.PENDING

    @property
    def decided(self) -> bool:
        """True if a mark has nothing to wait for any more: its end is known, or it is ready, and
        nobody here has asked for its end."""
        ready = self.state is self.spec.task.ready_state
        return self.result is not None or (ready and self.ending_s is None)


@dataclass(frozen=True)
class StartedElsewhere:
    """A job that another process has started, with these terms; ``heard_s``: when this was heard,
    by the monotonic clock. ``command``: what a function had made for it there, else empty."""

    terms: str
    heard_s: float
    command: str = ""


@dataclass(eq=False)
class Target:
    """A host, as one user: a transport and the jobs there.

    ``with_command`` has the command made of a job whose check has none yet; it raises WrongUse.

    ``label`` is what people read; ``identity`` tells hosts apart, ``key`` targets, and it is the
    same in all processes of the run. ``directory`` is the run's on the target, None until a start
    has told it. ``start_requested``: there may be something to clean. ``started_elsewhere``: jobs
    that other processes of the run have started there, by id.

    ``starting`` counts the threads that start jobs there, ``waits`` the callers that wait for one.
    ``running`` has the jobs that are known to run, by id. ``has_waiter``: a thread collects their
    ends. ``last_error`` is what the last call that failed said.
    """

    label: str
    identity: str
    transport: Transport
    key: str = ""
    directory: bytes | None = None
    start_requested: bool = False
    started_elsewhere: dict[str, StartedElsewhere] = field(default_factory=dict)
    starting: int = 0
    running: dict[str, Record] = field(default_factory=dict)
    has_waiter: bool = False
    waits: int = 0
    last_error: str = ""
    with_command: Callable[[requests.Spec], requests.Spec] = lambda spec: spec

    @property
    def path(self) -> str:
        """The run's directory, for people; empty while it is not known."""
        return (self.directory or b"").decode("utf-8", "replace")


class HeldBack(Protocol):
    """What the runner asks about jobs that are held back."""

    def holds(self, spec: requests.Spec, target: Target) -> bool:
        """Return whether a job is not to be started yet. Called under the condition."""

    def wait_for(
        self, ready: Callable[[], bool], records: Sequence[Record], timeout_s: float | None
    ) -> bool:
        """Wait as `Runner.wait_for`, where some of the jobs are held back."""

    def look(self, record: Record) -> None:
        """Somebody looks at a job that is held back, without waiting for it."""


class Records:
    """The jobs of one run that this process knows. The methods may be called from any thread.

    All changes, those of targets too, happen under the condition ``changed``, and notify it.
    ``closing``: the run is ending, and nothing is waited for any more.

    ``on_start``, ``on_ready`` (of a service), ``on_end`` and ``on_want`` (somebody has asked for
    its result) are called once for each job, ``on_tries`` for each call that is not answered, and
    for the first answer after that; all under the condition: they must not wait. What they raise
    changes nothing; it is logged, and ``on_unexpected`` gets a line that says so.
    """

    def __init__(
        self,
        *,
        on_start: Callable[[Record], None] = lambda record: None,
        on_ready: Callable[[Record], None] = lambda record: None,
        on_end: Callable[[Record], None] = lambda record: None,
        on_want: Callable[[Record], None] = lambda record: None,
        on_tries: Callable[[Sequence[Record], Tries | None], None] = lambda records, tries: None,
        on_unexpected: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.changed = Condition()
        self.closing = False
        self._on_start = on_start
        self._on_ready = on_ready
        self._on_end = on_end
        self._on_want = on_want
        self._on_tries = on_tries
        self._on_unexpected = on_unexpected
        self._by_target: dict[tuple[Target, str], Record] = {}

    def __contains__(self, job: tuple[Target, str]) -> bool:
        return job in self._by_target

    def get(self, target: Target, id: str) -> Record | None:
        return self._by_target.get((target, id))

    def values(self) -> Sequence[Record]:
        with self.changed:
            return list(self._by_target.values())

    def add(self, record: Record) -> None:
        hide(record.secrets)
        with self.changed:
            self._by_target[record.target, record.spec.id] = record

    def adopt(self, records: Iterable[Record]) -> None:
        """Take on jobs that other processes of the run have started, for the run's end."""
        with self.changed:
            for record in records:
                self.add(record)
                if record.runs:
                    record.target.running[record.spec.id] = record

    def note_elsewhere(
        self, target: Target, directory: bytes, jobs: Mapping[str, StartedElsewhere]
    ) -> list[Record]:
        """Take note of jobs that another process has started; return those that are known here."""
        with self.changed:
            target.directory = target.directory or directory
            for id, job in jobs.items():
                target.started_elsewhere.setdefault(id, job)
            known = [self._by_target.get((target, id)) for id in jobs]
            return [record for record in known if record is not None]

    def release(self, records: Iterable[Record]) -> list[Record]:
        """Hold jobs back no longer; return those that were."""
        with self.changed:
            released = [record for record in records if record.waits_for_start]
            for record in released:
                record.held_back = False
            self.changed.notify_all()
            return released

    def attach(self, record: Record) -> bool:
        """Take note of a job that another process has started; return whether one has.

        Not with other terms, for the target to refuse it.
        """
        with self.changed:
            known = record.target.started_elsewhere.get(record.spec.id)
            if known is None or known.terms != record.spec.terms:
                return False
            if known.command:
                task = replace(record.spec.task, command=known.command)
                record.spec = replace(record.spec, task=task)
            self.note_start(record, known.heard_s)
            return True

    def note_start(self, record: Record, started_s: float, own: bool = True) -> None:
        """Take note that a target has confirmed a job's start.

        ``own``: by a request of this process; else another's function may have made the command.
        """
        with self.changed:
            function = record.spec.task.make_command
            if function is not None and not own:
                task = replace(record.spec.task, argv=(), command=repr(function))
                record.spec = replace(record.spec, task=task)
            record.state, record.started_s, record.tries = record.spec.task.begun, started_s, None
            record.target.running[record.spec.id] = record
            _log_state(record)
            self._tell(self._on_start, record)

    def note_tries(self, records: Iterable[Record], tries: Tries | None) -> None:
        """Take note of calls about some jobs that their target has not answered; None: it answers.

        Nothing is noted once the run is ending, which itself cuts calls off.
        """
        with self.changed:
            concerned = [r for r in records if r.result is None and r.tries != tries]
            if concerned and not self.closing:
                for record in concerned:
                    record.tries = tries
                self._tell(lambda _: self._on_tries(concerned, tries), concerned[0])

    def want(self, record: Record) -> None:
        """Take note that somebody asks for a job's result."""
        with self.changed:
            if not record.wanted:
                record.wanted = True
                self._tell(self._on_want, record)

    def note_ready(self, record: Record, ready_s: float) -> None:
        """Take note that a service is ready, or that a probe has taken a sample."""
        with self.changed:
            ready_state = record.spec.task.ready_state
            if record.runs and record.ready_s is None and ready_state is not None:
                record.state, record.ready_s = ready_state, ready_s
                self.changed.notify_all()
                _log_state(record)
                self._tell(self._on_ready, record)

    def note_ending(self, record: Record, now_s: float) -> None:
        """Take note that a target ends a job because this process has asked for it."""
        with self.changed:
            if record.ending_s is None:
                record.ending_s = now_s

    def settle(self, record: Record, result: Result) -> None:
        """Take note of a job's end. The first result stands."""
        with self.changed:
            if record.result is None:
                if record.ready_s is not None:
                    result = replace(result, ready_s=record.ready_s)
                result = record.spec.task.outcome(result)
                record.result, record.state = result, result.state
                record.target.running.pop(record.spec.id, None)
                self.changed.notify_all()
                _log_state(record)
                self._tell(self._on_end, record)

    def settle_all(self, records: Iterable[Record], state: State, detail: str) -> None:
        with self.changed:
            for record in records:
                self.settle(record, Result(state, detail=detail))

    def take_start(
        self, target: Target, records: Sequence[Record], reply: replies.Reply, now_s: float
    ) -> None:
        """Take note of the start of some jobs, or of why they are not started."""
        with self.changed:
            if reply.directory is not None:
                target.directory = reply.directory
            for record in records:
                reason = reply.refused.get("*", reply.refused.get(record.spec.id))
                if reason is not None:
                    reason = OTHER_TERMS if reason == "terms" else reason
                    self.settle(record, Result(State.NOT_STARTED, detail=reason))
                elif record.state is State.PENDING:
                    record.started_here = record.spec.id not in reply.attached
                    self.note_start(record, now_s, record.started_here)

    def take_reply(self, target: Target, records: Sequence[Record], reply: replies.Reply) -> None:
        """Settle those of some jobs whose ends a reply tells."""
        with self.changed:
            self.note_tries(records, None)
            if reply.gone:
                detail = "the run's directory on the target is gone"
                if "*" in reply.refused:
                    detail = f"the run's directory on the target is not safe: {reply.refused['*']}"
                self.settle_all(records, State.LOST, detail)
            for report in reply.reports:
                record = target.running.get(report.id)
                if record is not None and report.gone:
                    detail = "its directory on the target is gone"
                    self.settle(record, Result(State.LOST, detail=detail))
                elif record is not None and report.result is not None:
                    self.settle(record, report.result)
                elif record is not None and report.ready_s is not None:
                    self.note_ready(record, report.ready_s)

    def _tell(self, callback: Callable[[Record], None], record: Record) -> None:
        """Call back; what that raises must not change what becomes of jobs."""
        try:
            callback(record)
        except Exception as error:
            self._on_unexpected(log_internal_error(record.target, error))

    def wait_for(
        self, ready: Callable[[], bool], records: Iterable[Record], timeout_s: float | None
    ) -> bool:
        """Block until ``ready()`` or the time-out. See `Runner.wait_for`."""
        targets = {record.target for record in records}
        with self.changed:
            for target in targets:
                target.waits += 1
            self.changed.notify_all()
            try:
                return self.changed.wait_for(ready, timeout_s)
            finally:
                for target in targets:
                    target.waits -= 1

    def pause(self, for_s: float, until: Callable[[], bool] = lambda: False) -> None:
        """Pause, but not after the run's end has begun or ``until()`` is true."""
        with self.changed:
            self.changed.wait_for(lambda: self.closing or until(), for_s)

    def close(self) -> None:
        """Have nothing waited for any more."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()

    def cancel_all(self, records: Iterable[Record]) -> None:
        """Cancel what still runs as far as this process is concerned: the run has ended."""
        self.settle_all(records, State.CANCELLED, RUN_ENDED)

    def go_on_in_child(self, now_s: float) -> dict[Target, list[Record]]:
        """Be those of a forked child; return the jobs that have not ended, by target.

        The parent's threads are not here, and what they held is held for ever.
        """
        self.changed = Condition()
        unsettled: dict[Target, list[Record]] = {}
        for (target, id), record in self._by_target.items():
            target.starting = target.waits = 0
            target.has_waiter = False
            # A thread may have been just about to change it.
            if record.result is not None:
                record.state = record.result.state
                target.running.pop(id, None)
            else:
                unsettled.setdefault(target, []).append(record)
                if record.runs:
                    target.running[id] = record
                    record.started_s = record.started_s or now_s
        return unsettled


def _log_state(record: Record) -> None:
    # Without the result's detail, which may quote what a target said.
    host = record.target.label
    LOG.debug("job %s (%s) on %s: %s", record.spec.id, record.name, host, record.state)


def log_internal_error(target: Target, error: BaseException) -> str:
    """Log an error of ours; return a line for people that says what went wrong."""
    return internal_error(f"background checks on {target.label}", error)
