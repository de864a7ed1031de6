"""Checks that start behind a fixture (``after=``), in a run of one process."""

import json
import os
import signal
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.runs_in_background import HEAD as BACKGROUND_HEAD
from support.runs_in_background import Run, eventually
from support.suites import RERUNS, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

DEPLOY = """
early = background_check("cat version")
late = background_check("cat version", after="deploy")

@pytest.fixture(scope="session", autouse=True)
def deploy(): open("version", "w").write("new")

@pytest.mark.bgcheck("early")
def test_early(early): pass

@pytest.mark.bgcheck("late")
def test_late(late): assert late.stdout == "new"
"""


def test_a_check_starts_behind_the_fixture_it_names(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("version").write_text("old")
    suite = DEPLOY.replace('"cat version"', f'"cat version", cwd="{pytester.path}"')
    wait = 'import time\n    time.sleep(3)\n    open("version"'
    suite = suite.replace('def deploy(): open("version"', f"def deploy():\n    {wait}")
    suite = suite.replace("(early): pass", "(early): assert early.stdout == 'old'")
    run(pytester, test_it=suite).assert_outcomes(passed=2)


@pytest.mark.parametrize("scope", ["package", "module", "class", "function"])
def test_the_fixture_may_have_any_scope(pytester: pytest.Pytester, scope: str) -> None:
    text = (
        "c = background_check('cat made', after='made', cwd=%r)\n"
        "@pytest.fixture(scope=%r)\ndef made(): open('made', 'w').write('x')\n"
        "class Test:\n    def test_made(self, made): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test(c): assert c.stdout == 'x'\n"
    )
    run(pytester, test_it=text % (str(pytester.path), scope)).assert_outcomes(passed=2)


def test_the_first_value_of_a_parametrized_fixture_counts(pytester: pytest.Pytester) -> None:
    text = (
        "c = background_check('cat made', after='made', cwd=%r)\n"
        "@pytest.fixture(params='ab')\n"
        "def made(request, c):\n"
        "    if request.param == 'b': c.result()\n"
        "    open('made', 'w').write(request.param)\n"
        "def test_made(made): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test(c): assert c.stdout == 'a'\n"
    )
    run(pytester, test_it=text % str(pytester.path)).assert_outcomes(passed=3)


def test_one_that_awaits_too_early_fails_and_says_why(pytester: pytest.Pytester) -> None:
    text = (
        "c = background_check('true', after='deploy')\n"
        "@pytest.fixture\ndef deploy(): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test_early(): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test_late(deploy): pass\n"
    )
    result = run(pytester, "--bgcheck-order=keep", "--bgcheck-report=r.json", test_it=text)
    result.assert_outcomes(failed=2)
    why = (
        "it starts after the fixture 'deploy', which was not set up before"
        " test_it.py::test_early awaited it: request 'deploy' in that test"
    )
    # It is final: what is set up later starts nothing.
    result.stdout.fnmatch_lines([f"background check 'c' on local not started: {why}"] * 2)
    (job,) = json.loads(pytester.path.joinpath("r.json").read_text())["jobs"]
    assert (job["state"], job["started_at"]) == ("not started", None)


def test_a_body_that_asks_too_early_is_told_so(pytester: pytest.Pytester) -> None:
    text = (
        "c = background_check('true', after='deploy')\n"
        "@pytest.fixture\ndef deploy(): pass\n"
        "def test_state(c): assert (c.state, c.done(), c.tail().stdout) == ('pending', False, '')\n"
        "def test_result(c): assert c.result().state == 'not started'\n"
        "def test_cancel(c):\n    c.cancel()\n    assert c.state == 'not started'\n"
        "def test_deploy(deploy, c): assert c.state == 'not started'\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=4)


def test_a_body_that_asks_again_and_again_has_waited(pytester: pytest.Pytester) -> None:
    text = (
        "import time\n"
        "c = background_check('true', after='deploy', timeout=1)\n"
        "@pytest.fixture\ndef deploy(): pass\n"
        "def test(c):\n    while not c.done(): time.sleep(0.05)\n"
        "    assert c.result().state == 'not started'\n"
        "def test_deploy(deploy): pass\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("raise OSError('no host\\nsecret')", "failed: OSError: no host"),
        ("pytest.fail('broken')", "failed: Failed: broken"),
        ("pytest.skip('not here')", "failed: Skipped: not here"),
    ],
)
def test_where_the_fixture_failed_that_is_why(
    pytester: pytest.Pytester, error: str, told: str
) -> None:
    text = (
        "c = background_check('true', after='deploy')\n"
        f"@pytest.fixture(scope='module')\ndef deploy(): {error}\n"
        "def test_deploy(deploy): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
    )
    result = run(pytester, test_it=text)
    result.stdout.fnmatch_lines(
        [f"background check 'c' on local not started: it starts after *'deploy', which {told}"]
    )


def test_a_fixture_that_fails_first_starts_it_later(pytester: pytest.Pytester) -> None:
    text = (
        "c = background_check('true', after='deploy')\n"
        "@pytest.fixture(params=[0, 1])\ndef deploy(request): assert request.param\n"
        "def test_deploy(deploy): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=2, errors=1)


NEVER = """
c = background_check('true', after='deploy')
@pytest.fixture
def deploy(): raise OSError('no host')
"""


def test_one_that_no_test_could_await_is_no_failure_of_its_own(pytester: pytest.Pytester) -> None:
    text = NEVER + "@pytest.mark.bgcheck('c')\ndef test(deploy): pass\n"
    result = run(pytester, test_it=text)
    result.assert_outcomes(errors=1)
    result.stdout.no_fnmatch_line("*did not succeed*")
    result.stdout.no_fnmatch_line("*so the run fails*")
    result.stdout.fnmatch_lines(
        ["*'c' on local was judged by no test (not started, *'deploy', which failed: OSError*"]
    )


def test_one_that_a_test_has_requested_in_vain_makes_the_run_red(
    pytester: pytest.Pytester,
) -> None:
    text = NEVER.replace("raise OSError('no host')", "pass") + "def test(c): pass\n"
    result = run(pytester, test_it=text)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*was judged by no test (not started, *was not set up in this run)*so the run fails*"]
    )


def test_an_override_that_the_test_cannot_see_starts_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import pytest\nfrom pytest_bgcheck import background_check\n"
        "c = background_check('true', after='deploy')\n"
        "@pytest.fixture\ndef deploy(): pass\n"
    )
    result = run(
        pytester,
        test_a="@pytest.fixture\ndef deploy(): pass\ndef test_other(deploy): pass\n",
        test_b="@pytest.mark.bgcheck('c')\ndef test_b(): pass\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*not started: it starts after the fixture 'deploy', which was*"])


