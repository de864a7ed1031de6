"""Plain data: a check, the state of a job, and its result. Imports only errors."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .errors import OutputCut


class State(str, enum.Enum):
    """What a job is doing, or what became of it. Equal to its own name in words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    NOT_STARTED = "not started"
    CANCELLED = "cancelled"

    def __str__(self) -> str:
        return self.value

    @property
    def final(self) -> bool:
        """True if a job never leaves this state."""
        return self not in (State.PENDING, State.RUNNING)


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
class Check:
    """A declaration: a command and its limits. Times are in seconds, sizes in bytes.

    ``argv`` is what is executed on the target; with ``script`` it holds the script's arguments.
    With ``make_command`` it is empty, and ``command`` says where the function stands, until that
    has been called for the job's host.
    ``host`` is a testinfra hostspec, a tuple of them, or None for the host of whoever awaits.
    ``after`` is the fixture behind which it starts, None: before the first test. ``sudo`` None
    means: as the host's own testinfra settings say, ``unawaited`` None: as the run's option says.
    """

    name: str
    argv: tuple[str, ...]
    command: str
    script: Script | None = None
    timeout_s: float = 360.0
    rc: frozenset[int] = frozenset({0})
    retry_every_s: float | None = None
    grace_s: float = 5.0
    host: str | tuple[str, ...] | None = None
    after: str | None = None
    sudo: bool | None = None
    sudo_user: str | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cwd: str | None = None
    output_limit: int = 1 << 20
    unawaited: str | None = None
    make_command: CommandFunction | None = None

    @property
    def has_command(self) -> bool:
        """False as long as its function has not made the command."""
        return self.make_command is None or bool(self.argv)

    def differences(self, other: Check) -> list[str]:
        """Return the names of the arguments in which two checks differ."""
        names = {f.name: f.name.removesuffix("_s") for f in fields(self)}
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
        """Return a digest of all that the check says, the same in every process that has the salt.

        It stands in names that others on the target can read: the salt, which they cannot, keeps
        them from guessing at ``env``.
        """
        script = self.script and (self.script.path, self.script.content)
        plain = (f.name for f in fields(self) if f.name not in ("rc", "script"))
        return _digest(salt, sorted(self.rc), script, *(getattr(self, name) for name in plain))

    def id_on(self, host: str, run_id: str, terms: str = "") -> str:
        """Return the id of this check's job on a host, the same in every process of a run.

        ``run_id`` is the run's own: letters and digits. A declared check is known by its terms, one
        that was started by a call by its name alone. The id is a file name and a word on the
        target: ``RUN-DIGEST``, whose last four characters are the host's. It has no name in it, for
        a check that looks for its own among all processes would find ours.
        """
        return f"{run_id}-{_digest(host, self.name, terms)}{_digest(host)[:4]}"


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:10]


def not_started_yet(after: str | None) -> str:
    """Return how a job stands that waits for its start point."""
    return f"not started yet: after {after!r}"


@dataclass(frozen=True)
class Tries:
    """Calls to a target in a row that were not answered.

    ``began_at``: since when nothing has come, in seconds since the epoch; ``cause``: what became of
    the last one.
    """

    count: int
    began_at: float
    cause: str

    @property
    def number(self) -> str:
        return "1 try" if self.count == 1 else f"{self.count} tries"

    def text(self, now: float) -> str:
        """Return the cause, and behind it how often it was tried within how long."""
        return f"{self.cause} ({self.number} in {max(0.0, now - self.began_at):.0f} s)"


