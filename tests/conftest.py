"""What all tests share: pytester, the machines, and a look for what a run left behind."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ("pytester", "machines.fixtures")


def _supervisors() -> set[str]:
    """Return the command lines of all supervisors and guards on this computer."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"./supervisor.sh" in words or b"../supervisor.sh" in words:
            found.add(f"{entry.parent.name}: {b' '.join(words).decode(errors='replace')}")
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a supervisor behind; containers' processes are seen here too."""
    before = _supervisors()
    yield
    left = _supervisors() - before
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the CI's own settings out of the runs under test."""
    for name in list(os.environ):
        if name.startswith(("PYTEST_", "ANSIBLE_")) and name != "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)
