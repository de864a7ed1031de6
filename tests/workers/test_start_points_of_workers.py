"""Checks that start behind a fixture (``after=``), with workers."""

import os
import signal
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.runs_in_background import HEAD, Run, eventually, nothing_is_left, runs

pytest.importorskip("xdist")

pytestmark = pytest.mark.usefixtures("own_tmpdir")

MODES = ["load", "worksteal", "loadfile", "loadscope", "loadgroup", "each"]

# Of two files, so that each worker gets one also where files or modules are kept together.
DEPLOYS = """
@pytest.fixture(scope="module")
def deploy():
    time.sleep(1)
    open(os.environ["COUNT"], "a").write("deployed\\n")
def test_deploys(deploy): pass
def test_ordinary(): time.sleep(0.2)
"""

AWAITS = """
@pytest.mark.bgcheck("late")
def test_awaits(late): assert late.stdout == "behind\\n"
@pytest.mark.bgcheck("late")
def test_awaits_again(): pass
"""

CONFTEST = """
late = background_check(
    "echo late >>$COUNT; grep -q deployed $COUNT && echo behind", after="deploy"
)
"""


def suite(pytester: pytest.Pytester, *, deploys: str = DEPLOYS, awaits: str = AWAITS) -> None:
    """Write a suite whose fixture ``deploy`` only one of two files uses."""
    head, body = deploys.split("def test_deploys", 1)
    pytester.makeconftest(HEAD + CONFTEST + head)
    pytester.makepyfile(test_a=HEAD + awaits, test_b=HEAD + "def test_deploys" + body)


@pytest.mark.parametrize("dist", MODES)
def test_it_starts_once_behind_the_fixture_of_whichever_worker(
    pytester: pytest.Pytester, count: Path, dist: str
) -> None:
    suite(pytester)
    result = pytester.runpytest_subprocess("-n2", f"--dist={dist}", timeout=120)
    # `each`: a worker that comes to its tests first may wait, the other sets it up.
    result.assert_outcomes(passed=4 * (2 if dist == "each" else 1))
    assert runs(count)["late"] == 1
    assert nothing_is_left()


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadfile", "each"])
def test_it_is_not_started_once_no_worker_can_set_the_fixture_up(
    pytester: pytest.Pytester, count: Path, dist: str
) -> None:
    suite(pytester, deploys=DEPLOYS.replace("test_deploys(deploy)", "test_deploys()"))
    result = pytester.runpytest_subprocess("-n2", f"--dist={dist}", timeout=120)
    times = 2 if dist == "each" else 1
    result.assert_outcomes(passed=2 * times, failed=2 * times)
    result.stdout.fnmatch_lines(
        ["background check 'late' on local not started: it starts after the fixture 'deploy'*"]
    )
    assert "late" not in runs(count)


def test_the_fixture_may_fail_in_one_worker_only(pytester: pytest.Pytester, count: Path) -> None:
    pytester.makepyfile(
        HEAD + CONFTEST + "@pytest.fixture(scope='session')\n"
        "def deploy(worker_id):\n"
        "    with open(os.environ['COUNT'], 'a') as file: file.write(f'deployed {worker_id}\\n')\n"
        "    if worker_id == 'gw0': raise OSError('no host')\n"
        "    time.sleep(1)\n"
        "def test_deploys(deploy): pass\n" + AWAITS
    )
    result = pytester.runpytest_subprocess("-n2", "--dist=each", timeout=120)
    result.assert_outcomes(passed=5, errors=1)
    assert runs(count)["late"] == 1


def test_where_it_failed_in_every_worker_that_is_why(
    pytester: pytest.Pytester, count: Path
) -> None:
    suite(pytester, deploys=DEPLOYS.replace("time.sleep(1)", "raise OSError('no host')"))
    result = pytester.runpytest_subprocess("-n2", "--dist=loadfile", timeout=120)
    result.assert_outcomes(passed=1, failed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["background check 'late' on local not started: *'deploy', which failed: OSError: no host"]
    )


def test_a_wait_that_is_over_sooner_changes_nothing(pytester: pytest.Pytester, count: Path) -> None:
    first = '@pytest.mark.bgcheck("late", timeout=0.1)\ndef test_first(): pass\n'
    suite(pytester, awaits=first + AWAITS)
    result = pytester.runpytest_subprocess("-n2", "--dist=loadfile", timeout=120)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "background check 'late' on local still pending after * of waiting",
            "  not started yet: after 'deploy'",
        ]
    )
    assert runs(count)["late"] == 1


