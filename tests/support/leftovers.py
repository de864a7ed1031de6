"""What runs under test have left behind on this computer: theirs only, whatever else runs here."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

MARK = f"BGCHECK_TESTS={uuid.uuid4()}"
"""In the environment of all that these tests start here."""


def _processes() -> Iterator[tuple[str, list[bytes]]]:
    """Yield the pid and the argv of each process."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        yield pid, _read(pid, "cmdline").split(b"\0")


def _read(pid: str, name: str) -> bytes:
    """Return a file of a process, empty if it has ended."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return b""


def _environ_of_ours(pid: str) -> bytes:
    """Return the environment of a process that these tests started, empty for others."""
    environ = _read(pid, "environ")
    return environ if MARK.encode() in environ else b""


def _line(pid: str, words: list[bytes]) -> str:
    return f"{pid}: {b' '.join(words).decode(errors='replace')}"


def supervisors() -> set[str]:
    """Return the command lines of the supervisors and guards."""
    # After each test: the environment only of those whose few words say that they may be one.
    return {
        _line(pid, words)
        for pid, words in _processes()
        if (b"./supervisor.sh" in words or b"../supervisor.sh" in words) and _environ_of_ours(pid)
    }


def checks() -> set[str]:
    """Return the command lines of the checks' own processes."""
    return {
        _line(pid, words)
        for pid, words in _processes()
        if b"PYTEST_BGCHECK_JOB=" in _environ_of_ours(pid)
    }


def directories() -> list[Path]:
    """Return the users' directories in ``TMPDIR``, which the test has for itself."""
    return list(Path(os.environ["TMPDIR"]).glob("pytest-bgcheck-*"))
