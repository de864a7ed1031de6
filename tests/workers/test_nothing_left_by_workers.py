"""Runs with workers leave nothing, whichever process dies or is ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import leftovers
from support.runs_in_background import HEAD, LONG, QUICK, Run, eventually, nothing_is_left, runs

pytest.importorskip("xdist")

pytestmark = pytest.mark.usefixtures("own_tmpdir")


def test_ctrl_c_leaves_nothing(long_run: Run) -> None:
    os.killpg(long_run.process.pid, signal.SIGINT)
    assert long_run.end()[0] == pytest.ExitCode.INTERRUPTED


def test_ctrl_c_to_the_controller_alone_leaves_nothing(long_run: Run) -> None:
    long_run.process.send_signal(signal.SIGINT)
    assert long_run.end()[0] == pytest.ExitCode.INTERRUPTED


def test_sigterm_leaves_nothing(long_run: Run) -> None:
    long_run.process.terminate()
    status, output = long_run.end()
    assert status == pytest.ExitCode.INTERRUPTED
    assert "Terminated: SIGTERM" in output


def test_a_worker_that_is_ended_by_sigterm_is_replaced(
    pytester: pytest.Pytester, count: Path
) -> None:
    pytester.makepyfile(HEAD + LONG.replace("95.4", "6"))
    with Run(pytester, "-n2") as run:
        eventually(lambda: {"test_a", "test_b"} <= set(runs(count)))
        os.kill(run.workers()[0], signal.SIGTERM)
        _, output = run.end()
    assert "1 failed, 2 passed" in output
    assert (runs(count)["a"], runs(count)["b"]) == (1, 1)


def test_sigterm_to_all_leaves_nothing(long_run: Run) -> None:
    os.killpg(long_run.process.pid, signal.SIGTERM)
    assert long_run.end()[0] != 0


def test_all_workers_killed_leaves_nothing(long_run: Run) -> None:
    for worker in long_run.workers():
        os.kill(worker, signal.SIGKILL)
    status, output = long_run.end()
    assert status != 0, output


def test_a_worker_that_cannot_be_started_leaves_nothing(
    pytester: pytest.Pytester, count: Path
) -> None:
    pytester.makepyfile(HEAD + LONG)
    slow = pytester.path / "python-that-fails"
    slow.write_text(
        f"#!/bin/sh\nuntil grep -q a {count} && grep -q b {count}; do sleep 0.1; done\nexit 1\n"
    )
    slow.chmod(0o755)
    # The second worker is started, and dies, while the first one runs already.
    with Run(pytester, "--dist=load", "--tx=popen", f"--tx=popen//python={slow}") as run:
        status, output = run.end()
    assert status == pytest.ExitCode.INTERNAL_ERROR, output
    assert runs(count)["a"] == 1


def test_checks_are_started_where_workers_run_beside_an_error_in_collection(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_good=HEAD + "c = background_check('true')\n@pytest.mark.bgcheck\ndef test(c): pass\n",
        test_broken="import a_module_that_is_not_there\n",
    )
    result = pytester.runpytest_subprocess("-n1", timeout=60)
    result.assert_outcomes(passed=1, errors=1)


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_a_stop_after_a_failure_does_not_sit_out_the_checks(
    pytester: pytest.Pytester, option: str
) -> None:
    pytester.makepyfile(
        HEAD + LONG + "quick = background_check('sleep 1; exit 3')\n"
        "@pytest.mark.bgcheck('quick')\ndef test_quick(): pass\n"
    )
    result = pytester.runpytest_subprocess("-n3", option, timeout=60)
    result.assert_outcomes(passed=1, failed=1, skipped=2)
    assert nothing_is_left()


def test_a_worker_that_ends_the_run_has_no_other_sit_out_the_checks(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(HEAD + LONG + "def test_stops(): pytest.exit('enough')\n")
    result = pytester.runpytest_subprocess("-n2", timeout=60)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert nothing_is_left()


def test_jobs_of_a_killed_pytest_end_by_themselves_and_are_swept_later(
    pytester: pytest.Pytester, own_tmpdir: Path, count: Path
) -> None:
    pytester.makepyfile(
        HEAD + "c = background_check('echo c >>$COUNT; sleep 95.4', timeout=3, grace=1)\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
    )
    process = subprocess.Popen([sys.executable, "-m", "pytest"], cwd=pytester.path)
    eventually(lambda: runs(count))
    process.kill()
    process.wait()
    eventually(lambda: not (leftovers.checks() or leftovers.supervisors()))
    (old,) = own_tmpdir.glob("pytest-bgcheck-*/*")
    pytester.makepyfile(
        HEAD + "c = background_check('true')\n@pytest.mark.bgcheck\ndef test(c): pass"
    )
    assert pytester.runpytest_subprocess().ret == 0
    assert old.exists()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert pytester.runpytest_subprocess().ret == 0
    assert nothing_is_left()


def test_a_run_that_still_has_a_job_is_not_swept(
    pytester: pytest.Pytester, own_tmpdir: Path, count: Path, long_run: Run
) -> None:
    for old in own_tmpdir.glob("pytest-bgcheck-*/*"):
        os.utime(old, (time.time() - 2 * 86400,) * 2)
    checks = len(leftovers.checks())
    pytester.makepyfile(test_other=HEAD + QUICK)
    assert pytester.runpytest_subprocess("test_other.py").ret == 0
    assert len(leftovers.checks()) == checks
    long_run.process.send_signal(signal.SIGINT)
    long_run.end()
