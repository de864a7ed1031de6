"""The words that all texts for people are made of. Pure; imports only tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..tasks import ANY_RC, Task, title


def named(kind: str, name: str, host: str) -> str:
    """Return how a message names a job; ``kind``: that of its task."""
    return f"{title(kind, name)} on {host}"


def run_title(jobs: int, services: int) -> str:
    """Return what all that is told of a run is about: so many jobs, with so many services."""
    if not services:
        return "background checks"
    return "background services" if services == jobs else "background checks and services"


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


def count_jobs(checks: int, services: int) -> str:
    """Return how many jobs of each kind there are."""
    if not services:
        return count(checks, "background check")
    if not checks:
        return count(services, "background service")
    return f"{count(checks, 'background check')} and {count(services, 'service')}"


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
