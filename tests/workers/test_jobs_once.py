"""Each job runs once, in every mode of pytest-xdist, whatever worker dies."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.runs_in_background import HEAD, Run, nothing_is_left, runs

pytest.importorskip("xdist")

pytestmark = pytest.mark.usefixtures("own_tmpdir")


ONCE = """
for i in range(6):
    exec(f"c{i} = background_check('echo c{i} >>$COUNT; sleep 0.{i}')")
    exec(f"@pytest.mark.bgcheck('c{i}')\\ndef test_c{i}(c{i}): assert c{i}.done()")

@pytest.fixture(scope="session")
def started(bgcheck):
    return bgcheck.start("echo started >>$COUNT; sleep 0.3", name="started")

@pytest.mark.parametrize("n", range(4))
def test_started(started, n):
    assert started.result().succeeded
"""


ONCE_JOBS = 7


ONCE_TESTS = 10


@pytest.mark.parametrize(
    "options",
    [
        "-n0",
        "-p no:xdist",
        "-n3 --dist=load",
        "-n3 --dist=worksteal",
        "-n2 --dist=loadscope",
        "-n2 --dist=loadfile",
        "-n2 --dist=loadgroup",
        "-n2 --dist=each",
        "-n2 --dist=no",
        "-n9 --maxprocesses=2",
    ],
)
def test_each_job_runs_once_with(pytester: pytest.Pytester, count: Path, options: str) -> None:
    pytester.makepyfile(HEAD + ONCE)
    result = pytester.runpytest_subprocess(*options.split(), timeout=120)
    result.assert_outcomes(passed=ONCE_TESTS * (2 if "each" in options else 1))
    assert set(runs(count).values()) == {1}
    assert len(runs(count)) == ONCE_JOBS
    assert nothing_is_left()


def test_workers_on_another_computer_share_the_jobs(
    pytester: pytest.Pytester, count: Path, ssh_server: SSHServer, tmp_path: Path
) -> None:
    suite = pytester.mkdir("suite")
    suite.joinpath("pytest.ini").write_text("[pytest]\n")
    suite.joinpath("test_it.py").write_text(
        HEAD + f"third = background_check('echo third >>{count}; sleep 1', host='ssh://target2')\n"
        "@pytest.mark.parametrize('n', range(6))\n"
        "@pytest.mark.bgcheck('third')\n"
        "def test_third(third, n): assert third.done()\n"
        "def test_place(): print('over', 'SSH_CONNECTION' in os.environ)\n"
    )
    remote = tmp_path / "remote"
    remote.mkdir()
    spec = f"ssh=-F {ssh_server.client_config} target//python={sys.executable}//chdir={remote}"
    result = pytester.runpytest_subprocess(
        # The environment does not go there.
        "-p", "no:randomly", "-p", "no:asyncio", "-p", "no:rerunfailures",
        "--dist=each", "--tx=popen", f"--tx={spec}", f"--rsyncdir={suite}", "-rP", "-q",
        f"--ssh-config={ssh_server.client_config}", f"--bgcheck-dir={tmp_path / 'tmp'}", suite,
        timeout=120,
    )  # fmt: skip
    result.assert_outcomes(passed=14)
    assert {"over True", "over False"} <= set(result.outlines)
    assert runs(count) == {"third": 1}
    assert nothing_is_left()


def test_the_local_host_of_another_computer_is_cleaned_by_its_own_workers(
    pytester: pytest.Pytester, count: Path, elsewhere: Path, tmp_path: Path
) -> None:
    pytester.makepyfile(HEAD + ONCE)
    tx = ["--tx=2*popen", f"--tx=2*popen//python={elsewhere}"]
    result = pytester.runpytest_subprocess("--dist=each", *tx, timeout=120)
    result.assert_outcomes(passed=4 * ONCE_TESTS)
    # Two computers: each has its own local host.
    assert set(runs(count).values()) == {2}
    result.stdout.no_fnmatch_line("*not cleaned up*")
    assert nothing_is_left()
    assert not list(tmp_path.joinpath("elsewhere").glob("pytest-bgcheck-*"))


def test_a_repeated_testrunuid_is_another_run(pytester: pytest.Pytester, count: Path) -> None:
    pytester.makepyfile(HEAD + ONCE)
    for _ in range(2):
        result = pytester.runpytest_subprocess("-n2", "--testrunuid=same", "--bgcheck-keep")
        result.assert_outcomes(passed=ONCE_TESTS)
    assert set(runs(count).values()) == {2}


def test_one_name_with_other_arguments_in_another_worker_is_an_error(
    pytester: pytest.Pytester, count: Path
) -> None:
    pytester.makepyfile(
        HEAD + "def test(bgcheck, worker_id):\n"
        "    job = bgcheck.start(f'echo {worker_id} >>$COUNT; sleep 1', name='one')\n"
        "    assert job.result().succeeded, job.result().detail\n"
    )
    result = pytester.runpytest_subprocess("-n2", "--dist=each")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*it was already started in this run, with other arguments*"])
    assert sum(runs(count).values()) == 1


def test_a_job_is_found_in_every_worker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEAD + "c = background_check('echo $PYTEST_BGCHECK_JOB')\n"
        "@pytest.mark.bgcheck('c')\ndef test_awaited(): pass\n"
        "def test_found(bgcheck):\n"
        "    job = bgcheck['c']\n    assert job.stdout == f'{job.id}\\n'\n"
    )
    pytester.runpytest_subprocess("-n3", "--dist=each").assert_outcomes(passed=6)


STRESS = """
for i in range(24):
    exec(f"c{i} = background_check('echo c{i} >>$COUNT; sleep 0.{i % 10}; sleep {i // 8}')")
    exec(f"@pytest.mark.bgcheck('c{i}')\\ndef test_c{i}(c{i}): assert c{i}.done()")

@pytest.fixture(scope="session")
def started(bgcheck):
    return [bgcheck.start(f"echo s{i} >>$COUNT; sleep 1", name=f"s{i}") for i in range(6)]

@pytest.mark.parametrize("n", range(12))
def test_started(started, n):
    assert started[n % 6].result().succeeded

@pytest.mark.parametrize("n", range(12))
def test_ordinary(n): time.sleep(0.1)
"""


@pytest.mark.parametrize(
    "dist", ["load", "worksteal", "loadscope", "loadfile", "loadgroup", "each"]
)
def test_each_job_runs_once_while_workers_are_killed(
    pytester: pytest.Pytester, count: Path, dist: str
) -> None:
    pytester.makepyfile(HEAD + STRESS)
    chance = random.Random(dist)
    killed = 0
    with Run(pytester, "-n4", f"--dist={dist}", "--max-worker-restart=99", "-q") as run:
        while run.process.poll() is None and killed < 6:
            time.sleep(chance.uniform(0.2, 1.2))
            if workers := run.workers():
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
        _, output = run.end()
    assert killed
    counted = runs(count)
    assert set(counted.values()) <= {1}, counted
    # A test is lost with the worker that it ran in, not a job that others await.
    crashed = output.count("crashed while running")
    assert " error" not in output.splitlines()[-1], output
    assert output.count("\nFAILED") <= crashed, output
