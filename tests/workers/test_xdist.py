"""Runs under pytest-xdist: each job once, in every mode, whatever dies; and nothing left."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import leftovers
from support.machines import SSHServer, tool
from support.machines.processes import all_processes
from support.machines.requirements import require_root

pytest.importorskip("xdist")

pytestmark = pytest.mark.usefixtures("own_tmpdir")

HEAD = "import os, pytest, time\nfrom pytest_bgcheck import background_check\n"

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


@pytest.fixture(autouse=True)
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which each check counts its runs."""
    path = tmp_path / "count"
    path.touch()
    monkeypatch.setenv("COUNT", str(path))
    return path


def runs(count: Path) -> Counter[str]:
    return Counter(count.read_text().split())


def eventually(
    condition: Callable[[], object],
    timeout_s: float = 60,
    told: Callable[[], object] = lambda: None,
) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, (condition, told())
        time.sleep(0.05)


def left() -> tuple[object, ...]:
    """Return what is left of the runs under test."""
    found = leftovers.directories(), leftovers.checks(), leftovers.supervisors()
    return found if any(found) else ()


def nothing_is_left() -> bool:
    return not left()


class Run:
    """pytest in the background, in a process group of its own."""

    def __init__(self, pytester: pytest.Pytester, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *args],
            cwd=pytester.path,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def end(self) -> tuple[int, str]:
        """Return the exit status and the output, once nothing is left."""
        output = self.process.communicate(timeout=120)[0].decode()
        eventually(nothing_is_left, 20, lambda: (left(), output))
        return self.process.returncode, output

    def workers(self) -> list[int]:
        parent = self.process.pid
        return [p.pid for p in all_processes() if p.parent == parent and p.name.startswith("py")]

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


# --- once -----------------------------------------------------------------------------------------


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
        "-p", "no:randomly", "-p", "no:asyncio",
        "--dist=each", "--tx=popen", f"--tx={spec}", f"--rsyncdir={suite}", "-rP", "-q",
        f"--ssh-config={ssh_server.client_config}", f"--bgcheck-dir={tmp_path / 'tmp'}", suite,
        timeout=120,
    )  # fmt: skip
    result.assert_outcomes(passed=14)
    assert {"over True", "over False"} <= set(result.outlines)
    assert runs(count) == {"third": 1}
    assert nothing_is_left()


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
    result.stdout.fnmatch_lines(["*it was started already in this run, with other arguments*"])
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


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dist", ["load", "worksteal"])
def test_no_worker_waits_while_ordinary_tests_are_left_for_others(
    pytester: pytest.Pytester, tmp_path: Path, dist: str
) -> None:
    log = tmp_path / "log"
    log.touch()
    pytester.makeconftest(
        f"def pytest_runtest_logstart(nodeid): open({str(log)!r}, 'a').write(nodeid + '\\n')"
    )
    pytester.makepyfile(
        HEAD + "slow = background_check('sleep 2')\nslower = background_check('sleep 3')\n"
        "@pytest.mark.bgcheck('slower')\ndef test_slower(): pass\n"
        "@pytest.mark.bgcheck('slow')\ndef test_slow(): pass\n"
        "@pytest.mark.parametrize('n', range(24))\n"
        "def test_ordinary(n): time.sleep(0.4 if n < 6 else 0.02)\n"
    )
    pytester.runpytest_subprocess("-n3", f"--dist={dist}").assert_outcomes(passed=26)
    begun = dict.fromkeys(line.rpartition("::")[2] for line in log.read_text().splitlines())
    order = list(begun)
    # Each worker has at most the test after the one that it runs.
    assert min(order.index("test_slow"), order.index("test_slower")) >= 24 - 2 * 1


def test_the_order_follows_the_durations_of_earlier_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEAD + "a = background_check('sleep 1', timeout=50)\n"
        "b = background_check('true', timeout=60)\n"
        "@pytest.mark.bgcheck('a')\ndef test_a(): pass\n"
        "@pytest.mark.bgcheck('b')\ndef test_b(): pass\n"
    )
    for _ in range(2):
        result = pytester.runpytest_subprocess("-n1", "-v")
    result.stdout.fnmatch_lines(["*PASSED*test_b*", "*PASSED*test_a*"])


# --- the controller -------------------------------------------------------------------------------


