"""What runs under test have left behind on this computer: theirs only, whatever else runs here."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

MARK = f"BGCHECK_TESTS={uuid.uuid4()}"
"""In the environment of all that these tests start here."""


def _processes() -> Iterator[tuple[str, list[bytes], bytes]]:
    """Yield (pid, argv, environment) of the processes that these tests started."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            environ = entry.with_name("environ").read_bytes()
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if MARK.encode() in environ:
            yield entry.parent.name, words, environ


def _line(pid: str, words: list[bytes]) -> str:
    return f"{pid}: {b' '.join(words).decode(errors='replace')}"


def supervisors() -> set[str]:
    """Return the command lines of the supervisors and guards."""
    return {
        _line(pid, words)
        for pid, words, _ in _processes()
        if b"./supervisor.sh" in words or b"../supervisor.sh" in words
    }


def checks() -> set[str]:
    """Return the command lines of the checks' own processes."""
    return {
        _line(pid, words)
        for pid, words, environ in _processes()
        if b"PYTEST_BGCHECK_JOB=" in environ
    }


def directories() -> list[Path]:
    """Return the users' directories in ``TMPDIR``, which the test has for itself."""
    return list(Path(os.environ["TMPDIR"]).glob("pytest-bgcheck-*"))
