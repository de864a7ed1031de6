"""The replies of a target, parsed. With `requests`, the only room that knows what the supervisor
says: `supervisor/replies.sh` writes these records. What a state says is in `told_states`, what a
prober says in `window_data`. Pure; imports only model, windows and errors.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..errors import BadReply
from ..model import EMPTY, Output, Result, State
from ..windows import Window
from .told_states import look_detail, number, result_of
from .window_data import read_life, read_window


@dataclass(frozen=True)
class Report:
    """What a target says of one job: no ``result`` while it runs; ``gone`` if it has no state.

    ``ready_s``: after how many seconds a service was ready, or a probe's first sample was over,
    None if that is not so yet. A report of a wait without a ``result`` says that, and nothing of
    its output. ``window``: what a probe has seen from its beginning on, as far as that is known.
    """

    id: str
    result: Result | None
    running_s: float | None = None
    stdout: Output = EMPTY
    stderr: Output = EMPTY
    gone: bool = False
    ready_s: float | None = None
    window: Window | None = None


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
    told, with their last state as the target names it. ``opened`` and ``windows``: the windows that
    are open, and what was seen in those that are closed, None where that cannot be read; each by
    its probe's id and its own.
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
    opened: frozenset[tuple[str, str]] = frozenset()
    windows: dict[tuple[str, str], Window | None] = field(default_factory=dict)

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
            "opened": len(self.opened),
            "closed": len(self.windows),
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
        expected = number(lines[ends[0]].split()[-1].decode("ascii"))
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
        opened: set[tuple[str, str]] = set()
        windows: dict[tuple[str, str], Window | None] = {}
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
                    left = number(processes)
                case ["job", id, state, took_cs]:
                    reports.append(self.report(id, state, took_cs))
                case ["job", id, state, took_cs, ready_cs, "life"]:
                    reports.append(self.probe_report(id, state, took_cs, ready_cs))
                case ["job", id, state, took_cs, ready_cs, look]:
                    reports.append(self.service_report(id, state, took_cs, ready_cs, look))
                case ["ready", id, took_cs, ready_cs]:
                    running_s = number(took_cs) / 100
                    ready_s = number(ready_cs) / 100
                    reports.append(Report(id, None, running_s, ready_s=ready_s))
                case ["grown", id, "out" | "err" as stream, attempt, start, end]:
                    grown.append(self.grown(id, stream, attempt, start, end))
                case ["void", id, stream, end]:
                    grown[-1:] = [_without_void(grown[-1:], id, stream, number(end))]
                case ["over", id, state]:
                    over[id] = state
                case ["opened", id, window]:
                    opened.add((id, window))
                case ["window", id, window]:
                    windows[id, window] = _window(self.data())
                case _:
                    raise ValueError(f"an unknown record, {words[0]!r}")
        return Reply(
            directory, frozenset(started), frozenset(attached), refused, tuple(reports), left,
            grown=tuple(grown), over=over, opened=frozenset(opened), windows=windows,
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
        found = Grown(id, stream, number(attempt), number(start), self.data())
        # There may be less: the job has emptied the file in this instant.
        if found.end > number(end):
            raise ValueError(f"{len(found.data)} bytes in the place of those from {start} to {end}")
        return found

    def report(self, id: str, state: str, took_cs: str, emptied: bool = False) -> Report:
        """``emptied``: its output may begin anew at any time, as a probe's with each sample."""
        if state == "gone":
            return Report(id, None, gone=True)
        mark = mark_of(id).encode("ascii")
        stdout, stderr = self.output("out", mark, emptied), self.output("err", mark, emptied)
        running_s = None if took_cs == "-" else number(took_cs) / 100
        try:
            result = result_of(state, stdout, stderr)
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
        ready_s = None if ready_cs == "-" else number(ready_cs) / 100
        result = report.result
        if result is not None:
            # Of a service that has ended by itself, its own rc and output say more.
            told = look != "-" and result.rc is None
            details = [result.detail, look_detail(look) if told else ""]
            result = replace(
                result, detail="; ".join(filter(None, details)), ready_s=ready_s, look_kept=said
            )
        return replace(report, result=result, ready_s=ready_s)

    def probe_report(self, id: str, state: str, took_cs: str, ready_cs: str) -> Report:
        """Return the report of a probe, with what it has seen."""
        report = self.report(id, state, took_cs, emptied=True)
        if report.gone:
            return report
        if self.record() != ["life"]:
            raise ValueError("no life of a probe")
        data = self.data()
        window, detail = None, ""
        if data:  # it has taken a sample
            try:
                window = read_life(data)
            except ValueError as error:
                detail = f"what it has seen cannot be read: {error}"
        ready_s = None if ready_cs == "-" else number(ready_cs) / 100
        result = report.result
        if result is not None:
            detail = "; ".join(filter(None, [result.detail, detail]))
            result = replace(result, detail=detail, ready_s=ready_s, window=window)
        return replace(report, result=result, ready_s=ready_s, window=window)

    def output(self, stream: str, mark: bytes, emptied: bool = False) -> Output:
        """Return a stream of a job, without the mark that it begins with.

        ``emptied``: it may have begun anew since its size was taken. Then what has come is all.
        """
        name, *sizes = self.record() or [""]
        if name != stream:
            raise ValueError(f"{name!r} in the place of {stream!r}")
        size, head, tail = map(number, sizes)
        data = self.data()
        if emptied and len(data) < len(mark):
            return EMPTY
        if emptied and len(data) < head + tail:
            size, head, tail = len(data), len(data), 0
        if len(data) != head + tail or size < len(data):
            raise ValueError(f"{len(data)} bytes in the place of {head + tail} of {size}")
        if data[: min(head, len(mark))] != mark:
            return Output(size, data[:head], data[head:], OVERWRITTEN)
        return Output(size - len(mark), data[len(mark) : head], data[head:])


def _window(data: bytes) -> Window | None:
    """Return what was seen in a window; None for what no prober has written so."""
    try:
        return read_window(data)
    except ValueError:
        return None


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
