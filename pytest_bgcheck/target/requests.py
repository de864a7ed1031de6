"""The requests to a target. With `replies`, the only room that knows what the supervisor's program
takes: `supervisor/words.sh` has each word of a request. Pure; imports only tasks and errors.

A request is one command line, ``/bin/sh -c '...' pytest-bgcheck NONCE '...'``, for the target's
login shell, whatever shell that is. Everybody on the target can read it in the list of processes.
So its words are joined and their letters replaced: not to hide them from people, but from checks
that look for a process by words of their own, and would find ours. Each value is encoded for
``printf %b``, in printable ASCII without a quote, a lone backslash, an exclamation mark or a
newline: fish and csh leave that as it is, and no level of quoting makes it longer.
"""

from __future__ import annotations

import importlib.resources
import re
import string
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import WrongUse
from ..tasks import Check, Service, Task
from .specification import look_specification, quote, specification

REQUEST_LIMIT = 90_000
"""Characters of one request. Linux takes 131,072 in one argument, and quoting adds to them."""

WORDS_LIMIT = 80_000
"""Characters of the jobs that one request names."""

REPLY_BUDGET = 4 << 20
"""Bytes of output in one reply, beyond which the next ended job waits for the next reply."""

FOLLOW_BUDGET = 1 << 20
"""Bytes of output in one frame of a follow. Nothing of it is seen before all of it has come."""

_UNSET = (
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
    f" FUNCNEST=700; unset {_UNSET}; "
)
"""What each request begins with: no option, function or variable of a login may change what the
program means, nor reach the shells and tools that it starts. The check gets them back: see
set_aside in `supervisor/start.sh`."""

_READ_WORDS = (
    '_text=$(printf %s "$2" | LC_ALL=C tr F-Z0-9a-zA-E a-zA-Z0-9);'
    ' case $_text in "")'
    ' for _tool in tr printf; do command -v "$_tool" >/dev/null 2>&1 || break; done;'
    ' echo; echo "$1 begin hex"; echo "refused * the target has no $_tool";'
    ' echo "$1 end 1"; exit 0 ;;'
    " esac;"
    " IFS=^; set -f; set -- $_text; unset IFS; set +f;"
    ' _source=$(printf %b "$1"); shift; eval "$_source"'
)
"""What comes next: it makes the words of what was joined, and runs the first as a program."""

_PLAIN = string.ascii_lowercase + string.ascii_uppercase + string.digits
_HIDDEN = str.maketrans(_PLAIN, _PLAIN[31:] + _PLAIN[:31])

_PRESENCE = 'echo; echo "$3 begin none"; echo "$3 end 0"'


@dataclass(frozen=True)
class Spec:
    """One job to start: its task under the id that it has in this run, and its terms' digest."""

    id: str
    task: Task
    terms: str = "0"


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


def _source() -> str:
    """Return the whole program: the main part, with each other part in the place of its line."""
    return _PART.sub(lambda line: _part(line[1]), _part("main"))


_PART = re.compile(r"^\. \./(\w+)\.sh\n", re.M)


def _part(name: str) -> str:
    folder = importlib.resources.files(__package__) / "supervisor"
    return (folder / f"{name}.sh").read_text("ascii")


