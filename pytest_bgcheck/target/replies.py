"""The replies of a target, parsed. With `requests`, the only room that knows what the supervisor
says: `supervisor/replies.sh` writes these records. Pure; imports only model and errors.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..errors import BadReply
from ..model import EMPTY, Output, Result, State


@dataclass(frozen=True)
class Report:
    """What a target says of one job: no ``result`` while it runs; ``gone`` if it has no state.

    ``ready_s``: after how many seconds a service was ready, None if it is not. A report of a wait
    without a ``result`` says that a service is ready, and nothing of its output.
    """

    id: str
    result: Result | None
    running_s: float | None = None
    stdout: Output = EMPTY
    stderr: Output = EMPTY
    gone: bool = False
    ready_s: float | None = None


@dataclass(frozen=True)
class Grown:
    """What a stream ("out" or "err") of a job holds from the byte ``start`` on, without its mark.

    ``attempt``: of the job's command, whose output begins anew with each. A ``start`` larger than
    what was reached: the bytes in between were cut out. A smaller one: the stream was emptied, and
    this is what was written since. Without data it says where the stream stands, at first, or
    nothing.
    """

    id: str
    stream: str
    attempt: int
    start: int
    data: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.data)


@dataclass(frozen=True)
class Reply:
    """A whole reply.

    ``directory`` is the run's on the target, which a start tells. ``gone`` says that it is not
    there any more or, with the reason in ``refused``, that others could have written there.
    ``started`` holds all jobs that are there, ``attached`` those of them that were there before.
    ``refused`` has the reason for each job that was not started, and under ``*`` that for the whole
    request. ``left`` is the number of processes that could not be killed. ``grown`` and ``over``
    are a follow's: what jobs have written, in its order, and the ids of those of which no more is
    told, with their last state as the target names it.
    """

    directory: bytes | None = None
    started: frozenset[str] = frozenset()
    attached: frozenset[str] = frozenset()
    refused: dict[str, str] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()
    left: int = 0
    gone: bool = False
    grown: tuple[Grown, ...] = ()
    over: dict[str, str] = field(default_factory=dict)

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
            "bytes written": sum(len(grown.data) for grown in self.grown),
            "over": len(self.over),
        }
        words = [f"{count} {word}" for word, count in told.items() if count]
        words += ["the run's directory is gone"] if self.gone else []
        return ", ".join(words) or "nothing to tell"


def parse(nonce: str, data: bytes) -> Reply:
    """Parse the reply to the request with this nonce.

    Raises BadReply unless there is exactly one frame of it, and a whole one.
    """
    lines = data.replace(b"\r", b"").split(b"\n")
    begins = [n for n, line in enumerate(lines) if line.startswith(f"{nonce} begin ".encode())]
    ends = [n for n, line in enumerate(lines) if line.startswith(f"{nonce} end ".encode())]
    if not begins and not ends:
        raise BadReply(f"no reply in {len(data)} bytes of output")
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise BadReply(f"a reply with {len(begins)} beginnings and {len(ends)} ends")
    encoding = lines[begins[0]].split()[-1].decode("ascii", "replace")
    frame = _Frame(iter(lines[begins[0] + 1 : ends[0]]), encoding)
    try:
        reply = frame.read()
        expected = _number(lines[ends[0]].split()[-1].decode("ascii"))
    except ValueError as error:  # binascii's and Unicode's errors are some
        raise BadReply(f"a reply that cannot be read: {error}") from error
    if frame.records != expected:
        raise BadReply(f"a reply with {frame.records} of {expected} records")
    return replace(reply, gone=encoding == "none")


class Collector:
    """The reply to a call, picked out of its output. What comes ahead of it is not kept."""

    def __init__(self, nonce: str) -> None:
        self._mark = f"{nonce} begin ".encode()
        self.begun = False
        self.data = bytearray()

    def feed(self, data: bytes) -> None:
        self.data += data
        if not self.begun:
            begin = self.data.find(self._mark)
            self.begun = begin >= 0
            del self.data[: begin if self.begun else -len(self._mark)]


class Stream:
    """The reply to a call that streams: frames in a row, of which the last one is empty.

    Keeps what has come of the next frame, and little of what comes between frames.
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
            self.complete = reply.gone or not (reply.reports or reply.grown or reply.over)
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
    """Reads the records of one frame, in their order, and counts them."""

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
        grown: list[Grown] = []
        over: dict[str, str] = {}
        while (words := self.record()) is not None:
            match words:
                case ["dir"]:
                    directory = self.data()
                case ["started", id]:
                    started.add(id)
                case ["attached", id]:
                    started.add(id)
                    attached.add(id)
                case ["refused", id, *reason]:
                    refused[id] = " ".join(reason)
                case ["left", processes]:
                    left = _number(processes)
                case ["job", id, state, took_cs]:
                    reports.append(self.report(id, state, took_cs))
                case ["job", id, state, took_cs, ready_cs, look]:
                    reports.append(self.service_report(id, state, took_cs, ready_cs, look))
                case ["ready", id, took_cs, ready_cs]:
                    running_s = _number(took_cs) / 100
                    ready_s = _number(ready_cs) / 100
                    reports.append(Report(id, None, running_s, ready_s=ready_s))
                case ["grown", id, "out" | "err" as stream, attempt, start, end]:
                    grown.append(self.grown(id, stream, attempt, start, end))
                case ["void", id, stream, end]:
                    grown[-1:] = [_without_void(grown[-1:], id, stream, _number(end))]
                case ["over", id, state]:
                    over[id] = state
                case _:
                    raise ValueError(f"an unknown record, {words[0]!r}")
        return Reply(
            directory, frozenset(started), frozenset(attached), refused, tuple(reports), left,
            grown=tuple(grown), over=over,
        )  # fmt: skip

    def record(self) -> list[str] | None:
        """Return the words of the next record, None behind the last."""
        for line in self.lines:
            self.records += 1
            return line.decode("ascii").split(" ")
        return None

    def data(self) -> bytes:
        """Return the data of the record that was read last."""
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

    def grown(self, id: str, stream: str, attempt: str, start: str, end: str) -> Grown:
        found = Grown(id, stream, _number(attempt), _number(start), self.data())
        # There may be less: the job has emptied the file in this instant.
        if found.end > _number(end):
            raise ValueError(f"{len(found.data)} bytes in the place of those from {start} to {end}")
        return found

    def report(self, id: str, state: str, took_cs: str) -> Report:
        if state == "gone":
            return Report(id, None, gone=True)
        mark = mark_of(id).encode("ascii")
        stdout, stderr = self.output("out", mark), self.output("err", mark)
        running_s = None if took_cs == "-" else _number(took_cs) / 100
        try:
            result = _result(state, stdout, stderr)
        except ValueError:
            # The check itself can have written it. It must not harm the reports of other jobs.
            detail = f"its state on the target cannot be read: {state}"
            result = Result(State.LOST, detail=detail, stdout_kept=stdout, stderr_kept=stderr)
        return Report(id, result, running_s, stdout, stderr)

    def service_report(self, id: str, state: str, took_cs: str, ready_cs: str, look: str) -> Report:
        """Return the report of a service, with what its ready command said if it is not ready."""
        report = self.report(id, state, took_cs)
        if report.gone:
            return report
        said = EMPTY if look in ("-", "none") else self.output("look", b"")
        ready_s = None if ready_cs == "-" else _number(ready_cs) / 100
        result = report.result
        if result is not None:
            # Of a service that has ended by itself, its own rc and output say more.
            told = look != "-" and result.rc is None
            details = [result.detail, _look_detail(look) if told else ""]
            result = replace(
                result, detail="; ".join(filter(None, details)), ready_s=ready_s, look_kept=said
            )
        return replace(report, result=result, ready_s=ready_s)

    def output(self, stream: str, mark: bytes) -> Output:
        """Return a stream of a job, without the mark that it begins with."""
        name, *sizes = self.record() or [""]
        if name != stream:
            raise ValueError(f"{name!r} in the place of {stream!r}")
        size, head, tail = map(_number, sizes)
        data = self.data()
        if len(data) != head + tail or size < len(data):
            raise ValueError(f"{len(data)} bytes in the place of {head + tail} of {size}")
        if data[: min(head, len(mark))] != mark:
            return Output(size, data[:head], data[head:], OVERWRITTEN)
        return Output(size - len(mark), data[len(mark) : head], data[head:])


