"""The words spoken with a target: requests built, framed replies parsed. The only room that knows
the supervisor's files and records. Pure; imports only model and errors.

A request is one command line for the target's login shell, whatever shell that is. It is
``/bin/sh -c '...' pytest-bgcheck NONCE '...'``, and stands in an argument list that everybody on
the target can read. Its words are joined and hidden: not from people, but from checks that look for
what they know among all processes, and would find us. Each value is encoded for ``printf %b`` and
so is printable ASCII without a quote, a backslash pair, an exclamation mark or a newline: fish and
csh pass it through unharmed, and no level of quoting multiplies it.
"""

from __future__ import annotations

import base64
import binascii
import functools
import importlib.resources
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from .errors import BadReply, WrongUse
from .model import EMPTY, Check, Output, Result, State

REQUEST_LIMIT = 90_000
"""Characters of one request. Linux takes 131,072 in one argument, and quoting adds to them."""

WORDS_LIMIT = 80_000
"""Characters of the jobs that one request names."""

REPLY_BUDGET = 4 << 20
"""Bytes of output in one reply, beyond which the next ended job waits for the next reply."""

_TAKEN = (
    "IFS CDPATH ENV BASH_ENV BASH_COMPAT TMOUT PS4 FUNCNEST GLOBIGNORE EXECIGNORE _POSIX2_VERSION"
    " GREP_OPTIONS GREP_COLOR GREP_COLORS BLOCK_SIZE BLOCKSIZE LS_BLOCK_SIZE TIME_STYLE"
    " QUOTING_STYLE LS_COLORS TABSIZE COLUMNS"
)
_HEAD = (
    "set +aCefmuvx; case ${BASH_VERSION-} in"
    # bash leaves POSIX mode with the variable, and closes the descriptor with its number.
    " ?*) set +k; unset -f $(compgen -A function); shopt -u failglob nullglob dotglob globstar"
    " nocasematch nocaseglob xpg_echo lastpipe; export -n SHELLOPTS BASHOPTS POSIXLY_CORRECT"
    " BASH_XTRACEFD;; *) unset SHELLOPTS BASHOPTS POSIXLY_CORRECT BASH_XTRACEFD;; esac;"
    f" FUNCNEST=700; unset {_TAKEN}; "
)
"""What stands ahead of every request: no option, function or variable of a login may change what
our program means, nor reach the shells and tools that it starts. The check gets them back: see
set_aside in supervisor.sh."""

_PROGRAM = (
    '_text=$(printf %s "$2" | LC_ALL=C tr F-Z0-9a-zA-E a-zA-Z0-9);'
    ' case $_text in "")'
    ' for _tool in tr printf; do command -v "$_tool" >/dev/null 2>&1 || break; done;'
    ' echo; echo "$1 begin hex"; echo "refused * there is no $_tool"; echo "$1 end 1"; exit 0 ;;'
    " esac;"
    " IFS=^; set -f; set -- $_text; unset IFS; set +f;"
    ' _source=$(printf %b "$1"); shift; eval "$_source"'
)
"""What each request begins with: it makes its words of what is hidden, and runs the first."""

_PLAIN = string.ascii_lowercase + string.ascii_uppercase + string.digits
_HIDDEN = str.maketrans(_PLAIN, _PLAIN[31:] + _PLAIN[:31])

_PRESENCE = 'echo; echo "$3 begin none"; echo "$3 end 0"'


@dataclass(frozen=True)
class Spec:
    """One job to start: a check under the id that it has in this run, and its terms' digest."""

    id: str
    check: Check
    terms: str = "0"


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


# --- requests ---------------------------------------------------------------------------------


def encode(data: bytes | str) -> str:
    """Encode bytes for ``printf %b``, in printable ASCII that every login shell leaves alone."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return _JINJA.sub("\\\\0173", "".join(_CODES[byte] for byte in data))


_CODES = [
    chr(byte) if 32 <= byte < 127 and chr(byte) not in "'\\!^" else f"\\0{byte:03o}"
    for byte in range(256)
]
_CODES[ord("\n")] = "\\n"
_JINJA = re.compile(r"\{(?=[{%#])")
"""What Ansible's ad-hoc command would take for a template."""


def quote(text: str) -> str:
    """Quote for a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


@functools.cache
def supervisor() -> str:
    """Return the supervisor's program, without comments and indentation."""
    return _stripped(_source())


@functools.cache
def _way_in() -> str:
    """Return the part of it that is run before anything that lies on the target."""
    part = _source().partition("# --- the way in")[2].partition("# --- ")[0]
    return _stripped(part.partition("\n")[2]) + 'enter_run "$@"\n'


def _source() -> str:
    return importlib.resources.files(__package__).joinpath("supervisor.sh").read_text("ascii")