def _stripped(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(x for x in lines if x and not x.startswith("#")) + "\n"


# Read here, and not by the thread that first makes a request: to read a package's data may import
# something, and in a child that is forked meanwhile that import never ends.

SUPERVISOR = _stripped(_source())
"""The supervisor's program, without comments and indentation."""

_WAY_IN = _stripped(_part("way_in")) + 'enter_run "$@"\n'
"""What a request runs before the program that lies on the target."""


def seconds(value: float) -> str:
    """Format seconds for the target's ``sleep``: an integer where it is one."""
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def start_requests(
    run_id: str, base: str, specs: Sequence[Spec], nonces: Iterator[str], shell: str = "/bin/sh"
) -> Iterator[tuple[str, str, tuple[Spec, ...]]]:
    """Yield (nonce, request, the jobs that it starts), in as few requests as their size allows.

    A request that starts no job sends a part of a script or of a large specification.
    ``base`` is the directory for the user's directory, empty for the target's ``TMPDIR`` or
    ``/tmp``. Each request can be repeated.
    """
    words: list[str] = []
    started: list[Spec] = []
    said: dict[str, str] = {}
    room = free = _room()

    def request() -> tuple[str, str, tuple[Spec, ...]]:
        nonce = next(nonces)
        head = ["start", shell, nonce, run_id, f"base={encode(base)}"]
        return nonce, _command(shell, nonce, SUPERVISOR, [*head, *words]), tuple(started)

    for spec in specs:
        for item, last in _items(spec, room):
            more = _words(item, said)
            if words and _length(more) > free:
                yield request()
                words, started, said, free = [], [], {}, room
                more = _words(item, said)
            words += more
            said |= item
            free -= _length(more)
            if last:
                started.append(spec)
    if words:
        yield request()


_SERVICE = ("ready_timeout_cs", "ready_size", "ready", "pattern", "unready")
_OWN = frozenset(("file", "data", "terms", "spec_size", "spec", "id", *_SERVICE))
"""The words that hold for one job, or one file, alone."""


def _words(item: Mapping[str, str], said: Mapping[str, str]) -> list[str]:
    """Return the words of a job or a file, without those that hold since they were said ahead."""
    return [
        f"{name}={value}"
        for name, value in item.items()
        if value != ("" if name in _OWN else said.get(name, ""))
    ]


def _length(words: Iterable[str]) -> int:
    return sum(len(word) + 1 for word in words)


def _room() -> int:
    return REQUEST_LIMIT - len(encode(SUPERVISOR)) - len(_HEAD) - 500


LONGEST_WORD = (128 << 10) - 1
"""Bytes that Linux takes in one argument, or in one variable with its name."""


def check_size(task: Task) -> None:
    """Raise WrongUse for a check with a word that is too long to start a program with."""
    words = [("command" if task.script is None else "args", word) for word in task.argv]
    words += [(f"env[{name!r}]", f"{name}={value}") for name, value in task.env]
    if isinstance(task, Service):
        words += [("ready", word) for word in task.ready_argv]
    for argument, word in words:
        size = len(word.encode("utf-8", "surrogateescape"))
        if size > LONGEST_WORD:
            raise WrongUse(
                f"{argument} is too long: a program takes {LONGEST_WORD:,} bytes in one word, this"
                f" has {size:,}; a script or its input can be longer"
            )


def _items(spec: Spec, room: int) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield what a start says of one job: its files, then the job itself, with True."""
    task = spec.task
    text = specification(task).encode("utf-8", "surrogateescape")
    script = b"" if task.script is None else task.script.content
    yield from _files("script", spec, script, room)
    inline = encode(text)
    if len(inline) > room // 2:
        yield from _files("spec", spec, text, room)
        inline = ""
    service: dict[str, str] = {}
    if isinstance(task, Service):
        look = look_specification(task).encode("utf-8", "surrogateescape")
        inline_look = encode(look)
        if len(inline_look) > room // 4:
            yield from _files("look", spec, look, room)
            inline_look = ""
        service = {
            "ready_timeout_cs": str(round(task.ready_timeout_s * 100)),
            "ready_size": str(len(look)),
            "ready": inline_look,
            "pattern": encode(task.ready_output or ""),
        }
    every_s = task.retry_every_s if isinstance(task, Check) else None
    job = {
        "retry_every_s": "" if every_s is None else seconds(every_s),
        "rc": ",".join(map(str, sorted(task.accepted))),
        "terms": spec.terms,
        "script_size": str(len(script)),
        "spec_size": str(len(text)),
        "spec": inline,
    }
    yield job | service | _job(spec), True


def _job(spec: Spec) -> dict[str, str]:
    """Return what a request says of each job. Its check can change what its directory says."""
    task = spec.task
    return {
        "timeout_cs": str(round(task.timeout_s * 100)),
        "grace_cs": str(round(task.grace_s * 100)),
        "output_limit": str(task.output_limit),
        "id": spec.id,
    }


def _files(kind: str, spec: Spec, data: bytes, room: int) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield the files that make up ``data``, in parts for which a request has room."""
    # Encoding makes at most five characters of a byte; some room is for the other words.
    step = room // 5 - 100
    for number, offset in enumerate(range(0, len(data), step)):
        name = f"{kind}-{spec.id}.{spec.terms}.{number:04d}"
        yield {"file": name, "data": encode(data[offset : offset + step])}, False


def await_request(
    directory: bytes,
    nonce: str,
    expire_s: int,
    specs: Iterable[Spec],
    shell: str = "/bin/sh",
    stream: bool = False,
    stored: str = "",
    proof: bool = False,
    unready: Container[str] = (),
    at_end: bool = False,
) -> str:
    """Build the wait for the first of some jobs to end, for ``expire_s`` at the longest.

    With ``stream`` the reply goes on until all have ended: see `replies.Stream`. ``stored`` is the
    name of a list that was sent ahead, of more jobs than a request can name: see `store_requests`.
    Of the services whose ids are in ``unready`` it also tells that they have become ready. With
    ``proof`` no end is waited for: a reply that neither tells of a job nor refuses proves that
    all run; with ``at_end``, where that matters no more, or are being cancelled.
    """
    words = [f"expire_s={expire_s}", f"budget={REPLY_BUDGET}", f"stream={1 if stream else 0}"]
    words += [f"proof={'end' if at_end else 1}"] if proof else []
    words += [f"list={stored}"] if stored else _job_words(specs, unready)
    return _ask(directory, "await", nonce, shell, *words)


def store_requests(
    directory: bytes,
    name: str,
    specs: Iterable[Spec],
    nonces: Iterator[str],
    shell: str = "/bin/sh",
    unready: Container[str] = (),
) -> Iterator[tuple[str, str]]:
    """Yield (nonce, request), to send the list of jobs for one wait ahead of it, in parts.

    Yields nothing if a request can name them all. ``name`` is of letters and digits. The wait that
    names the list removes it.
    """
    parts: list[list[str]] = [[]]
    free = WORDS_LIMIT
    for word in _job_words(specs, unready):
        if len(word) + 3 > free:
            parts.append([])
            free = WORDS_LIMIT
        parts[-1].append(word)
        free -= len(word) + 3
    for number, words in enumerate(parts if len(parts) > 1 else []):
        nonce = next(nonces)
        yield nonce, _ask(directory, "store", nonce, shell, f"list={name}.{number:04d}", *words)


def _job_words(specs: Iterable[Spec], unready: Container[str] = ()) -> list[str]:
    words: list[str] = []
    said: dict[str, str] = {}
    for spec in specs:
        job = {"unready": "1" if spec.id in unready else ""} | _job(spec)
        words += _words(job, said)
        said |= job
    return words


def tail_request(
    directory: bytes, nonce: str, specs: Iterable[Spec], shell: str = "/bin/sh"
) -> str:
    """Build the question how some jobs stand, and what their output is so far."""
    return _ask(directory, "tail", nonce, shell, *_job_words(specs))


@dataclass(frozen=True)
class Place:
    """How far the output of a job was read: offsets in its two streams, of which attempt.

    An offset None: what is written from now on. ``attempt`` 0: it is not known.
    """

    stdout: int | None = 0
    stderr: int | None = 0
    attempt: int = 0


def follow_request(
    directory: bytes,
    nonce: str,
    expire_s: int,
    places: Iterable[tuple[Spec, Place]],
    shell: str = "/bin/sh",
    stream: bool = False,
    budget: int = FOLLOW_BUDGET,
) -> str:
    """Build the question what some jobs write from these places on, for ``expire_s`` at most.

    With ``stream`` the reply goes on until all have ended: see `replies.Stream`. Without, it comes
    as soon as there is something to tell. ``budget``: about how many bytes of output one reply, or
    frame of it, has at the most.
    """
    words = [f"expire_s={expire_s}", f"budget={budget}", f"stream={1 if stream else 0}"]
    said: dict[str, str] = {}
    for spec, place in places:
        job = {
            "output_limit": str(spec.task.output_limit),
            "attempt": str(place.attempt),
            "from_out": "end" if place.stdout is None else str(place.stdout),
            "from_err": "end" if place.stderr is None else str(place.stderr),
            "id": spec.id,
        }
        words += _words(job, said)
        said |= job
    return _ask(directory, "follow", nonce, shell, *words)


def unfollow_request(directory: bytes, nonce: str, ends: str, shell: str = "/bin/sh") -> str:
    """Build the end of the follow with the nonce ``ends``, whose reader is gone."""
    return _ask(directory, "unfollow", nonce, shell, f"ends={ends}")


def cancel_request(
    directory: bytes, nonce: str, specs: Iterable[Spec], shell: str = "/bin/sh"
) -> str:
    return _ask(directory, "cancel", nonce, shell, *(f"id={spec.id}" for spec in specs))


def clean_request(
    where: bytes | str, nonce: str, run_id: str, keep: bool, shell: str = "/bin/sh"
) -> str:
    """Build the end of a run: end all its processes and, unless ``keep``, remove its directory.

    ``where`` is that directory. For a run whose start was never answered it is the base that the
    start was given, as a str.
    """
    word = f"keep={1 if keep else 0}"
    if isinstance(where, bytes):
        return _ask(where, "clean", nonce, shell, word)
    words = ["below", encode(where), "clean", shell, nonce, run_id, word]
    return _command(shell, nonce, _WAY_IN, words)


def presence_request(nonce: str, shell: str = "/bin/sh") -> str:
    """Build the question whether there is a shell at all. It needs nothing of a run."""
    return _command(shell, nonce, _PRESENCE, ["present", shell, nonce])


def _ask(directory: bytes, verb: str, nonce: str, shell: str, *words: str) -> str:
    run_id = directory.rpartition(b"/")[2].decode("ascii")
    enter = ["in", encode(directory), verb, shell, nonce, run_id]
    return _command(shell, nonce, _WAY_IN, [*enter, *words])


def _command(shell: str, nonce: str, program: str, words: Iterable[str]) -> str:
    text = "^".join([encode(program), *words]).translate(_HIDDEN)
    return f"{shell} -c {quote(_HEAD + _READ_WORDS)} pytest-bgcheck {nonce} {quote(text)}"
