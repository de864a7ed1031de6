"""What the processes of a run say to each other, one class for each kind of message.

A session that is not in the run's own process (an xdist worker's, or one in a forked child) tells
of events, and of what else concerns the others; the xdist controller tells its workers. Messages
cross by `pytest_bgcheck.wire`, whose `Reader` raises for a message that is none of these: whoever
hears it says so, and goes on with the next. Pure; imports events, ledger, model
and address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeAlias

from ..events import Event, StartPointReached
from ..ledger import JobEntry
from ..model import State
from ..target.address import TargetAddress

# --- from a session to the run --------------------------------------------------------------------


@dataclass(frozen=True)
class InternalError:
    """Something could not be told: the run must not be green by that."""

    line: str


@dataclass(frozen=True)
class TargetUsed:
    """There may be files of the run on a target."""

    address: TargetAddress


@dataclass(frozen=True)
class JobsOnTarget:
    """These jobs (by id, with their terms) were started on a target, and where the run's directory
    is there. Who wants one need not start it: a hint, for the target decides. ``commands``, by id:
    what functions have made."""

    target: str
    directory: bytes
    terms: Mapping[str, str]
    commands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NewOrder:
    """The tests are not in the order in which they were collected.

    ``last``: the tests behind which no other is to run. ``moved``: how many that await now run
    behind one which they stood before, and ``moved_along`` how many others.
    """

    last: tuple[str, ...]
    moved: int
    moved_along: int


@dataclass(frozen=True)
class WrongSuite:
    """The suite is wrong, and this session therefore ends."""

    reason: str


@dataclass(frozen=True)
class WaitsForStartPoint:
    """A test waits, and for nothing but jobs that are held back.

    ``number`` is this wait's in its session. ``jobs``: the fixtures behind which each starts, by
    the job's key. If nobody can set one up any more, the answer is `NeverStarted`.
    """

    number: int
    test: str
    jobs: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class GoesOn:
    """That wait is over. The answer is `MayGoOn`: behind it comes no answer to that wait."""

    number: int


SessionMessage: TypeAlias = (
    Event
    | InternalError
    | TargetUsed
    | JobsOnTarget
    | NewOrder
    | WrongSuite
    | WaitsForStartPoint
    | GoesOn
)

# --- from an xdist worker to the controller -------------------------------------------------------


@dataclass(frozen=True)
class WorkerPlace:
    """Which computer the worker is on, and as which user."""

    place: str


@dataclass(frozen=True)
class NoTestLeft:
    """The worker's tests have run."""


@dataclass(frozen=True)
class WhatToClean:
    """The worker, which is of another place than the controller, asks which targets to clean."""

    place: str


@dataclass(frozen=True)
class Cleaned:
    """The worker has cleaned these targets (by key); a line for whatever may be left."""

    targets: tuple[str, ...]
    not_cleaned_up: tuple[str, ...]


WorkerMessage: TypeAlias = SessionMessage | WorkerPlace | NoTestLeft | WhatToClean | Cleaned

# --- from the controller to an xdist worker -------------------------------------------------------


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker begins with.

    ``run_id`` and ``salt`` are the run's own. The worker is the ``index``-th of ``count``, which
    share out the starts. ``place`` is the controller's; ``durations`` are those of earlier runs.
    ``reached``: the fixtures of `StartPointReached`; ``never_started``: those of `NeverStarted`.
    """

    run_id: str
    salt: str
    index: int
    count: int
    place: str
    durations: Mapping[str, tuple[float, ...]]
    jobs: tuple[JobsOnTarget, ...]
    reached: tuple[str, ...]
    never_started: Mapping[str, str]


@dataclass(frozen=True)
class NeverStarted:
    """These jobs, by key, are never started in this run, and why."""

    details: Mapping[str, str]


@dataclass(frozen=True)
class MayGoOn:
    """The answer to `GoesOn`."""

    number: int


StartPointMessage: TypeAlias = StartPointReached | NeverStarted | MayGoOn


@dataclass(frozen=True)
class StopWaiting:
    """The run is being stopped: wait for no job any more."""


@dataclass(frozen=True)
class NoWorkerHasTests:
    """No worker has a test left."""


@dataclass(frozen=True)
class UnfinishedJob:
    """A job of which no process of the run has told the end. See `pytest_bgcheck.ledger.JobEntry`
    for the fields."""

    id: str
    target: str
    kind: str
    name: str
    command: str
    timeout_s: float
    grace_s: float
    accepted: tuple[int, ...]
    output_limit: int
    ready_output: str
    state: State
    ready_s: float | None

    @classmethod
    def of(cls, job: JobEntry) -> UnfinishedJob:
        return cls(**{field.name: getattr(job, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class CleanTargets:
    """The answer to `WhatToClean`: these targets, and what has not ended there."""

    targets: tuple[TargetAddress, ...] = ()
    unfinished: tuple[UnfinishedJob, ...] = ()


ControllerMessage: TypeAlias = (
    JobsOnTarget | StartPointMessage | StopWaiting | NoWorkerHasTests | CleanTargets
)
