"""Plain data: the state of a job, and its result. Imports only errors and windows."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from .errors import OutputCut
from .windows import Window


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

    # Of services and probes, READY, DIED and NOT_READY of services only.
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"
    DIED = "died"
    NOT_READY = "not ready"

    def __str__(self) -> str:
        return self.value

    @property
    def final(self) -> bool:
        """True if a job never leaves this state."""
        return self not in (State.PENDING, State.RUNNING, State.STARTING, State.READY)

    @property
    def succeeded(self) -> bool:
        """True if this is an end as it should be."""
        return self in (State.SUCCEEDED, State.STOPPED)


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
    one line for a person where the state alone does not tell, else empty. ``ready_s``: after how
    many seconds a service was ready, or the first sample of a probe was taken, None if it never
    was; ``look_kept``: then what the service's ready command wrote when it last ended, stdout and
    stderr together. ``window``: what a probe has seen from its start on, as far as that is known.
    """

    state: State
    rc: int | None = None
    duration: float | None = None
    attempts: int = 0
    detail: str = ""
    stdout_kept: Output = EMPTY
    stderr_kept: Output = EMPTY
    ready_s: float | None = None
    look_kept: Output = field(default=EMPTY, repr=False)
    window: Window | None = field(default=None, repr=False)

    @property
    def succeeded(self) -> bool:
        """True if the exit code is one that the check accepts, or the service was stopped."""
        return self.state.succeeded

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
                " were kept (a larger output_limit= keeps more)"
            )
        if self.unheard(kept):
            return f"is not known, because the job is {self.state}"
        return ""

    def unheard(self, kept: Output) -> bool:
        """Return whether nobody knows what the job wrote, of which this was ``kept``."""
        unheard = self.state in (State.LOST, State.UNREACHABLE, State.CANCELLED, State.STOPPED)
        return unheard and not self.attempts and not kept.size

    def shortened(self, limit: int) -> Result:
        """Return it with at most ``limit`` bytes of head and of tail of each stream."""
        return replace(
            self,
            stdout_kept=self.stdout_kept.shortened(limit),
            stderr_kept=self.stderr_kept.shortened(limit),
            look_kept=self.look_kept.shortened(limit),
        )