def test_a_job_that_is_found_at_run_time_starts_behind_a_fixture_too(
    pytester: pytest.Pytester,
) -> None:
    text = (
        "@pytest.fixture(scope='module')\ndef deploy(): pass\n"
        "@pytest.fixture\ndef job(bgcheck):\n"
        "    return bgcheck.start('true', name='job', after='deploy')\n"
        "def test_before(job): assert job.state == 'pending'\n"
        "def test_behind(job, deploy): assert job.result().succeeded\n"
        "def test_at_once(bgcheck, deploy):\n"
        "    assert bgcheck.start('true', name='other', after='deploy').result().succeeded\n"
        "def test_never(bgcheck):\n"
        "    with pytest.raises(Exception, match='did you mean .deploy.'):\n"
        "        bgcheck.start('true', name='wrong', after='deplay')\n"
        "def test_late(request):\n"
        "    bgcheck = request.getfixturevalue('bgcheck')\n"
        "    assert bgcheck['job'].succeeded\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=5)


def test_a_session_that_begins_at_run_time_sees_what_was_set_up_before(
    pytester: pytest.Pytester,
) -> None:
    text = (
        "@pytest.fixture(scope='module')\ndef deploy(): pass\n"
        "def test(request, deploy):\n"
        "    bgcheck = request.getfixturevalue('bgcheck')\n"
        "    assert bgcheck.start('true', name='job', after='deploy').result().succeeded\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=1)


def test_another_start_point_is_another_check(pytester: pytest.Pytester) -> None:
    text = (
        "@pytest.fixture(autouse=True)\ndef deploy(): pass\n"
        "def test(bgcheck):\n"
        "    bgcheck.start('true', name='job', after='deploy').result()\n"
        "    bgcheck.start('true', name='job')\n"
    )
    result = run(pytester, test_it=text)
    result.stdout.fnmatch_lines(["*'job' was already started on local with another after*"])


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("'a b'", "after must be the name of a fixture, not str 'a b'"),
        ("3", "after must be the name of a fixture, not int 3"),
        ("'deplay'", "after='deplay': the tests that want the check see no fixture of that name*;"),
        ("'deplay'", "*did you mean 'deploy'[?]"),
        ("'c'", "after='c' is the check itself, whose fixture is set up at once, *result()"),
        ("'d'", "after='d' is a background check, whose fixture *: name a fixture that requests"),
    ],
)
@pytest.mark.parametrize("options", [[], ["-n2"]])
def test_a_wrong_start_point_is_a_usage_error(
    pytester: pytest.Pytester, after: str, message: str, options: list[str]
) -> None:
    text = (
        f"c = background_check('true', after={after})\nd = background_check('true')\n"
        "@pytest.fixture\ndef deploy(): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
    )
    result = run(pytester, *options, test_it=text)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*test_it.py:3: background check 'c': {message}*"])


