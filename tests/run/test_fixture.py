"""The fixture ``bgcheck``: jobs that a test starts and finds."""

import pytest
from support.suites import HEAD, run

from pytest_bgcheck import Bgcheck

pytestmark = pytest.mark.usefixtures("own_tmpdir")


def test_jobs_can_be_started_and_found(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="@pytest.fixture(scope='session', autouse=True)\n"
        "def start(bgcheck): bgcheck.start('echo hi', name='mine')",
        test_it="from pytest_bgcheck import State, WrongUse\n"
        "def test_found(bgcheck):\n"
        "    job = bgcheck['mine']\n"
        "    assert job is bgcheck['mine', 'local://']\n"
        "    assert job.result().stdout == 'hi\\n' and job.state is State.SUCCEEDED\n"
        "    assert job.state == 'succeeded'\n"
        "    assert bgcheck.start('echo hi', name='mine') is job\n"
        "    with pytest.raises(WrongUse, match='with another command, timeout$'):\n"
        "        bgcheck.start('echo ho', name='mine', timeout=3)\n"
        "    with pytest.raises(KeyError, match='did you mean'): bgcheck['mein']\n"
        "    with pytest.raises(WrongUse, match=\"'x': timeout must be\"):\n"
        "        bgcheck.start('true', name='x', timeout=-1)\n"
        "@pytest.mark.bgcheck('mine')\ndef test_awaited(): pass\n",
    )
    result.assert_outcomes(passed=2)


