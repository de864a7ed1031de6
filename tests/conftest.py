"""What all tests share: pytester, the machines, and a look for what a run left behind."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ("pytester", "machines.fixtures")


MARK = f"BGCHECK_TESTS={uuid.uuid4()}"
"""In the environment of all that these tests start here, whatever else runs on the computer."""


def _supervisors() -> set[str]:
    """Return the command lines of the supervisors and guards that these tests started."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
            if MARK.encode() not in entry.with_name("environ").read_bytes():
                continue
        except OSError:
            continue
        if b"./supervisor.sh" in words or b"../supervisor.sh" in words:
            found.add(f"{entry.parent.name}: {b' '.join(words).decode(errors='replace')}")
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a supervisor behind."""
    yield
    left = _supervisors()
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the CI's own settings out of the runs under test, and mark them."""
    monkeypatch.setenv(*MARK.split("="))
    for name in ("CI", "BUILD_NUMBER"):  # pytest cuts no line there
        monkeypatch.delenv(name, raising=False)
    for name in list(os.environ):
        if name.startswith(("PYTEST_", "ANSIBLE_")) and name != "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)