def test_all_hosts_start_by_one_call_each(
    pytester: pytest.Pytester, own_tmpdir: Path, ssh_server: SSHServer
) -> None:
    text = (
        "for n in range(5):\n"
        '    exec(f\'c{n} = background_check("true", after="deploy")\')\n'
        "    exec(f'@pytest.mark.bgcheck(\"c{n}\")\\ndef test_c{n}(host): pass')\n"
        "@pytest.fixture(scope='session', autouse=True)\ndef deploy(): pass\n"
    )
    before = ssh_server.connections()
    result = run(
        pytester, "--hosts=ssh://target,ssh://target2",
        f"--ssh-config={ssh_server.client_config}", f"--bgcheck-dir={own_tmpdir}", test_it=text,
    )  # fmt: skip
    result.assert_outcomes(passed=10)
    # For each host: the start, at most two waits, the clean-up.
    assert ssh_server.connections() - before <= 2 * 4


def test_a_run_that_is_stopped_does_not_wait_for_it(pytester: pytest.Pytester) -> None:
    text = (
        "c = background_check('true', after='deploy')\n"
        "@pytest.fixture\ndef deploy(): pass\n"
        "def test_fails(c): assert 0\n"
        "@pytest.mark.bgcheck('c')\ndef test(deploy): pass\n"
    )
    result = run(pytester, "-x", test_it=text)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*not cleaned up*")


def test_ctrl_c_while_it_is_held_back_ends_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        BACKGROUND_HEAD + "c = background_check('true', after='deploy')\n"
        "@pytest.fixture\ndef deploy():\n    open('begun', 'w')\n    time.sleep(95.4)\n"
        "@pytest.mark.bgcheck('c')\ndef test(deploy): pass\n"
    )
    with Run(pytester) as background:
        eventually(pytester.path.joinpath("begun").exists)
        os.kill(background.process.pid, signal.SIGINT)
        status, output = background.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert "INTERNALERROR" not in output


def test_the_plan_and_the_report_say_behind_what_it_starts(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("version").write_text("old")
    suite = DEPLOY.replace("cat version", "true").replace("assert late.stdout == 'new'", "pass")
    suite = suite.replace('assert late.stdout == "new"', "pass")
    result = run(pytester, "--bgcheck-plan", test_it=suite)
    result.stdout.fnmatch_lines(["  <Check late> timeout=360 after deploy: true"])
    run(pytester, "--bgcheck-report=r.json", test_it=suite).assert_outcomes(passed=2)
    jobs = json.loads(pytester.path.joinpath("r.json").read_text())["jobs"]
    assert {job["name"]: job["after"] for job in jobs} == {"early": None, "late": "deploy"}


def test_a_rerun_awaits_the_same_job(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    text = (
        "c = background_check('echo c >>count', after='deploy', cwd=%r)\n"
        "tries = []\n"
        "@pytest.fixture\ndef deploy():\n    tries.append(1)\n    assert len(tries) > 1\n"
        "@pytest.mark.bgcheck('c')\ndef test(deploy): assert len(tries) > 2\n"
    )
    args = (RERUNS, "--reruns=3", "--setup-show")
    result = run(pytester, *args, test_it=text % str(pytester.path))
    result.assert_outcomes(passed=1)
    assert pytester.path.joinpath("count").read_text() == "c\n"