def test_a_lookup_says_how_to_tell_jobs_apart(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HEAD + "c = background_check('echo outer')")
    pytester.mkpydir("inner").joinpath("test_it.py").write_text(
        HEAD + "c = background_check('echo inner', host='local://')\n"
        "d = background_check('true')\n"
        "@pytest.mark.bgcheck('c')\ndef test_inner(): pass\n"
        "@pytest.mark.bgcheck('d')\ndef test_d(): pass\n"
        "def test_lookup(bgcheck):\n"
        "    with pytest.raises(KeyError, match='2 jobs with the name'):\n"
        "        bgcheck['c']\n"
        "    with pytest.raises(KeyError, match='has no job on ssh://x; it has one on: local'):\n"
        "        bgcheck['d', 'ssh://x']\n"
        "    job = bgcheck['d', 'local']\n"
        "    assert job is bgcheck['d', 'local://'] is bgcheck['d', job.host]\n"
    )
    pytester.path.joinpath("test_outer.py").write_text(
        HEAD + "@pytest.mark.bgcheck('c')\ndef test_outer(): pass\n"
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


def test_impatience_has_no_traceback_of_ours(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="def test(bgcheck):\n    bgcheck.start('sleep 60', name='late').result(0.1)\n",
    )
    result.stdout.fnmatch_lines(
        ["E *StillRunning: background check 'late' on local is still * after 0.1 s of waiting;*"]
    )
    assert "job.py" not in result.stdout.str()


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("start('true', name='x', host='local://'); start('false', name='x', host='local://')",
         "WrongUse: background check 'x' was already started on local with another command"),
        ("start('true', name='x', host=3)",
         "WrongUse: background check 'x': host must be a hostspec or a testinfra Host, not 3"),
        ("start('true', name='x', host='nonsense://x')",
         "WrongUse: background check 'x': testinfra cannot make a host of nonsense://x: *"),
        ("start('true', name='x', timeout=-1)", "WrongUse: background check 'x': timeout must *"),
        ("__getitem__('x')", "NoSuchJob: no background check, service or probe 'x' was declared *"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_told_with_its_check_and_without_our_own_code(
    pytester: pytest.Pytester, call: str, line: str
) -> None:
    body = "; ".join(f"bgcheck.{part}" for part in call.split("; "))
    result = run(pytester, "--tb=short", test_it=f"def test(bgcheck):\n    {body}\n")
    result.stdout.fnmatch_lines(["test_it.py:*: in test", "E *" + line.replace("[", "[[]")])
    assert "pytest_bgcheck/" not in result.stdout.str()


def test_a_started_script_is_looked_for_where_its_help_says(pytester: pytest.Pytester) -> None:
    for directory in (pytester.path, pytester.mkdir("below")):
        directory.joinpath("probe.sh").write_text(f"#!/bin/sh\necho {directory.name}\n")
    pytester.path.joinpath("below", "test_it.py").write_text(
        "def test_it(bgcheck, pytestconfig):\n"
        "    here = pytestconfig.invocation_params.dir.name\n"
        "    assert bgcheck.start(script='probe.sh', name='probe').stdout == f'{here}\\n'\n"
    )
    pytester.runpytest("below").assert_outcomes(passed=1)
    help = Bgcheck.start.__doc__ or ""
    assert "for ``bgcheck.start``, that from the current directory" in help


def test_a_target_that_cannot_be_asked_is_told_without_what_was_asked(
    pytester: pytest.Pytester,
) -> None:
    # What broke quotes the request, as Ansible's errors do, whole and on many lines.
    result = run(
        pytester,
        test_it="from testinfra.backend.local import LocalBackend\n"
        "def broken(self, command): raise RuntimeError('broken') from OSError(command)\n"
        "@pytest.mark.parametrize('asks', ['tail', 'cancel'])\n"
        "def test_job(bgcheck, monkeypatch, asks):\n"
        "    job = bgcheck.start('sleep 60', name=asks, unawaited='ignore')\n"
        "    job.tail()\n"
        "    monkeypatch.setattr(LocalBackend, 'run', broken)\n"
        "    getattr(job, asks)()\n"
        "def test_host(bgcheck): bgcheck.start('true', name='x', host='nosuch://web1')\n",
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["E *Unreachable: RuntimeError: broken"])
    result.stdout.fnmatch_lines(["E *: testinfra cannot make a host of nosuch://web1: *"])
    result.stdout.no_re_match_line(r"request = |.*direct cause|.*\beval\b")


def test_a_name_that_means_no_job_is_told_in_lines(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="c = background_check('true')\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
        "def test(bgcheck): bgcheck['d']\n",
    )
    result.stdout.fnmatch_lines(
        ["E *NoSuchJob: no background check, service or probe 'd' was declared *", "E *known: c"]
    )


def test_the_tail_of_a_job_that_runs_has_not_failed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import time\n"
        "c = background_check('echo begun; sleep 60', unawaited='ignore')\n"
        "bad = background_check('exit 3')\n"
        "def test(c, bad):\n"
        "    tail = c.tail()\n"
        "    assert tail.state == 'running' and tail.rc is None\n"
        "    assert not tail.failed and not tail.succeeded\n"
        "    assert bad.attempts == 1\n"
        "    assert bad.tail().failed and bad.tail().rc == 3\n"
        "    assert bad.failed\n",
    )
    result.assert_outcomes(passed=1)


def test_hosts_with_one_name_are_told_apart(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--hosts=local://,local://?sudo_user=nobody",
        test_it="c = background_check('exit 3', sudo=False)\n"
        "@pytest.mark.bgcheck\ndef test_c(c): pass\n"
        "def test_found(bgcheck):\n"
        "    assert bgcheck['c', 'local'].host == 'local'\n"
        "    other = bgcheck['c', 'local (sudo_user=nobody)']\n"
        "    assert other is bgcheck['c', 'local://?sudo_user=nobody']\n"
        "    with pytest.raises(KeyError, match='each of: local, local .sudo_user=nobody.;'):\n"
        "        bgcheck['c']\n",
    )
    result.assert_outcomes(failed=2, passed=1)
    for host in ("local", "local (sudo_user=nobody)"):
        result.stdout.fnmatch_lines_random([f"background check 'c' on {host} failed: rc 3 *"])
    result.stdout.fnmatch_lines(["2 background checks on 2 hosts, *"])
