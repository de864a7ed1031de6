"""The words that all texts for people are made of. Pure; imports only tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..tasks import ANY_RC, Check, Probe, Service, Task, title


def named(kind: str, name: str, host: str) -> str:
    """Return how a message names a job; ``kind``: that of its task."""
    return f"{title(kind, name)} on {host}"


KINDS = (Check.kind, Service.kind, Probe.kind)
"""In the order in which people read of them."""


def run_title(kinds: Mapping[str, int]) -> str:
    """Return what all that is told of a run is about; ``kinds``: how many jobs of each kind."""
    there = [kind for kind in KINDS if kinds.get(kind)]
    return f"background {listed([f'{kind}s' for kind in there or [Check.kind]])}"


def count_jobs(kinds: Mapping[str, int]) -> str:
    """Return how many jobs of each kind there are: 3 background checks and 1 probe."""
    first, *rest = [kind for kind in KINDS if kinds.get(kind)] or [Check.kind]
    parts = [count(kinds.get(first, 0), f"background {first}")]
    return listed([*parts, *(count(kinds[kind], kind) for kind in rest)])


def listed(parts: Sequence[str]) -> str:
    """Return words as one: a, b and c."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def one_word(tasks: Iterable[Task]) -> str:
    """Return what tasks are: check or service, and job if there are several kinds."""
    kinds = {task.kind for task in tasks}
    return kinds.pop() if len(kinds) == 1 else "job"


def rc_codes(codes: Iterable[int]) -> str:
    """Return accepted exit codes for people."""
    return "any" if ANY_RC.issubset(codes) else ", ".join(map(str, sorted(codes)))


def duration(seconds: float | None) -> str:
    """Return seconds for people: 0.25 s, 12.4 s, 6 min 5 s, 2 h 3 min."""
    if seconds is None:
        return "an unknown time"
    if seconds < 0.005:
        return "0 s"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def bytes_of(size: int) -> str:
    return "1 byte" if size == 1 else f"{size:,} bytes"


def printable(text: str) -> str:
    """Return text that cannot command a terminal: controls and escapes made visible."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c in "\n\t" or c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def one_line(command: str) -> str:
    text = re.sub(r"\s*\n\s*", " ⏎ ", command.strip())
    text = printable(text)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(command):,} characters)"
