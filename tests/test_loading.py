"""However pytest is told to load this plugin, how often it runs in a process, and runs in runs."""

from pathlib import Path

import pytest
from support.runs_in_background import Run, eventually
from support.suites import HEAD

pytestmark = pytest.mark.started

SUITE = (
    HEAD + "good = background_check('echo fine')\nbad = background_check('exit 3')\n"
    "@pytest.mark.bgcheck\ndef test_good(good): assert good.stdout == 'fine\\n'\n"
    "@pytest.mark.bgcheck\ndef test_bad(bad): pass\n"
)

OUTCOMES = (
    "def pytest_runtest_logreport(report):\n"
    "    if report.when == 'call':\n"
    "        with open('outcomes', 'a') as file: print(report.outcome, file=file)\n"
)


def outcomes(path: Path) -> list[str]:
    file = path / "outcomes"
    return sorted(file.read_text().split()) if file.exists() else []


@pytest.mark.parametrize("workers", [[], ["-p", "xdist.plugin", "-n2"]], ids=["alone", "workers"])
@pytest.mark.parametrize("how", ["option", "conftest"])
def test_without_autoload_to_name_it_is_enough(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str, workers: list[str]
) -> None:
    if workers:
        pytest.importorskip("xdist")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(SUITE)
    if how == "conftest":
        pytester.makeconftest("pytest_plugins = ['pytest_bgcheck.plugin']")
    named = ["-p", "pytest_bgcheck.plugin"] if how == "option" else []
    result = pytester.runpytest_subprocess(*named, *workers)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["background check 'bad' on local failed: rc 3 *"])


@pytest.mark.parametrize("first", ["testinfra.plugin", "pytest_bgcheck.plugin"])
def test_without_autoload_testinfra_may_be_named_too(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(SUITE)
    plugins = sorted(["testinfra.plugin", "pytest_bgcheck.plugin"], key=lambda name: name != first)
    result = pytester.runpytest_subprocess(*(f"-p{name}" for name in plugins))
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.usefixtures("own_tmpdir")
def test_a_run_that_is_repeated_until_it_passes(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makeconftest(OUTCOMES)
    test = pytester.makepyfile(SUITE)
    with Run(pytester, "-f") as run:
        eventually(lambda: outcomes(pytester.path) == ["failed", "passed"])
        test.write_text(SUITE.replace("exit 3", "true") + "# changed\n")
        # The one that failed, and then all.
        eventually(lambda: outcomes(pytester.path)[1:] == ["passed"] * 4)
        run.process.terminate()
        run.end()


def test_pytest_can_be_called_twice_in_a_process(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    twice = pytester.makepyfile(
        twice="import pytest\nfirst, second = pytest.main([]), pytest.main([])\n"
        "assert (first, second) == (1, 1)\n"
    )
    result = pytester.runpython(twice)
    assert result.ret == 0, result.stdout.str()
    failure = "background check 'bad' on local failed: rc 3 *"
    result.stdout.fnmatch_lines([failure, "*1 failed, 1 passed*", failure, "*1 failed, 1 passed*"])


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
def test_a_test_that_uses_checks_can_run_pytest_in_its_process(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    pytester.makeconftest("pytest_plugins = ['pytester']")
    inner = SUITE.replace("test_good", "test_inner_good").replace("test_bad", "test_inner_bad")
    pytester.makepyfile(
        SUITE + "slow = background_check('sleep 1; echo slow')\n"
        "@pytest.mark.bgcheck('good')\n"
        "def test_nested(pytester, slow):\n"
        f"    pytester.makepyfile({inner!r})\n"
        "    pytester.runpytest_inprocess().assert_outcomes(passed=1, failed=1)\n"
        "    assert slow.result(60).stdout == 'slow\\n'\n"
        "@pytest.mark.bgcheck\ndef test_after(slow): assert slow.succeeded\n"
    )
    result = pytester.runpytest_subprocess(*workers)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["3 background checks on 1 host, 1 did not succeed:*"])


REPORTER = """
import pytest
class Reporter:
    def __init__(self, config): self.config = config
    def write_line(self, line, **markup): print(line)
    def write_sep(self, sep, title=None, **markup): print(title)
    def pytest_sessionfinish(self, session):
        session.config.hook.pytest_terminal_summary(
            config=session.config, terminalreporter=self, exitstatus=session.exitstatus)
@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Reporter(config), "terminalreporter")
"""


def test_another_plugins_reporter_may_be_in_the_place_of_pytests(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(OUTCOMES + REPORTER)
    pytester.makepyfile(SUITE + "def test_unjudged(bad): pass\n")
    result = pytester.runpytest_subprocess("-k", "good or unjudged", "--capture=no")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes(pytester.path) == ["passed", "passed"]
    result.stdout.fnmatch_lines(["background check 'bad' on local was judged by no test *"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
