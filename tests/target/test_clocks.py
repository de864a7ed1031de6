"""The target's clock jumps."""

import os
from pathlib import Path

import pytest
from support.machines import ChrootDir, applets
from support.real_targets import RealRun, target
from support.supervisor_client import Client

from pytest_bgcheck.model import State

pytestmark = pytest.mark.once

JUMPING = """#!/bin/sh
# Forward by a year, and back.
read n <{file}; echo $((n + 1)) >{file}
case $n in *[13579]) echo $((1800000000 + n)) ;; *) echo $((1700000000 + n)) ;; esac
"""


def test_a_clock_that_jumps_changes_nothing(local: Client, tmp_path: Path) -> None:
    path = tmp_path / "jumping"
    path.mkdir()
    path.joinpath("n").write_text("0\n")
    path.joinpath("date").write_text(JUMPING.format(file=path / "n"))
    path.joinpath("date").chmod(0o755)
    local.env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
    ended, limited = local.spec("a", "sleep 1"), local.spec("b", "sleep 98", timeout=2, grace=0)
    local.start(ended, limited)
    results = local.results(ended, limited)
    assert results["a"].rc == 0
    assert 0.9 < (results["a"].duration or 0) < 20
    assert results["b"].state is State.TIMED_OUT
    assert 1.9 < (results["b"].duration or 0) < 20


def test_without_proc_a_clock_that_jumps_changes_no_verdict() -> None:
    """Where there is no monotonic clock to ask, what the guard has waited counts."""
    # An applet of busybox would be found ahead of the program.
    with ChrootDir(proc=False, applets=applets() - {"date"}) as chroot:
        date = chroot.path / "bin/date"
        (chroot.path / "tmp/n").write_text("0\n")
        date.write_text(JUMPING.format(file="/tmp/n"))
        date.chmod(0o755)
        real_run = RealRun("/tmp")
        place = target(str(chroot.path), connection="chroot")
        ended, limited = real_run.submit_all(
            [
                (place, "sleep 1; exit 4", "a", {"timeout": 30}),
                (place, "sleep 98", "b", {"timeout": 2, "grace": 0}),
            ]
        )
        assert real_run.result(ended, 20).rc == 4
        assert ended.result is not None
        assert 0 <= (ended.result.duration or 0) <= 30
        assert real_run.result(limited, 20).state is State.TIMED_OUT
        assert real_run.close() == []
