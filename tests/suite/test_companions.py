"""Beside the plugins that infrastructure suites use most; with and without workers."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from support import leftovers
from support.machines import require
from support.suites import RERUNS

from pytest_bgcheck.suite.companions import limit_s

pytestmark = pytest.mark.usefixtures("own_tmpdir")

HEAD = "import pytest, time\nfrom pytest_bgcheck import background_check\n"

WORKERS = pytest.mark.parametrize("workers", ["-n0", "-n2"])


def needs(package: str) -> None:
    require(
        importlib.util.find_spec(package.replace("-", "_")) is not None,
        package,
        f"pip install {package}",
    )


@pytest.fixture
def switched_on(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS")


@WORKERS
def test_a_rerun_awaits_the_same_job_again(pytester: pytest.Pytester, workers: str) -> None:
    needs("pytest-rerunfailures")
    pytester.makepyfile(
        HEAD + "c = background_check('echo run >>count; exit 3')\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
    )
    result = pytester.runpytest_subprocess(RERUNS, "--reruns=2", workers)
    assert result.parseoutcomes() == {"failed": 1, "rerun": 2}
    assert pytester.path.joinpath("count").read_text() == "run\n"


@WORKERS
@pytest.mark.usefixtures("switched_on")
def test_a_random_order_keeps_those_that_await_last(
    pytester: pytest.Pytester, workers: str
) -> None:
    needs("pytest-randomly")
    pytester.makepyfile(
        HEAD + "c = background_check('echo run >>count')\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
        "@pytest.mark.parametrize('n', range(20))\ndef test(n): pass\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-v", workers)
    result.assert_outcomes(passed=21)
    result.stdout.fnmatch_lines(["Using --randomly-seed=*"])
    tests = [line for line in result.outlines if "PASSED" in line]
    # The other worker may still have one ordinary test behind the one that it runs.
    assert any("test_c" in line for line in tests[-3:])
    assert pytester.path.joinpath("count").read_text() == "run\n"


TIMED = (
    "c = background_check('sleep 95.2', timeout=90)\n"
    "@pytest.mark.bgcheck('c')\n@pytest.mark.timeout(2, method=METHOD)\ndef test(): pass\n"
)


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_short_timeout_is_warned_of_and_ends_the_wait(
    pytester: pytest.Pytester, method: str
) -> None:
    needs("pytest-timeout")
    pytester.makepyfile(HEAD + f"METHOD = {method!r}\n" + TIMED)
    result = pytester.runpytest_subprocess("-n2", "--max-worker-restart=0")
    result.assert_outcomes(failed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*pytest-timeout's timeout of 2 s is shorter than the wait of up to 90 s for*'c'*"]
    )
    assert not leftovers.directories()
    assert not leftovers.checks()


def test_a_short_timeout_of_the_process_itself_leaves_nothing(pytester: pytest.Pytester) -> None:
    needs("pytest-timeout")
    pytester.makepyfile(HEAD + "METHOD = 'signal'\n" + TIMED)
    pytester.runpytest_subprocess().assert_outcomes(failed=1, warnings=1)
    assert not leftovers.directories()
    assert not leftovers.checks()


@pytest.mark.parametrize(
    ("options", "warnings"),
    [("--timeout=100", 0), ("--timeout=20", 1), ("--timeout=20 -o timeout_func_only=true", 0)],
)
def test_only_a_shorter_timeout_is_warned_of(
    pytester: pytest.Pytester, options: str, warnings: int
) -> None:
    needs("pytest-timeout")
    pytester.makepyfile(
        HEAD + "c = background_check('true', timeout=30)\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
        "@pytest.mark.bgcheck('c', timeout=5)\ndef test_less_patient(): pass\n"
    )
    pytester.runpytest_subprocess(*options.split()).assert_outcomes(passed=2, warnings=warnings)


@pytest.mark.parametrize("option", ["", "--timeout=7"])
@pytest.mark.parametrize("environment", ["", "8"])
@pytest.mark.parametrize("ini", ["", "timeout = 9", "timeout = 9\ntimeout_func_only = true"])
def test_a_limit_is_the_one_that_pytest_timeout_sets(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    environment: str,
    ini: str,
) -> None:
    needs("pytest-timeout")

    class Plugin:
        def __init__(self) -> None:
            self.ours: dict[str, float] = {}
            self.theirs: dict[str, float] = {}

        @pytest.hookimpl(tryfirst=True)
        def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> None:
            if not settings.func_only:
                self.theirs[item.name] = settings.timeout

        def pytest_runtest_setup(self, item: pytest.Item) -> None:
            limit = limit_s(item)
            if limit is not None:
                self.ours[item.name] = limit

    plugin = Plugin()
    if environment:
        monkeypatch.setenv("PYTEST_TIMEOUT", environment)
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(
        "import pytest\n"
        "def test(): pass\n"
        "@pytest.mark.timeout(5)\ndef test_mark(): pass\n"
        "@pytest.mark.timeout('6')\ndef test_str(): pass\n"
        "@pytest.mark.timeout(timeout=5, func_only=True)\ndef test_function(): pass\n"
        "@pytest.mark.timeout(timeout=5, func_only=False)\ndef test_whole(): pass\n"
        "@pytest.mark.timeout(method='thread')\ndef test_method(): pass\n"
        "@pytest.mark.timeout(0)\ndef test_off(): pass\n"
    )
    result = pytester.runpytest_inprocess(*option.split(), plugins=[plugin])
    result.assert_outcomes(passed=7)
    assert plugin.ours == plugin.theirs


def test_without_pytest_timeout_there_is_no_limit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAD + "@pytest.mark.timeout(5)\ndef test(): pass\n")
    items, _ = pytester.inline_genitems("-p", "no:timeout")
    assert [limit_s(item) for item in items] == [None]


@WORKERS
def test_coverage_is_measured(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    needs("pytest-cov")
    # It begins by erasing what has been measured, which must not be what measures these tests.
    for name in ("COVERAGE_FILE", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(
        test_it=HEAD + "c = background_check('true')\n"
        "@pytest.mark.bgcheck('c')\ndef test(c): assert c.done()\n"
    )
    result = pytester.runpytest_subprocess("--cov=.", workers)
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"test_it\.py +\d+ +0 +100%"])


@pytest.mark.usefixtures("switched_on")
def test_async_tests_await_too(pytester: pytest.Pytester, tmp_path: Path) -> None:
    needs("pytest-asyncio")
    pytester.makeini("[pytest]\nasyncio_mode = auto\n")
    pytester.makepyfile(
        HEAD + "good = background_check('sleep 0.3')\nbad = background_check('exit 3')\n"
        "@pytest.mark.bgcheck('good')\nasync def test_good(good): assert good.done()\n"
        "@pytest.mark.bgcheck('bad')\nasync def test_bad(): raise AssertionError('body')\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*body*")
