"""The requests to a target. With `replies`, the only room that knows what the supervisor's program
takes: `supervisor/words.sh` has each word of a request. Pure; imports only tasks and errors.

A request is one command line, ``/bin/sh -c '...' pytest-bgcheck NONCE '...'``: see `command_line`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import WrongUse
from ..tasks import Check, Probe, Service, Task
from .command_line import HEAD, SUPERVISOR, WAY_IN, command, encode, in_run
from .specification import look_specification, specification

REQUEST_LIMIT = 110_000
"""Characters of one request. Linux takes 131,072 in one argument, and quoting adds to them: where a
backend writes it as JSON, about 8,000."""

WORDS_LIMIT = 80_000
"""Characters of the jobs that one request names."""

REPLY_BUDGET = 4 << 20
"""Bytes of output in one reply, beyond which the next ended job waits for the next reply."""

FOLLOW_BUDGET = 1 << 20
"""Bytes of output in one frame of a follow. Nothing of it is seen before all of it has come."""

_PRESENCE = 'echo; echo "$3 begin none"; echo "$3 end 0"'


@dataclass(frozen=True)
class Spec:
    """One job to start: its task under the id that it has in this run, and its terms' digest."""

    id: str
    task: Task
    terms: str = "0"


def seconds(value: float) -> str:
    """Format seconds for the target's ``sleep``: an integer where it is one."""
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def centiseconds(value: float) -> str:
    """Format a limit for the target. What is shorter than it can tell is as short as it can."""
    return str(round(value * 100) or (1 if value else 0))


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
        return nonce, command(shell, nonce, SUPERVISOR, [*head, *words]), tuple(started)

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
_PROBE = ("every_cs", "sample_timeout_cs", "window")
_OWN = frozenset(("file", "data", "terms", "spec_size", "spec", "id", *_SERVICE, *_PROBE))
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
    return REQUEST_LIMIT - len(encode(SUPERVISOR)) - len(HEAD) - 500


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
    own: dict[str, str] = {}
    if isinstance(task, Service):
        look = look_specification(task).encode("utf-8", "surrogateescape")
        inline_look = encode(look)
        if len(inline_look) > room // 4:
            yield from _files("look", spec, look, room)
            inline_look = ""
        own = {
            "ready_timeout_cs": centiseconds(task.ready_timeout_s),
            "ready_size": str(len(look)),
            "ready": inline_look,
            "pattern": encode(task.ready_output or ""),
        }
    elif isinstance(task, Probe):
        own = {
            "every_cs": centiseconds(task.every_s),
            "sample_timeout_cs": centiseconds(task.sample_timeout_s),
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
    yield job | own | _job(spec), True


def _job(spec: Spec) -> dict[str, str]:
    """Return what a request says of each job. Its check can change what its directory says."""
    task = spec.task
    return {
        "timeout_cs": centiseconds(task.timeout_s),
        "grace_cs": centiseconds(task.grace_s),
        "output_limit": str(task.output_limit),
        "id": spec.id,
    }


def _files(kind: str, spec: Spec, data: bytes, room: int) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield the files that make up ``data``, in parts for which a request has room."""
    offset = number = 0
    while offset < len(data):
        size, encoded = _encoded_part(data[offset : offset + room], room - 500)
        name = f"{kind}-{spec.id}.{spec.terms}.{number:04d}"
        yield {"file": name, "data": encoded}, False
        offset, number = offset + size, number + 1


def _encoded_part(data: bytes, room: int) -> tuple[int, str]:
    """Return how many bytes from the beginning of ``data`` are encoded here, for which there is
    room, and them. Encoding makes at most five characters of a byte."""
    size = len(data)
    encoded = encode(data)
    while len(encoded) > room:
        size = size * room // len(encoded)
        encoded = encode(data[:size])
    return size, encoded


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
    return in_run(directory, "await", nonce, shell, *words)


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
        yield nonce, in_run(directory, "store", nonce, shell, f"list={name}.{number:04d}", *words)


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
    return in_run(directory, "tail", nonce, shell, *_job_words(specs))


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
    return in_run(directory, "follow", nonce, shell, *words)


def unfollow_request(directory: bytes, nonce: str, ends: str, shell: str = "/bin/sh") -> str:
    """Build the end of the follow with the nonce ``ends``, whose reader is gone."""
    return in_run(directory, "unfollow", nonce, shell, f"ends={ends}")


def open_request(
    directory: bytes, nonce: str, windows: Iterable[tuple[Spec, str]], shell: str = "/bin/sh"
) -> str:
    """Build the opening of windows, each of a probe, with an id of letters and digits that is new.

    It can be repeated. See `replies.Reply.opened`.
    """
    words = [word for spec, id in windows for word in (f"window={id}", f"id={spec.id}")]
    return in_run(directory, "open", nonce, shell, *words)


def close_request(
    directory: bytes,
    nonce: str,
    expire_s: int,
    windows: Iterable[tuple[Spec, str]],
    shell: str = "/bin/sh",
) -> str:
    """Build the closing of windows: what was seen is waited for ``expire_s`` at the longest.

    It can be repeated. See `replies.Reply.windows`.
    """
    words = [f"expire_s={expire_s}"]
    said: dict[str, str] = {}
    for spec, id in windows:
        job = {"window": id} | _job(spec)
        words += _words(job, said)
        said |= job
    return in_run(directory, "close", nonce, shell, *words)


def cancel_request(
    directory: bytes, nonce: str, specs: Iterable[Spec], shell: str = "/bin/sh"
) -> str:
    return in_run(directory, "cancel", nonce, shell, *(f"id={spec.id}" for spec in specs))


def clean_request(
    where: bytes | str, nonce: str, run_id: str, keep: bool, shell: str = "/bin/sh"
) -> str:
    """Build the end of a run: end all its processes and, unless ``keep``, remove its directory.

    ``where`` is that directory. For a run whose start was never answered it is the base that the
    start was given, as a str.
    """
    word = f"keep={1 if keep else 0}"
    if isinstance(where, bytes):
        return in_run(where, "clean", nonce, shell, word)
    words = ["below", encode(where), "clean", shell, nonce, run_id, word]
    return command(shell, nonce, WAY_IN, words)


def presence_request(nonce: str, shell: str = "/bin/sh") -> str:
    """Build the question whether there is a shell at all. It needs nothing of a run."""
    return command(shell, nonce, _PRESENCE, ["present", shell, nonce])
