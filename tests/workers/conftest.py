"""Checks that count how often they run, and another computer."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import tool
from support.machines.requirements import require_root
from support.runs_in_background import HEAD, LONG, Run, eventually, runs


@pytest.fixture(autouse=True)
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which each check counts its runs."""
    path = tmp_path / "count"
    path.touch()
    monkeypatch.setenv("COUNT", str(path))
    return path


@pytest.fixture
def long_run(pytester: pytest.Pytester, count: Path) -> Iterator[Run]:
    """pytest with two workers, in front of jobs that take long."""
    pytester.makepyfile(HEAD + LONG)
    with Run(pytester, "-n2", "--max-worker-restart=0") as run:
        eventually(lambda: {"a", "b", "test_a", "test_b"} <= set(runs(count)))
        yield run


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A python that runs under another host name, with files of its own."""
    require_root("a host name of its own")
    unshare = tool("unshare", "util-linux")
    tmp_path.joinpath("elsewhere").mkdir()
    path = tmp_path / "python-elsewhere"
    path.write_text(
        f"#!/bin/sh\nexport TMPDIR={tmp_path}/elsewhere\n"
        f'exec {unshare} --uts sh -c \'hostname elsewhere; exec "$@"\' sh {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return path
