"""The plugin beside the rest of pytest: its options, its log, other plugins, other users."""

import json
import os
import shutil

import pytest
from support.machines import require
from support.suites import UNAWAITED, run


def test_an_option_wins_over_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbgcheck_timeout = 7\nbgcheck_unawaited = fail\n")
    result = run(pytester, "--bgcheck-unawaited=warn", test_it=UNAWAITED)
    assert result.ret == 0
    plan = pytester.runpytest_subprocess("--bgcheck-plan")
    plan.stdout.fnmatch_lines(["  <Check c> timeout=7: true"])


@pytest.mark.started
def test_a_suite_that_does_not_use_it_imports_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test():\n"
        "    light = {'clocks', 'errors', 'hookspecs', 'options', 'plugin', 'run',\n"
        "             'run.awaiting', 'startup', 'suite'}\n"
        "    names = {name.partition('.') for name in sys.modules}\n"
        "    assert {rest for top, _, rest in names if top == 'pytest_bgcheck'} - {''} <= light\n",
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_requests_stay_out_of_the_log(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--log-cli-level=DEBUG",
        test_it="c = background_check('true', env={'TOKEN': 'secret-value'})\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(host, c): host.run('echo of-the-test')\n",
    )
    result.assert_outcomes(passed=1)
    assert "of-the-test" in result.stdout.str()
    assert "secret-value" not in result.stdout.str()
    assert "supervisor" not in result.stdout.str()


def test_a_check_can_run_as_another_user(pytester: pytest.Pytester) -> None:
    require(os.getuid() == 0, "root", "run the tests as root")
    require(shutil.which("sudo") is not None, "sudo", "apt-get install sudo")
    result = run(
        pytester,
        test_it="a = background_check('id -un; sleep 0.2', sudo_user='nobody', cwd='/tmp')\n"
        "b = background_check('echo $SUDO_USER', sudo=True)\n"
        "@pytest.mark.bgcheck\ndef test_a(a): assert a.stdout == 'nobody\\n'\n"
        "@pytest.mark.bgcheck\ndef test_b(b): assert b.stdout == 'root\\n'\n",
    )
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*not cleaned up*")


def test_huge_output_costs_no_memory_here(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import resource\n"
        "def rss(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "big = background_check('head -c 200000000 /dev/zero; head -c 200000000 /dev/zero >&2')\n"
        "def test_before():\n    global before\n    before = rss()\n"
        "@pytest.mark.bgcheck\ndef test_big(big):\n"
        "    assert big.result().stdout_kept.size == 200_000_000\n"
        "    assert rss() - before < 60\n",
    )
    result.assert_outcomes(passed=2)


OFF = (
    "setuponly", "setupplan", "stepwise", "cacheprovider", "junitxml", "skipping", "unittest",
    "doctest", "logging", "warnings", "faulthandler", "recwarn", "capture", "debugging",
    "pastebin", "unraisableexception", "threadexception", "subtests", "xdist",
)  # fmt: skip


@pytest.mark.parametrize("off", [OFF, ("terminal",), ("pytest11.testinfra",)], ids=lambda o: o[0])
def test_plugins_that_are_switched_off_are_not_missed(
    pytester: pytest.Pytester, off: tuple[str, ...]
) -> None:
    result = run(
        pytester,
        *(f"-pno:{name}" for name in off),
        "--bgcheck-report=told.json",
        test_it="good = background_check('true', host='local://')\n"
        "bad = background_check('exit 3', host='local://')\n"
        "@pytest.mark.bgcheck('good')\ndef test_good(bgcheck):\n"
        "    assert bgcheck.start('true', name='other').result().succeeded\n"
        "@pytest.mark.bgcheck('bad')\ndef test_bad(): pass\n",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = json.loads(pytester.path.joinpath("told.json").read_text())
    assert {test["test"]: test["outcome"] for test in told["tests"]} == {
        "test_it.py::test_good": "passed",
        "test_it.py::test_bad": "failed",
    }
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "pytest_bgcheck/" not in result.stdout.str() + result.stderr.str()