@dataclass(frozen=True)
class Output:
    """What was kept of a stream: the head and, if bytes were left out in between, the tail.

    ``size`` is the stream's true size. ``missing``: why there was more that not even the size
    counts, as on a full disk; else empty.
    """

    size: int = 0
    head: bytes = field(default=b"", repr=False)
    tail: bytes = field(default=b"", repr=False)
    missing: str = ""

    @property
    def cut(self) -> int:
        """The number of bytes left out."""
        return self.size - len(self.head) - len(self.tail)

    def bytes(self) -> bytes:
        """Return what was kept; where bytes were left out, a line between head and tail says so."""
        if not self.cut:
            return self.head + self.tail
        gap = f"\n[... {self.cut:,} of {self.size:,} bytes left out ...]\n"
        return self.head + gap.encode() + self.tail

    def text(self) -> str:
        """Return `bytes`, decoded as UTF-8; what is not UTF-8 is replaced."""
        return self.bytes().decode("utf-8", "replace")

    def shortened(self, limit: int) -> Output:
        """Return it with at most ``limit`` bytes of head and as many of tail."""
        if not self.cut:
            whole = self.head + self.tail
            if len(whole) <= 2 * limit:
                return replace(self, head=whole, tail=b"")
            return replace(self, head=whole[:limit], tail=whole[-limit:])
        return replace(self, head=self.head[:limit], tail=self.tail[-limit:])


EMPTY = Output()


@dataclass(frozen=True)
class Result:
    """What became of a job; the names are those of testinfra's ``CommandResult``.

    ``rc`` is None unless the command ended by itself. ``duration`` is in seconds, measured on the
    target by its monotonic clock, and None where the job never ran or nobody could tell.
    ``attempts`` counts the runs of the command (more than one with ``retry_every``). ``detail`` is
    one line for a person where the state alone does not tell, else empty.
    """

    state: State
    rc: int | None = None
    duration: float | None = None
    attempts: int = 0
    detail: str = ""
    stdout_kept: Output = EMPTY
    stderr_kept: Output = EMPTY

    @property
    def succeeded(self) -> bool:
        """True if the exit code is one that the check accepts."""
        return self.state is State.SUCCEEDED

    @property
    def failed(self) -> bool:
        """True if it has ended and did not succeed, whatever the reason."""
        return self.state.final and not self.succeeded

    @property
    def stdout(self) -> str:
        """Standard output, decoded as UTF-8; bytes that are not UTF-8 are replaced.

        Raises :class:`OutputCut` unless all of it is here, as do the three below.
        """
        __tracebackhide__ = True
        return self._whole("stdout").text()

    @property
    def stderr(self) -> str:
        """Standard error, decoded as UTF-8; bytes that are not UTF-8 are replaced."""
        __tracebackhide__ = True
        return self._whole("stderr").text()

    @property
    def stdout_bytes(self) -> bytes:
        """Standard output as it came."""
        __tracebackhide__ = True
        return self._whole("stdout").bytes()

    @property
    def stderr_bytes(self) -> bytes:
        """Standard error as it came."""
        __tracebackhide__ = True
        return self._whole("stderr").bytes()

    def _whole(self, stream: str) -> Output:
        """Return a stream of which nothing is missing, or raise OutputCut."""
        __tracebackhide__ = True
        why = self.why_not_whole(stream)
        if why:
            raise OutputCut(f"{stream} {why}; {stream}_kept holds what was kept")
        kept: Output = getattr(self, f"{stream}_kept")
        return kept

    def why_not_whole(self, stream: str) -> str:
        """Return why a stream ("stdout" or "stderr") is not all that the job wrote; empty if it is.

        The only place that decides this: a test that looks for a word must not pass because the
        word was in what nobody kept.
        """
        kept: Output = getattr(self, f"{stream}_kept")
        if kept.missing:
            return f"is incomplete: {kept.missing}"
        if kept.cut:
            head, tail = len(kept.head), len(kept.tail)
            return (
                f"was cut: only the first {head:,} and the last {tail:,} of its {kept.size:,} bytes"
                " were kept (a larger output_limit= of the check keeps more)"
            )
        unheard = self.state in (State.LOST, State.UNREACHABLE, State.CANCELLED)
        if unheard and not self.attempts and not kept.size:
            return f"is not known, because the job is {self.state}"
        return ""

    def shortened(self, limit: int) -> Result:
        """Return it with at most ``limit`` bytes of head and of tail of each stream."""
        return replace(
            self,
            stdout_kept=self.stdout_kept.shortened(limit),
            stderr_kept=self.stderr_kept.shortened(limit),
        )