def _without_void(last: list[Grown], id: str, stream: str, end: int) -> Grown:
    """Return what was told last, without its bytes ahead of ``end``: they were being cut."""
    if not last or (last[0].id, last[0].stream) != (id, stream) or end < last[0].start:
        raise ValueError("bytes of nothing that was told are void")
    told = last[0]
    data = told.data[end - told.start :]
    return replace(told, start=end if data else told.start, data=data)


OVERWRITTEN = (
    "the command has overwritten it: whatever opens /dev/stdout or /dev/stderr by name does that;"
    " write to >&1 or >&2 instead"
)


def mark_of(id: str) -> str:
    """Return what each of a job's output files begins with, unless the check has overwritten it."""
    return id.rpartition("-")[2]


def _number(text: str) -> int:
    """Return the number that a record has: digits, and nothing else that Python takes for one."""
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number")
    return int(text)


REFUSED = {
    "cwd": "its directory (cwd) does not exist there",
    "cwd-closed": "its user may not enter its directory (cwd)",
    "cwd-file": "its cwd is no directory",
    "home": "the run's directory on the target was changed",
    "output": "its output cannot be written on the target",
}
ENDED = {
    "timeout": State.TIMED_OUT,
    "cancel": State.CANCELLED,
    "lost": State.LOST,
    "unready": State.NOT_READY,
}


