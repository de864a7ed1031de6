"""Plain data: what is to run on a host, and its limits. A class for each kind of job.

Imports only model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from .model import Result, State

ANY_RC = frozenset(range(256))
"""The accepted exit codes of ``rc=None``: all that there are."""


@dataclass(frozen=True)
class Script:
    """A local file that is sent to the target and run there."""

    path: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class CommandFunction:
    """A function of the suite that is given testinfra's Host, and returns a check's command.

    ``place`` is its name and where it stands, the same in every process. It is equal to another
    that stands there and holds the same values, as when its module was imported twice.
    """

    function: Callable[[Any], object]
    place: str

    def __repr__(self) -> str:
        return f"<{self.place}>"

    def __hash__(self) -> int:
        return hash(self.place)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CommandFunction) or self.place != other.place:
            return False
        mine, others = self.function, other.function
        parts = ("__code__", "__defaults__", "__kwdefaults__", "__closure__")
        return mine == others or all(
            getattr(mine, part, mine) == getattr(others, part, others) for part in parts
        )


@dataclass(frozen=True)
class Task:
    """A declaration: a command and its limits. Times are in seconds, sizes in bytes.

    ``argv`` is what is executed on the target; with ``script`` it holds the script's arguments.
    With ``make_command`` it is empty, and ``command`` says where the function stands, until that
    has been called for the job's host.
    ``host`` is a testinfra hostspec, a tuple of them, or None for the host of whoever awaits.
    ``after`` is the fixture behind which it starts, None: before the first test. ``sudo`` None
    means: as the host's own testinfra settings say.
    """

    kind: ClassVar[str]
    """What people read of it, and the events: check, service or probe."""

    begun: ClassVar[State]
    """The state of a job whose start its target has confirmed."""

    ready_state: ClassVar[State | None] = None
    """The state in which a mark has nothing to wait for, of a kind that does not end by itself."""

    name: str
    argv: tuple[str, ...]
    command: str
    script: Script | None = None
    timeout_s: float = 360.0
    grace_s: float = 5.0
    host: str | tuple[str, ...] | None = None
    after: str | None = None
    sudo: bool | None = None
    sudo_user: str | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cwd: str | None = None
    output_limit: int = 1 << 20
    make_command: CommandFunction | None = None

    @property
    def ends_with_run(self) -> bool:
        """True of a kind that runs until the run, or a block, ends."""
        return self.ready_state is not None

    @property
    def ready_limit_s(self) -> float | None:
        """Within how long it has to come to `ready_state`; None of a kind that has none."""
        return None

    @property
    def accepted(self) -> frozenset[int]:
        """The exit codes that are a success; none where it is none to end by itself."""
        return frozenset()

    def outcome(self, told: Result) -> Result:
        """Return what a result from the target, which knows no kinds, means for this one."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """What messages call it."""
        return title(self.kind, self.name)

    @property
    def longest_wait_s(self) -> float:
        """How long after its start a test may have to wait for it."""
        ready_s = self.ready_limit_s
        return self.timeout_s if ready_s is None else min(ready_s, self.timeout_s)

    @property
    def has_command(self) -> bool:
        """False as long as its function has not made the command."""
        return self.make_command is None or bool(self.argv)

    def differences(self, other: Task) -> list[str]:
        """Return the names of the arguments in which two tasks differ, or that their kind does."""
        if self.kind != other.kind:
            return ["kind"]
        names = {f.name: f.name.removesuffix("_s").removesuffix("_argv") for f in fields(self)}
        if "sample_timeout_s" in names:
            names["sample_timeout_s"] = "timeout"
        if self.script is not None and other.script is not None:
            names["argv"] = "args"
            del names["command"]  # the script's path and its arguments, as they are shown
        else:
            names["argv"] = names["make_command"] = "command"
        differing = [
            name for field, name in names.items() if getattr(self, field) != getattr(other, field)
        ]
        return list(dict.fromkeys(differing))

    def terms(self, salt: str) -> str:
        """Return a digest of all that the task says, the same in every process that has the salt.

        It stands in names that others on the target can read: the salt, which they cannot, keeps
        them from guessing at ``env``.
        """
        script = self.script and (self.script.path, self.script.content)
        said = {f.name: getattr(self, f.name) for f in fields(self)} | {"script": script}
        plain = {n: sorted(v) if isinstance(v, frozenset) else v for n, v in said.items()}
        return _digest(salt, self.kind, *plain.values())

    def id_on(self, host: str, run_id: str, terms: str = "", owner: str = "") -> str:
        """Return the id of this task's job on a host, the same in every process of a run.

        ``run_id`` is the run's own: letters and digits. A declared task is known by its terms, one
        that was started by a call by its name alone. The id is a file name and a word on the
        target: ``RUN-DIGEST``, whose last four characters are the host's. It has no name in it, for
        a check that looks for its own among all processes would find ours. ``owner``, letters and
        digits, stands in it ahead of these four where one process alone knows of the job.
        """
        whose = f"_{owner}" if owner else ""
        return f"{run_id}-{_digest(host, self.name, terms)}{whose}{_digest(host)[:4]}"


@dataclass(frozen=True)
class Check(Task):
    """It ends by itself, with a verdict.

    ``rc`` has the exit codes that are a success. ``unawaited`` None: as the run's option says.
    """

    kind: ClassVar[str] = "check"
    begun: ClassVar[State] = State.RUNNING

    rc: frozenset[int] = frozenset({0})
    retry_every_s: float | None = None
    unawaited: str | None = None

    @property
    def accepted(self) -> frozenset[int]:
        return self.rc

    def outcome(self, told: Result) -> Result:
        if told.state is State.SUCCEEDED and told.rc not in self.rc:
            return replace(told, state=State.FAILED)
        return told


@dataclass(frozen=True)
class Service(Task):
    """It runs beside the tests until the run, or a block, ends; tests await that it is ready.

    ``ready_argv`` is repeated until it succeeds, ``ready`` is how people read it;
    ``ready_output`` is an extended regular expression that a line of its output has to match. With
    neither it is ready as soon as it runs. ``timeout_s`` is the longest that it may live.
    """

    kind: ClassVar[str] = "service"
    begun: ClassVar[State] = State.STARTING
    ready_state: ClassVar[State | None] = State.READY

    timeout_s: float = 3600.0
    ready_argv: tuple[str, ...] = ()
    ready: str = ""
    ready_output: str | None = None
    ready_timeout_s: float = 30.0

    @property
    def ready_limit_s(self) -> float | None:
        return self.ready_timeout_s

    def outcome(self, told: Result) -> Result:
        if told.state is State.SUCCEEDED:
            ended = State.NOT_READY if told.ready_s is None else State.DIED
            return replace(told, state=ended)
        if told.state is State.NOT_READY and not told.detail and self.ready_output is not None:
            return replace(told, detail=f"no line of its output matches {self.ready_output!r}")
        return replace(told, state=State.STOPPED) if told.state is State.CANCELLED else told


@dataclass(frozen=True)
class Probe(Task):
    """A command that its target repeats until the run ends: each time is a sample.

    ``every_s``: from the start of one sample to that of the next; one that takes longer delays the
    next. ``sample_timeout_s``: the longest that a sample may take; then it is killed, and was bad.
    ``rc`` has the exit codes of a good one. ``timeout_s`` is the longest that the probe may live.
    """

    kind: ClassVar[str] = "probe"
    begun: ClassVar[State] = State.STARTING
    ready_state: ClassVar[State | None] = State.RUNNING

    timeout_s: float = 3600.0
    every_s: float = 1.0
    sample_timeout_s: float = 10.0
    rc: frozenset[int] = frozenset({0})

    @property
    def ready_limit_s(self) -> float | None:
        return self.sample_timeout_s

    @property
    def accepted(self) -> frozenset[int]:
        return self.rc

    def outcome(self, told: Result) -> Result:
        if told.state in (State.SUCCEEDED, State.NOT_READY):  # no prober says so
            detail = "; ".join(filter(None, ["its prober has ended by itself", told.detail]))
            return replace(told, state=State.LOST, rc=None, detail=detail)
        return replace(told, state=State.STOPPED) if told.state is State.CANCELLED else told


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:10]


def title(kind: str, name: str) -> str:
    """Return what messages call a job of a kind and a name."""
    return f"background {kind} {name!r}"


def not_started_yet(after: str | None) -> str:
    """Return how a job stands that waits for its start point."""
    return f"not started yet: after {after!r}"
