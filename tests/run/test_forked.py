"""Tests that run in a forked child, as pytest-forked and other boxed runs have them."""

import json
import tempfile
from pathlib import Path

import pytest
from support import leftovers
from support.boxed import BOXED, INI
from support.machines import SSHServer
from support.machines.machine import wait_until
from support.machines.processes import with_argument
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

SUITE = """
import time
slow = background_check("echo slow >>$COUNT; sleep 0.6; echo out", host="local://")
bad = background_check("echo bad >>$COUNT; exit 3", host="local://")
long = background_check("echo long >>$COUNT; echo begun; sleep 97", host="local://")
unforeseen = background_check("echo unforeseen >>$COUNT; sleep 0.3; exit 4",
    host="local://?sudo_user=nobody")  # a host that only the children come to know
from pytest_bgcheck import background_service
serves = background_service("echo serves >>$COUNT; sleep 96", host="local://?sudo_user=daemon")

@pytest.mark.bgcheck("slow")
def test_slow(slow): assert slow.done() and slow.stdout == "out\\n"
@pytest.mark.bgcheck("slow")
def test_slow_again(): pass
@pytest.mark.bgcheck("bad")
def test_bad(): raise RuntimeError("body")
def test_expected(adds): raise RuntimeError("body")
def test_handle(bad):
    deadline = time.monotonic() + 30
    while not bad.done(): assert time.monotonic() < deadline
    assert bad.rc == 3
@pytest.mark.bgcheck("long", timeout=0.1)
def test_long(): raise RuntimeError("body")
def test_tail(long):
    deadline = time.monotonic() + 30
    while long.tail().stdout != "begun\\n": assert time.monotonic() < deadline
@pytest.mark.parametrize("n", [1, 2])
def test_started(started, n): assert started.result().rc == 5
@pytest.mark.parametrize("n", [1, 2])
def test_unforeseen(request, n): assert request.getfixturevalue("unforeseen").rc == 4
def test_serves(request): request.getfixturevalue("serves").wait_ready()
@pytest.mark.alone
@pytest.mark.bgcheck("slow")
def test_in_the_parent(): pass
"""


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_test_in_a_forked_child_has_its_checks_verdict(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    pytester.makeini(INI)
    result = run(
        pytester,
        workers,
        "--bgcheck-report=told.json",
        "-rA",
        conftest=BOXED,
        test_it=SUITE,
    )
    assert result.parseoutcomes() == {"passed": 10, "failed": 2, "xfailed": 1}
    result.stdout.fnmatch_lines_random(
        [
            "background check 'bad' on local failed: rc 3*",
            "background check 'long' on local still running after *",
        ]
    )
    result.stdout.no_re_match_line(".*(RuntimeError|Traceback|not cleaned up)")
    # Once, in whatever process; and the parent knows what became of it, and who waited.
    ran = (tmp_path / "count").read_text().split()
    assert sorted(ran) == ["bad", "long", "serves", "slow", "started", "unforeseen"]
    told = json.loads((pytester.path / "told.json").read_text())
    jobs = {job["name"]: job for job in told["jobs"]}
    assert {name: job["state"] for name, job in jobs.items()} == {
        "slow": "succeeded",
        "bad": "failed",
        "long": "cancelled",
        "started": "failed",
        "unforeseen": "failed",
        "serves": "stopped",
    }
    assert len(jobs["slow"]["awaited_by"]) == 3
    assert {wait["test"] for wait in jobs["bad"]["awaited_by"]} == {
        "test_it.py::test_bad",
        "test_it.py::test_expected",
    }
    assert leftovers.directories() == []
    assert not leftovers.checks()
    assert not leftovers.supervisors()


def test_a_session_that_only_a_forked_child_needs_is_told(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    result = run(
        pytester,
        conftest=BOXED,
        test_it="def test_mark(adds): raise RuntimeError('body')\n"
        "def test_start(request): request.getfixturevalue('bgcheck').start('true', name='x')\n",
    )
    result.assert_outcomes(failed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        ["*in a forked child, but no test that was collected uses any: mark a test, or request*"]
    )
    result.stdout.no_re_match_line(r".*(RuntimeError|pytest_bgcheck[/\\])")
    assert leftovers.directories() == []


def test_a_forked_child_has_connections_of_its_own(
    ssh_server: SSHServer, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini(INI)
    config = str(ssh_server.client_config)
    with tempfile.TemporaryDirectory(prefix="bgc-", dir="/tmp") as own:
        monkeypatch.setenv("TMPDIR", own)  # short enough for ssh's socket
        result = run(
            pytester,
            "--hosts=ssh://target",
            f"--ssh-config={config}",
            f"--bgcheck-dir={own}",
            conftest=BOXED,
            test_it="slow = background_check('sleep 0.5; exit 6')\n"
            "long = background_check('sleep 98')\n"
            "@pytest.mark.alone\n@pytest.mark.bgcheck('slow', rc=6)\ndef test_parent(): pass\n"
            "@pytest.mark.bgcheck('slow', rc=6)\ndef test_child(): pass\n"
            "@pytest.mark.bgcheck('long', timeout=0.1)\ndef test_other_child(host): pass\n"
            "@pytest.mark.alone\n@pytest.mark.bgcheck('slow', rc=6)\ndef test_again(host):\n"
            "    assert host.run('true').rc == 0\n",
        )
        result.assert_outcomes(passed=3, failed=1)
        result.stdout.fnmatch_lines(["background check 'long' on ssh://target still running*"])
        result.stdout.no_fnmatch_line("*not cleaned up*")
        assert not list(Path(own).iterdir())
        assert wait_until(lambda: not with_argument(config), 20)


def test_what_a_child_reads_or_fails_for_is_judged(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest=BOXED,
        test_it="read = background_check('exit 3')\n"
        "def test_read(read): assert read.rc == 3\n"
        "forgotten = background_check('exit 4')\n"
        "def test_forgotten(forgotten): forgotten.stdout\n"
        "from pytest_bgcheck import background_service\n"
        f"lives = background_service('cd {pytester.path}; echo up; until [ -e end ]; do sleep 0.05;"
        " done; echo last words; exit 3', ready_output='up')\n"
        "@pytest.mark.bgcheck('lives')\n"
        "def test_lives(lives): assert lives.ready\n"
        "@pytest.mark.bgcheck('lives')\n"
        "def test_dies(lives):\n"
        "    open('end', 'w').close()\n"
        "    while not lives.done(): pass\n",
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["background service 'lives' on local died: rc 3 after*", "*last words"]
    )
    assert "no test has failed for it" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (line,) = (line for line in result.outlines if "judged by no test" in line)
    assert "'forgotten' on local was judged by no test (failed, rc 4), though test_it.py::" in line
