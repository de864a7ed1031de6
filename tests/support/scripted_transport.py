"""A transport that answers from a script, for what no real target does on demand."""

import string
from collections.abc import Callable, Sequence

from pytest_bgcheck.errors import TargetError, Unreachable
from pytest_bgcheck.target.replies import mark_of
from pytest_bgcheck.target.transport import Answer, Call

Step = TargetError | str | bytes | Callable[[str], str]


class Scripted:
    """Answers each request with the next step for its verb, and the last one again and again.

    A step is an error to raise, the text of an answer in which NONCE stands for the request's, or
    a function from the request to such a text. Asked whether it is there, after an error, it gives
    ``present`` or the error again.
    """

    def __init__(
        self,
        streams: bool = False,
        *,
        start: Sequence[Step] = (),
        waits: Sequence[Step] = (),
        cancel: Sequence[Step] = (),
        tail: Sequence[Step] = (),
        open: Sequence[Step] = (),
        close: Sequence[Step] = (),
        clean: Sequence[Step] = (),
        present: Sequence[Step] = (),
    ) -> None:
        self.streams, self.ends_calls = streams, True
        self.steps = {"start": list(start), "await": list(waits), "clean": list(clean)}
        self.steps |= {"cancel": list(cancel), "tail": list(tail), "present": list(present)}
        self.steps |= {"open": list(open), "close": list(close)}
        self.last: Step = ""
        self.calls: list[str] = []
        self.closed = False

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        words = words_of(request)
        shell = words.index("/bin/sh")
        verb, nonce = words[shell - 1], words[shell + 1]
        self.calls.append(verb)
        steps = self.steps[verb] or [Unreachable("not in the script")]
        if verb == "present" and not self.steps[verb]:
            steps = [self.last]
        step = steps[0] if len(steps) == 1 else steps.pop(0)
        self.last = step
        if isinstance(step, TargetError):
            raise step
        if callable(step):
            step = step(request)
        data = step if isinstance(step, bytes) else step.replace("NONCE", nonce).encode()
        if on_output is not None:
            on_output(data)
        return Answer(0, data, b"")

    def close(self) -> None:
        self.closed = True


def question(request: str) -> Call:
    """Return the call that asks a request whose nonce is all zeros."""
    return Call("question", "host", "0" * 16, request)


def words_of(request: str) -> list[str]:
    """Return the words of a request, as its program on the target makes them."""
    plain = string.ascii_lowercase + string.ascii_uppercase + string.digits
    # Not by shlex, which takes a tenth of a second for a start. No quote is in what is quoted.
    hidden = request[:-1].rpartition("'")[2]
    text = hidden.translate(str.maketrans(plain[31:] + plain[:31], plain))
    return text.split("^")[1:]


def ids_in(request: str) -> list[str]:
    """Return the jobs that a request is about."""
    return [word[3:] for word in words_of(request) if word.startswith("id=")]


def frame(*records: str, name: str = "NONCE") -> str:
    """Return a whole reply; the records may hold data lines, which are not counted."""
    count = sum(
        1
        for record in records
        for line in record.split("\n")
        if " " in line or line in ("dir", "life")
    )
    return (
        "\n".join(["noise", f"{name} begin hex", *records, f"{name} end {count}", "noise"]) + "\n"
    )


def started(request: str) -> str:
    """Return a start's reply that starts all it asks for, in the directory /d/RUN."""
    ids = ids_in(request)
    run = ids[0].split("-")[0]
    directory = f"/d/{run}".encode().hex()
    return frame(f"dir\n{directory}\n.", *(f"started {id}" for id in ids))


def opened(request: str) -> str:
    """Return the reply to the opening of windows that opens all of them."""
    return frame(*(f"opened {id} {window}" for id, window in windows_in(request)))


def closed(*lines: str) -> Callable[[str], str]:
    """Return a reply to the closing of windows, in each of which this was seen."""
    data = "\n".join([*lines, "end", ""]).encode().hex()

    def reply(request: str) -> str:
        windows = windows_in(request)
        return frame(*(f"window {id} {window}\n{data}\n." for id, window in windows))

    return reply


def windows_in(request: str) -> list[tuple[str, str]]:
    """Return the windows that a request is about: the ids of their probes, and their own."""
    windows = [word[7:] for word in words_of(request) if word.startswith("window=")]
    return list(zip(ids_in(request), windows, strict=True))


def nothing(id: str) -> str:
    """Return the record and the data of a stream to which nothing was written."""
    mark = mark_of(id).encode()
    return f"{len(mark)} {len(mark)} 0\n{mark.hex()}\n."


def ended(state: str, name: str = "NONCE") -> Callable[[str], str]:
    """Return a wait's reply that reports all it asks for in one final state, without output."""

    def reply(request: str) -> str:
        records = [
            f"job {id} state.{state} -\nout {nothing(id)}\nerr {nothing(id)}"
            for id in ids_in(request)
        ]
        return frame(*records, name=name)

    return reply