def test_all_hosts_start_in_one_worker(
    pytester: pytest.Pytester, count: Path, ssh_server: SSHServer, own_tmpdir: Path
) -> None:
    pytester.makepyfile(
        HEAD + f"late = background_check('echo late >>{count}', after='deploy')\n"
        "@pytest.fixture(scope='session')\ndef deploy(): pass\n"
        "def test_deploys(deploy): pass\n"
        "@pytest.mark.bgcheck('late')\ndef test_awaits(host): pass\n"
    )
    result = pytester.runpytest_subprocess(
        "-n2", "--hosts=ssh://target,ssh://target2,local://",
        f"--ssh-config={ssh_server.client_config}", f"--bgcheck-dir={own_tmpdir}",
    )  # fmt: skip
    result.assert_outcomes(passed=4)
    assert runs(count)["late"] == 3


def test_the_host_is_cleaned_though_the_word_came_just_before_the_start(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    pytester.makeconftest(
        "from pytest_bgcheck.target.runner import Runner\n"
        "submit = Runner.submit\n"
        "def reached_in_between(self, jobs):\n"
        "    for fixtures in self._held_back._fixtures.values() if jobs else ():\n"
        "        self._held_back._reached.update(fixtures)\n"
        "    return submit(self, jobs)\n"
        "Runner.submit = reached_in_between\n"
    )
    pytester.makepyfile(
        "import os, time, pytest\n"
        "from pytest_bgcheck import background_check\n"
        f"c = background_check('echo $$ >{pids}.new; mv {pids}.new {pids}; sleep 300',\n"
        "    host='local://', after='deploy')\n"
        "@pytest.fixture\ndef deploy(): pass\n"
        "def test(c):\n"
        f"    while not os.path.exists({str(pids)!r}): time.sleep(0.05)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    pytester.runpytest_subprocess("-n1", "--max-worker-restart=0", timeout=120)
    pid = int(pids.read_text())
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), 30)


@pytest.mark.parametrize("when", ["in the fixture", "before the start", "behind the start"])
def test_the_worker_that_sets_it_up_may_be_killed(
    pytester: pytest.Pytester, count: Path, tmp_path: Path, when: str
) -> None:
    once = tmp_path / "killed"
    kill = (
        f"not os.path.exists({str(once)!r}) and (open({str(once)!r}, 'w'), os.kill(os.getpid(), 9))"
    )
    if when == "in the fixture":
        suite(
            pytester, deploys=DEPLOYS.replace("def test_deploys", f"    {kill}\ndef test_deploys")
        )
    else:
        suite(pytester)
        submitted = "records = submit(self, specs); time.sleep(1)"
        hook = (
            "\nfrom pytest_bgcheck.run import session\n"
            "submit = session.Session.submit\n"
            "def killed(self, specs):\n"
            "    held_back = self.start_points.holds(*specs[0]) if specs else True\n"
            "    if not held_back and specs[0][0].task.after:\n"
            f"        {submitted if when == 'behind the start' else 'pass'}\n"
            f"        {kill}\n"
            "    return submit(self, specs)\n"
            "session.Session.submit = killed\n"
        )
        conftest = pytester.path / "conftest.py"
        conftest.write_text(conftest.read_text() + hook)
    with Run(pytester, "-n2", "--dist=loadfile", "--max-worker-restart=4", "-q") as background:
        _, output = background.end()
    assert once.exists(), output
    # xdist runs the rest of a worker's file in the next worker, with the test that has failed.
    assert "1 failed, 4 passed" in output, output
    assert runs(count)["late"] == 1


def test_no_worker_is_replaced_and_nobody_waits_for_ever(
    pytester: pytest.Pytester, count: Path
) -> None:
    kill = "def deploy():\n    os.kill(os.getpid(), 9)\n"
    suite(pytester, deploys=DEPLOYS.replace("def deploy():\n", kill))
    with Run(pytester, "-n2", "--dist=loadfile", "--max-worker-restart=0") as background:
        _, output = background.end()
    assert "not started: it starts after the fixture 'deploy'" in output, output


def test_x_ends_the_wait_for_it(pytester: pytest.Pytester, count: Path) -> None:
    deploys = DEPLOYS.replace("time.sleep(0.2)", "assert 0").replace("(deploy)", "()")
    suite(pytester, deploys=deploys + "def test_more(): time.sleep(20)\n")
    result = pytester.runpytest_subprocess("-n2", "--dist=loadfile", "-x", timeout=120)
    result.stdout.no_fnmatch_line("*not started: it starts after*awaited it*")
    assert result.ret != 0


def test_ctrl_c_ends_the_wait_for_it(pytester: pytest.Pytester, count: Path) -> None:
    sleep = "open(os.environ['COUNT'], 'a').write('begun\\n')\n    time.sleep(95.4)"
    suite(pytester, deploys=DEPLOYS.replace("time.sleep(1)", sleep))
    with Run(pytester, "-n2", "--dist=loadfile") as background:
        eventually(lambda: "begun" in runs(count))
        os.kill(background.process.pid, signal.SIGINT)
        status, output = background.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert "INTERNALERROR" not in output