def test_the_controller_tells_of_a_job_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEAD + "c = background_check('true')\n"
        "@pytest.mark.parametrize('n', range(8))\ndef test(c, n): c.stdout\n"
    )
    result = pytester.runpytest_subprocess("-n3", "--bgcheck-unawaited=fail")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    line = "background check 'c' on local was judged by no test (succeeded, rc 0)"
    assert result.stdout.str().count(line) == 1


def test_few_calls_are_made_to_a_host(
    pytester: pytest.Pytester, own_tmpdir: Path, ssh_server: SSHServer
) -> None:
    pytester.makepyfile(
        HEAD + "for i in range(12):\n"
        "    exec(f'c{i} = background_check(\"sleep 2\")')\n"
        "    exec(f'@pytest.mark.bgcheck(\"c{i}\")\\ndef test_c{i}(host): pass')\n"
    )
    before = ssh_server.connections()
    result = pytester.runpytest_subprocess(
        "-n3", "--hosts=ssh://target", f"--ssh-config={ssh_server.client_config}",
        f"--bgcheck-dir={own_tmpdir}",
    )  # fmt: skip
    result.assert_outcomes(passed=12)
    # Each worker asks for all starts, unless it has heard of them, and for all ends; one cleans.
    # Each call connects by itself here: this TMPDIR is too long for the socket of a shared one.
    assert ssh_server.connections() - before <= 3 * 2 + 1
    assert nothing_is_left()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bad = background_check('x', timeout=-3)", "'bad': timeout must be more than 0 seconds"),
        ("pytestmark = pytest.mark.bgcheck('c', rc='zero')", "rc must be an exit code"),
    ],
)
@pytest.mark.parametrize("dist", ["load", "worksteal", "loadfile", "each"])
def test_a_wrong_suite_is_a_usage_error(
    pytester: pytest.Pytester, text: str, message: str, dist: str
) -> None:
    pytester.makepyfile(HEAD + text + "\ndef test_1(): pass\ndef test_2(): pass\n")
    result = pytester.runpytest_subprocess("-n2", f"--dist={dist}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{message}*"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_the_plan_is_shown_without_workers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAD + QUICK)
    result = pytester.runpytest_subprocess("-n2", "--bgcheck-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["<Host local>", "  <Check c>*"])


@pytest.mark.parametrize("dist", ["loadfile", "loadscope"])
def test_a_worker_without_tests_starts_its_share_all_the_same(
    pytester: pytest.Pytester, count: Path, dist: str
) -> None:
    hosts = ["local://", "local://?sudo_user=nobody", "local://?sudo_user=daemon"]
    pytester.makepyfile(
        HEAD + f"for i, host in enumerate({hosts!r}):\n"
        "    exec(f'c{i} = background_check(\"echo c{i} >>$COUNT\", host=host)')\n"
        "def test_first():\n"
        "    deadline = time.monotonic() + 30\n"
        "    while len(open(os.environ['COUNT']).read().split()) < 3:\n"
        "        assert time.monotonic() < deadline\n        time.sleep(0.05)\n"
        "@pytest.mark.bgcheck('c0', 'c1', 'c2')\ndef test_last(): pass\n"
    )
    pytester.runpytest_subprocess("-n3", f"--dist={dist}").assert_outcomes(passed=2)
    assert runs(count) == {"c0": 1, "c1": 1, "c2": 1}


def test_a_suite_that_uses_nothing_of_it_runs_as_ever(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test(n): pass")
    for dist in ("load", "worksteal"):
        pytester.runpytest_subprocess("-n2", f"--dist={dist}").assert_outcomes(passed=9)


# --- the end --------------------------------------------------------------------------------------

LONG = """
a = background_check("echo a >>$COUNT; sleep 95.4")
b = background_check("echo b >>$COUNT; sleep 95.4", host="local://?sudo=false")
@pytest.mark.bgcheck("a")
def test_a(): pass
@pytest.mark.bgcheck("b")
def test_b(): pass
def test_ordinary(): pass
@pytest.fixture(autouse=True)
def begun(request):
    with open(os.environ["COUNT"], "a") as file:
        file.write(request.node.name + "\\n")
"""


QUICK = "c = background_check('true')\n@pytest.mark.bgcheck\ndef test(c): pass"


@pytest.fixture
def long_run(pytester: pytest.Pytester, count: Path) -> Iterator[Run]:
    """pytest with two workers, in front of jobs that take long."""
    pytester.makepyfile(HEAD + LONG)
    with Run(pytester, "-n2", "--max-worker-restart=0") as run:
        eventually(lambda: {"a", "b", "test_a", "test_b"} <= set(runs(count)))
        yield run


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
