"""The framed replies of a target, parsed. Beside `requests`, the only room that knows the
supervisor's records. Pure; imports only model and errors.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..errors import BadReply
from ..model import EMPTY, Output, Result, State


@dataclass(frozen=True)
class Report:
    """What a target said of one job. ``result`` is None while it runs; ``gone``: no state."""

    id: str
    result: Result | None
    running_s: float | None = None
    stdout: Output = EMPTY
    stderr: Output = EMPTY
    gone: bool = False


@dataclass(frozen=True)
class Reply:
    """A whole reply. ``directory`` is the run's on the target, told by a start; ``gone`` says that
    it is not there any more or, with the reason in ``refused``, not safely ours. ``started`` holds
    all jobs that are there, ``attached`` those of them that were there before."""

    directory: bytes | None = None
    started: frozenset[str] = frozenset()
    attached: frozenset[str] = frozenset()
    refused: dict[str, str] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()
    left: int = 0
    gone: bool = False

    def counts(self) -> str:
        """Return how much the reply tells, for the log."""
        told = {
            "started": len(self.started) - len(self.attached),
            "attached": len(self.attached),
            "refused": len(self.refused),
            "ended": sum(report.result is not None for report in self.reports),
            "running": sum(report.running_s is not None for report in self.reports),
            "gone": sum(report.gone for report in self.reports),
            "processes left": self.left,
        }
        words = [f"{count} {word}" for word, count in told.items() if count]
        words += ["the run's directory is gone"] if self.gone else []
        return ", ".join(words) or "nothing to tell"


def parse(nonce: str, data: bytes) -> Reply:
    """Parse the reply to the request with this nonce.

    Raises BadReply unless there is exactly one whole frame of it.
    """
    lines = data.replace(b"\r", b"").split(b"\n")
    begins = [n for n, line in enumerate(lines) if line.startswith(f"{nonce} begin ".encode())]
    ends = [n for n, line in enumerate(lines) if line.startswith(f"{nonce} end ".encode())]
    if not begins and not ends:
        raise BadReply(f"its output ({len(data)} bytes) has no reply in it")
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise BadReply(f"a reply with {len(begins)} beginnings and {len(ends)} ends")
    encoding = lines[begins[0]].split()[-1].decode("ascii", "replace")
    frame = _Frame(iter(lines[begins[0] + 1 : ends[0]]), encoding)
    try:
        reply = frame.read()
        expected = _number(lines[ends[0]].split()[-1].decode("ascii"))
    except (ValueError, IndexError, KeyError, TypeError, binascii.Error) as error:
        raise BadReply(f"a reply that cannot be read: {error}") from error
    if frame.records != expected:
        raise BadReply(f"a reply with {frame.records} of {expected} records")
    return replace(reply, gone=encoding == "none")


class Collector:
    """The reply to a call, picked out of what comes: noise ahead of it is not kept."""

    def __init__(self, nonce: str) -> None:
        self._mark = f"{nonce} begin ".encode()
        self.begun = False
        self.data = bytearray()

    def feed(self, data: bytes) -> None:
        self.data += data
        if not self.begun:
            place = self.data.find(self._mark)
            self.begun = place >= 0
            del self.data[: place if self.begun else -len(self._mark)]


class Stream:
    """The reply to a streamed wait: frames in a row, the last one empty.

    Keeps what came of the frame under way, and of noise between frames no more than a line's end.
    """

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._frames = 0
        self._data = bytearray(b"\n")
        self._looked = 0
        self._begun = False
        self.size = 0
        self.complete = False

    @property
    def begun(self) -> bool:
        """Whether anything of a reply has come."""
        return self._begun or self._frames > 0

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Take a part of the output; yield each reply that it completes. Raises BadReply."""
        if self.complete:
            return
        self._data += data
        while not self.complete:
            # A target that has lost the run's directory answers in one frame, unnumbered.
            for name in (f"{self._nonce}.{self._frames + 1}", self._nonce):
                end = self._end_of(name)
                if end >= 0:
                    break
            else:
                self._forget()
                return
            frame = bytes(self._data[:end])
            self.size += len(frame)
            del self._data[:end]
            self._data[:0] = b"\n"
            self._looked = 0
            reply = parse(name, frame)
            self._frames += 1
            self.complete = reply.gone or not reply.reports
            yield reply

    def _end_of(self, name: str) -> int:
        """Return where the last line of a frame ends, -1 if it is not there yet."""
        mark = f"\n{name} end ".encode()
        place = self._data.find(mark, self._looked)
        return -1 if place < 0 else self._data.find(b"\n", place + 1) + 1 or -1

    def _forget(self) -> None:
        """Drop noise, and look at no byte twice: a large frame comes in many parts."""
        longest = len(self._nonce) + 32
        begun = max(
            self._data.find(f"\n{self._nonce}{more}".encode())
            for more in (f".{self._frames + 1} begin ", " begin ")
        )
        self._begun = self._begun or begun >= 0
        if begun < 0:
            del self._data[:-longest]
        self._looked = max(0, len(self._data) - longest)