def _result(state: str, stdout: Output, stderr: Output) -> Result | None:
    """Return the result that a state says, None if it is no final one.

    An exit is a success here: which codes are accepted, the caller knows.
    """
    rc, detail = None, ""
    match state.split(".")[1:]:
        case ["run" | "end", *_]:
            return None
        case ["refused", why] if why in REFUSED:
            return Result(
                State.NOT_STARTED, detail=REFUSED[why], stdout_kept=stdout, stderr_kept=stderr
            )
        case ["exit", code, took_cs, attempts, *more] if len(more) <= 2:
            became, rc = State.SUCCEEDED, _number(code)
            if rc > 255:
                raise ValueError(f"{code} is no exit code")
            full = more[:1] == ["full"]
            detail = _detail("exit", 0, *more[full:])
            if full:
                # Which of the two it was, and how much was lost, is not known.
                missing = "no space left on the target"
                detail = "; ".join([f"output cut short: {missing}", *filter(None, [detail])])
                stdout, stderr = replace(stdout, missing=missing), replace(stderr, missing=missing)
        case ["timeout" | "cancel" | "lost" | "unready" as kind, took_cs, attempts, left, *more]:
            became = ENDED[kind]
            detail = _detail(kind, _number(left), *more[:2])
        case _:
            raise ValueError(f"an unknown state, {state!r}")
    took_s = _number(took_cs) / 100
    return Result(became, rc, took_s, _number(attempts), detail, stdout, stderr)


def _detail(kind: str, left: int, note: str = "x", last_rc: str = "") -> str:
    """Return what the state of a job that was ended says for a person."""
    why, *suspects = note.split("-")
    if why not in ("x", "T", "W"):
        raise ValueError(f"an unknown note, {note!r}")
    details = []
    if why == "W":
        details.append("its directory on the target can no longer be written")
    elif kind == "lost":
        details.append("its supervisor was killed, or the target restarted")
    elif why == "T":
        details.append("it had been stopped (SIGSTOP)")
    if last_rc:
        details.append(f"its last complete attempt ended with rc {_number(last_rc)}")
    if left:
        details.append(f"{left} of its processes could not be killed")
    if suspects:
        details.append(
            "possibly of this job, so not killed: processes "
            + ", ".join(str(_number(pid)) for pid in suspects)
        )
    return "; ".join(details)


def _look_detail(look: str) -> str:
    """Return how the last run of a service's ready command ended, for a person."""
    if look == "none":
        return "its ready command has not ended once"
    if look == "killed":
        return "its ready command did not end within 10 s"
    return f"its ready command last ended with rc {_number(look)}"
