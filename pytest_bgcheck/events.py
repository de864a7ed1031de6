"""What happens in a run, one class for each kind of event. Pure; imports only model, tasks and
windows.

The ledger applies them, and whoever listens to it matches on their classes. They cross to another
process by `pytest_bgcheck.wire`: a new kind of event is one class here, in `Event`, and what the
ledger makes of it.

``key`` is a job's key in the run, `job_key`. ``worker`` is an xdist worker's id, empty without
xdist. ``test`` is a node id. ``at`` and ``planned_at`` are seconds since the epoch, by the clock of
the process in which it happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .model import Result, Tries
from .tasks import Check, Probe, Service, Task
from .windows import Limits, Window

SHOWN = 4096
"""Bytes of a stream's head, and of its tail, in an event and in a test's own report."""


def job_key(id: str, target: str) -> str:
    """Return what a job is known by in its run: its id and its target's key."""
    return f"{id}@{target}"


@dataclass(frozen=True)
class JobPlanned:
    """A job is going to be asked for. See `pytest_bgcheck.ledger.JobEntry` for the fields."""

    key: str
    id: str
    target: str
    kind: str
    name: str
    host: str
    command: str
    timeout_s: float
    grace_s: float
    accepted: tuple[int, ...]
    output_limit: int
    unawaited: str
    after: str
    ready: str
    ready_output: str
    ready_timeout_s: float | None
    every_s: float | None
    sample_timeout_s: float | None
    planned_at: float

    @classmethod
    def of(cls, id: str, target: str, task: Task, host: str, at: float) -> JobPlanned:
        """``target``: the target's key; ``host``: its label."""
        service = task if isinstance(task, Service) else None
        probe = task if isinstance(task, Probe) else None
        return cls(
            key=job_key(id, target),
            id=id,
            target=target,
            kind=task.kind,
            name=task.name,
            host=host,
            command=task.command,
            timeout_s=task.timeout_s,
            grace_s=task.grace_s,
            accepted=tuple(sorted(task.accepted)),
            output_limit=task.output_limit,
            unawaited=task.unawaited or "" if isinstance(task, Check) else "",
            after=task.after or "",
            ready=service.ready if service else "",
            ready_output=(service.ready_output or "") if service else "",
            ready_timeout_s=service.ready_timeout_s if service else None,
            every_s=probe.every_s if probe else None,
            sample_timeout_s=probe.sample_timeout_s if probe else None,
            planned_at=at,
        )


@dataclass(frozen=True)
class StartPointReached:
    """A fixture was set up, and these jobs are started behind it from now on.

    ``fixture``: what it is known by in the run, see `pytest_bgcheck.suite.start_points`.
    """

    fixture: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class StartPointFailed:
    """The set-up of a fixture has failed behind which these jobs were to start."""

    keys: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class JobRequested:
    """A test requests the job: by a fixture, a mark or a call."""

    key: str
    test: str


@dataclass(frozen=True)
class JobStarted:
    """The target has confirmed the job's start, which this worker had asked for.

    ``command``: what a function has made for it here, else empty.
    """

    key: str
    worker: str
    at: float
    command: str = ""


@dataclass(frozen=True)
class JobReady:
    """A service is ready, or a probe has taken its first sample; ``took_s``: after how many
    seconds, by the target's clock."""

    key: str
    took_s: float
    at: float


@dataclass(frozen=True)
class TargetTried:
    """A call about these jobs, to start them or to hear how they end, was not answered.

    It is made again, as long as there is time. ``tries``: those in a row by now; None: the target
    has answered after that.
    """

    worker: str
    keys: tuple[str, ...]
    tries: Tries | None


@dataclass(frozen=True)
class JobEnded:
    """The job's end is known.

    ``result`` has no more than `SHOWN` bytes of head and of tail; ``cut`` names the streams of
    which not even the job's own handle has all.
    """

    key: str
    result: Result
    at: float
    cut: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: str, result: Result, at: float, output_limit: int = 0) -> JobEnded:
        """``output_limit``: the job's own. Of a service that the run stops less is asked for."""
        kept = {"stdout": result.stdout_kept, "stderr": result.stderr_kept}
        cut = tuple(
            stream
            for stream, output in kept.items()
            if output.missing or (output.cut and output.size > output_limit)
        )
        return cls(key, result.shortened(SHOWN), at, cut)


@dataclass(frozen=True)
class JobWanted:
    """A test that ran has asked for the job's result."""

    key: str


@dataclass(frozen=True)
class JobJudged:
    """A test that ran has read how the job has ended, or has failed for it."""

    key: str


@dataclass(frozen=True)
class WaitBegan:
    """A test begins to wait for these jobs.

    ``judges``: it awaits their verdicts; else it only reads a handle of theirs.
    """

    worker: str
    test: str
    keys: tuple[str, ...]
    at: float
    judges: bool = True


@dataclass(frozen=True)
class WaitEnded:
    """A test's wait is over; ``waited_s``: how long it waited for each job, by key.

    Where that is empty, all waits of the test are over, whatever they were for.
    """

    worker: str
    test: str
    at: float
    waited_s: Mapping[str, float]


@dataclass(frozen=True)
class WindowClosed:
    """A probe was asked what it has seen in a time, by a test's mark or through its handle.

    ``opened_at``, ``closed_at``: by the clock of this process. ``window`` None: it has not told.
    ``limits``: what the test's mark allows; None: asked through the handle. ``exceeded``: these
    limits were. ``not_proven``: why that is not known, or what was seen; else empty.
    """

    key: str
    test: str
    worker: str
    opened_at: float
    closed_at: float
    window: Window | None
    limits: Limits | None = None
    exceeded: bool = False
    not_proven: str = ""


@dataclass(frozen=True)
class WindowRead:
    """A test that ran has read what a probe has seen in a window of its own, or has failed since it
    has none."""

    key: str


Event: TypeAlias = (
    JobPlanned
    | StartPointReached
    | StartPointFailed
    | JobRequested
    | JobStarted
    | JobReady
    | TargetTried
    | JobEnded
    | JobWanted
    | JobJudged
    | WaitBegan
    | WaitEnded
    | WindowClosed
    | WindowRead
)