class _Frame:
    def __init__(self, lines: Iterator[bytes], encoding: str) -> None:
        self.lines = lines
        self.encoding = encoding
        self.records = 0

    def read(self) -> Reply:
        directory: bytes | None = None
        started: set[str] = set()
        attached: set[str] = set()
        refused: dict[str, str] = {}
        reports: list[Report] = []
        left = 0
        while (words := self.record()) is not None:
            kind = words[0]
            if kind == "dir":
                directory = self.data()
            elif kind in ("started", "attached"):
                started.add(words[1])
                if kind == "attached":
                    attached.add(words[1])
            elif kind == "refused":
                refused[words[1]] = " ".join(words[2:])
            elif kind == "left":
                left = _number(words[1])
            elif kind == "job":
                reports.append(self.report(*words[1:]))
            else:
                raise ValueError(f"an unknown record, {kind!r}")
        return Reply(
            directory, frozenset(started), frozenset(attached), refused, tuple(reports), left
        )

    def record(self) -> list[str] | None:
        for line in self.lines:
            self.records += 1
            return line.decode("ascii").split(" ")
        return None

    def data(self) -> bytes:
        parts = []
        for line in self.lines:
            if line == b".":
                break
            parts.append(line)
        else:
            raise ValueError("data without an end")
        if parts and parts[0].startswith(b"="):
            return b"\n".join(line[1:] for line in parts)
        if self.encoding == "base64":
            return base64.b64decode(b"".join(parts), validate=True)
        return bytes.fromhex(b"".join(parts).decode("ascii"))

    def report(self, id: str, state: str, took: str) -> Report:
        if state == "gone":
            return Report(id, None, gone=True)
        mark = mark_of(id).encode("ascii")
        stdout, stderr = self.output("out", mark), self.output("err", mark)
        running_s = None if took == "-" else _number(took) / 100
        try:
            result = _result(state, stdout, stderr)
        except (ValueError, KeyError):
            # The check's own work: its directory is its user's. It harms no other job.
            detail = f"its state on the target cannot be read: {state}"
            result = Result(State.LOST, None, None, 0, detail, stdout, stderr)
        return Report(id, result, running_s, stdout, stderr)

    def output(self, name: str, mark: bytes) -> Output:
        words = self.record() or [""]
        if words[0] != name:
            raise ValueError(f"{words[0]!r} in the place of {name!r}")
        size, head, tail = map(_number, words[1:])
        data = self.data()
        if len(data) != head + tail or size < len(data):
            raise ValueError(f"{len(data)} bytes in the place of {head + tail} of {size}")
        if data[: min(head, len(mark))] != mark:
            return Output(size, data[:head], data[head:], OVERWRITTEN)
        return Output(size - len(mark), data[len(mark) : head], data[head:])


OVERWRITTEN = (
    "the check has overwritten it: whatever opens /dev/stdout or /dev/stderr by name does that;"
    " write to >&1 or >&2 instead"
)


def mark_of(id: str) -> str:
    """Return what a job's output files begin with, unless what was in them has been overwritten."""
    return id.rpartition("-")[2]


def _number(text: str) -> int:
    """Return a number of a record: digits, nothing else that Python would read as one."""
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number")
    return int(text)


REFUSED = {
    "cwd": "its directory (cwd) cannot be entered",
    "output": "its output cannot be written on the target",
}
ENDED = {"timeout": State.TIMED_OUT, "cancel": State.CANCELLED, "lost": State.LOST}


def _result(state: str, stdout: Output, stderr: Output) -> Result | None:
    """Return what a final state says, None for one that is not. An exit is judged by the caller."""
    kind, *facts = state.split(".")[1:]
    if kind in ("run", "end"):
        return None
    if kind == "refused":
        return Result(
            State.NOT_STARTED, detail=REFUSED[facts[0]], stdout_kept=stdout, stderr_kept=stderr
        )
    if kind == "exit":
        rc, took, attempts = map(_number, facts[:3])
        if rc > 255 or facts[3:] not in ([], ["full"]):
            raise ValueError(f"an unknown state, {state!r}")
        detail = ""
        if facts[3:]:
            # Which of the two it was, and how much was lost, nobody knows.
            missing = "no space left on the target"
            detail = f"output cut short: {missing}"
            stdout, stderr = replace(stdout, missing=missing), replace(stderr, missing=missing)
        return Result(State.SUCCEEDED, rc, took / 100, attempts, detail, stdout, stderr)
    took, attempts, left = map(_number, facts[:3])
    note, *suspects = (facts[3:] or ["x"])[0].split("-")
    details = []
    if note == "W":
        details.append("its directory on the target can no longer be written")
    elif kind == "lost":
        details.append("its supervisor was killed, or the target restarted")
    elif note == "T":
        details.append("it had been stopped (SIGSTOP)")
    if facts[4:]:
        details.append(f"its last complete attempt ended with rc {_number(facts[4])}")
    if left:
        details.append(f"{left} of its processes could not be killed")
    if suspects:
        details.append(
            "possibly this check's, so not killed: processes "
            + ", ".join(str(_number(pid)) for pid in suspects)
        )
    detail = "; ".join(details)
    return Result(ENDED[kind], None, took / 100, attempts, detail, stdout, stderr)