def _stripped(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(x for x in lines if x and not x.startswith("#")) + "\n"


def seconds(value: float) -> str:
    """Format seconds for the target's ``sleep``: an integer where it is one."""
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def specification(spec: Spec) -> str:
    """Return the program that becomes the check: its directory, its variables, its argv."""
    check = spec.check
    words = [quote(word) for word in check.argv]
    program = "" if not check.argv else check.argv[0]
    if check.script is not None:
        interpreter = _interpreter(check.script.content)
        # Without one a shell has to find out what it is, which may be a script of its own.
        program = interpreter[0] if interpreter else "="
        words = [*map(quote, interpreter), '"$_job/script"', *words]
    if "=" in program:
        # env would take such a program for one more variable, print all of them, and succeed.
        words = ["/bin/sh", "-c", quote('exec "$@"; exit 127'), "sh", *words]
    variables = [quote(f"{name}={value}") for name, value in check.env]
    lines = [] if check.cwd is None else [f"enter {quote(check.cwd)}"]
    return "\n".join([*lines, " ".join(["become", *variables, *words])]) + "\n"


def _interpreter(content: bytes) -> list[str]:
    """Return the words of a script's ``#!`` line, as Linux splits them: at most two.

    The interpreter is called by name, so that a script runs from a noexec directory too. Without
    such a line the file itself is executed.
    """
    match = re.match(rb"#!\s*(\S+)[ \t]*([^\r\n]*)", content)
    if not match:
        return []
    words = [match[1], match[2].rstrip()]
    return [word.decode("utf-8", "surrogateescape") for word in words if word]


def start_requests(
    run: str, base: str, specs: Sequence[Spec], nonces: Iterator[str], shell: str = "/bin/sh"
) -> Iterator[tuple[str, str, tuple[Spec, ...]]]:
    """Yield (nonce, request, the jobs that it starts): as few requests as their size allows.

    A request that starts no job sends a part of a large script or specification ahead of it.
    ``base`` is the directory for the user's directory, empty for the target's ``TMPDIR`` or
    ``/tmp``. Each request can be repeated.
    """
    items: list[str] = []
    taken: list[Spec] = []
    room = free = _room()

    def request() -> tuple[str, str, tuple[Spec, ...]]:
        nonce = next(nonces)
        words = ["start", shell, nonce, encode(base), run, *items]
        return nonce, _command(shell, nonce, supervisor(), words), tuple(taken)

    for spec in specs:
        for item, last in _items(spec, room):
            size = sum(len(word) + 1 for word in item)
            if items and size > free:
                yield request()
                items, taken, free = [], [], room
            items += item
            free -= size
            if last:
                taken.append(spec)
    if items:
        yield request()


def _room() -> int:
    return REQUEST_LIMIT - len(encode(supervisor())) - len(_HEAD) - 500


LONGEST_WORD = (128 << 10) - 1
"""Bytes that Linux takes in one argument, or in one variable with its name."""


def check_size(check: Check) -> None:
    """Raise WrongUse for a check that no program can be started with."""
    words = [("command" if check.script is None else "args", word) for word in check.argv]
    words += [(f"env[{name!r}]", f"{name}={value}") for name, value in check.env]
    for argument, word in words:
        size = len(word.encode("utf-8", "surrogateescape"))
        if size > LONGEST_WORD:
            raise WrongUse(
                f"{argument} is too long: a program takes {LONGEST_WORD:,} bytes in one word, this"
                f" has {size:,}; a script or its input can be longer"
            )


def _items(spec: Spec, room: int) -> Iterator[tuple[list[str], bool]]:
    """Yield the items of a start request for one job, and whether it is its last."""
    check = spec.check
    text = specification(spec).encode("utf-8", "surrogateescape")
    script = b"" if check.script is None else check.script.content
    for number, part in enumerate(_parts(script, room)):
        yield ["file", f"script-{spec.id}.{spec.terms}.{number:04d}", part], False
    inline = encode(text)
    if len(inline) > room // 2:
        for number, part in enumerate(_parts(text, room)):
            yield ["file", f"spec-{spec.id}.{spec.terms}.{number:04d}", part], False
        inline = ""
    yield (
        [
            "job",
            spec.id,
            inline,
            str(len(text)),
            str(round(check.timeout_s * 100)),
            str(round(check.grace_s * 100)),
            "" if check.retry_every_s is None else seconds(check.retry_every_s),
            ",".join(map(str, sorted(check.rc))),
            spec.terms,
            str(len(script)),
            str(check.output_limit),
        ],
        True,
    )


def _parts(data: bytes, room: int) -> Iterator[str]:
    """Yield data encoded, in parts that a request has room for."""
    # Five characters is what encoding makes of one byte at the worst, and a little for the rest.
    step = room // 5 - 100
    for offset in range(0, len(data), step):
        yield encode(data[offset : offset + step])


def await_request(
    directory: bytes,
    nonce: str,
    expire_s: int,
    specs: Iterable[Spec],
    shell: str = "/bin/sh",
    stream: bool = False,
    kept: str = "",
) -> str:
    """Build the wait for the first of some jobs to end, for ``expire_s`` at the longest.

    With ``stream`` the reply goes on until all have ended: see :class:`Stream`. ``kept`` names the
    list that was sent ahead, of more jobs than a request can name: see `keep_requests`.
    """
    limits = [str(expire_s), str(REPLY_BUDGET), "1" if stream else "0"]
    words = [f"@{kept}"] if kept else _job_words(specs)
    return _ask(directory, "await", nonce, shell, *limits, *words)


def keep_requests(
    directory: bytes,
    name: str,
    specs: Iterable[Spec],
    nonces: Iterator[str],
    shell: str = "/bin/sh",
) -> Iterator[tuple[str, str]]:
    """Yield (nonce, request): what sends ahead, in parts, the list of jobs that one wait is for.

    Yields nothing where a request can name them all. ``name``: letters and digits; the wait that
    names the list removes it.
    """
    parts: list[list[str]] = [[]]
    free = WORDS_LIMIT
    for word in _job_words(specs):
        if len(word) + 3 > free:
            parts.append([])
            free = WORDS_LIMIT
        parts[-1].append(word)
        free -= len(word) + 3
    for number, words in enumerate(parts if len(parts) > 1 else []):
        nonce = next(nonces)
        yield nonce, _ask(directory, "keep", nonce, shell, f"{name}.{number:04d}", *words)


def _job_words(specs: Iterable[Spec]) -> list[str]:
    # With its terms: what stands in a job's directory can have been put there by its check.
    return [
        f"{spec.id}={round(spec.check.timeout_s * 100)}.{round(spec.check.grace_s * 100)}"
        f"={spec.check.output_limit}"
        for spec in specs
    ]


def tail_request(
    directory: bytes, nonce: str, specs: Iterable[Spec], shell: str = "/bin/sh"
) -> str:
    """Build the question how some jobs stand, with their output so far."""
    return _ask(directory, "tail", nonce, shell, *_job_words(specs))


def cancel_request(
    directory: bytes, nonce: str, specs: Iterable[Spec], shell: str = "/bin/sh"
) -> str:
    return _ask(directory, "cancel", nonce, shell, *(spec.id for spec in specs))


def clean_request(
    where: bytes | str, nonce: str, run: str, keep: bool, shell: str = "/bin/sh"
) -> str:
    """Build the end of a run: end all its processes and, unless ``keep``, remove its directory.

    ``where`` is that directory or, as a str, the base that its start was given, for a run whose
    start was never answered.
    """
    if isinstance(where, bytes):
        return _ask(where, "clean", nonce, shell, "1" if keep else "0")
    words = ["below", encode(where), "clean", shell, nonce, run, "1" if keep else "0"]
    return _command(shell, nonce, _way_in(), words)


def presence_request(nonce: str, shell: str = "/bin/sh") -> str:
    """Build the question whether a shell is there at all, in which nothing of a run has a part."""
    return _command(shell, nonce, _PRESENCE, ["present", shell, nonce])


def _ask(directory: bytes, verb: str, nonce: str, shell: str, *words: str) -> str:
    run = directory.rpartition(b"/")[2].decode("ascii")
    enter = ["in", encode(directory), verb, shell, nonce, run]
    return _command(shell, nonce, _way_in(), [*enter, *words])


def _command(shell: str, nonce: str, program: str, words: Iterable[str]) -> str:
    text = "^".join([encode(program), *words]).translate(_HIDDEN)
    return f"{shell} -c {quote(_HEAD + _PROGRAM)} pytest-bgcheck {nonce} {quote(text)}"


# --- replies ----------------------------------------------------------------------------------


def parse(nonce: str, data: bytes) -> Reply:
    """Parse the reply to the request with this nonce.

    Raises BadReply unless there is exactly one whole frame of it.
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
    except (ValueError, IndexError, KeyError, TypeError, binascii.Error) as error:
        raise BadReply(f"a reply that makes no sense: {error}") from None
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
            detail = f"its state on the target makes no sense: {state}"
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
    "the check overwrote it, as what opens /dev/stdout or /dev/stderr by name does; let it write to"
    " >&1 or >&2"
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
    "cwd": "cannot change to its directory",
    "output": "cannot write its output on the target",
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
            missing = "no space left where the target keeps it"
            detail = f"output cut short: {missing}"
            stdout, stderr = replace(stdout, missing=missing), replace(stderr, missing=missing)
        return Result(State.SUCCEEDED, rc, took / 100, attempts, detail, stdout, stderr)
    took, attempts, left = map(_number, facts[:3])
    note, *suspects = (facts[3:] or ["x"])[0].split("-")
    details = []
    if note == "W":
        details.append("its directory on the target cannot be written any more")
    elif kind == "lost":
        details.append("its supervisor was killed, or the target restarted")
    elif note == "T":
        details.append("it had been stopped (SIGSTOP)")
    if facts[4:]:
        details.append(f"its last whole attempt ended with rc {_number(facts[4])}")
    if left:
        details.append(f"{left} of its processes could not be killed")
    if suspects:
        details.append(
            "possibly this check's, so not killed: processes "
            + ", ".join(str(_number(pid)) for pid in suspects)
        )
    detail = "; ".join(details)
    return Result(ENDED[kind], None, took / 100, attempts, detail, stdout, stderr)
