"""The hooks for others."""

import _pytest.config
import pytest
from support.ledger_builder import ZERO, LedgerBuilder
from support.suites import run

from pytest_bgcheck import hookspecs
from pytest_bgcheck.events import JobReady, WindowClosed
from pytest_bgcheck.ledger import JobEntry
from pytest_bgcheck.model import Result, State
from pytest_bgcheck.run.announce import Announcer

HOOKS = (
    "import threading\n"
    "def told(kind, job, result=''):\n"
    "    assert threading.current_thread() is threading.main_thread()\n"
    "    with open('told', 'a') as file: print(kind, job.name, job.host, result, file=file)\n"
    "def pytest_bgcheck_job_started(config, job): told('started', job)\n"
    "def pytest_bgcheck_job_finished(config, job, result): told('finished', job, result.rc)\n"
)
SUITE = (
    "good = background_check('sleep 0.5')\n"
    "bad = background_check('exit 3')\n"
    "refused = background_check('true', cwd='/nonexistent')\n"
    "@pytest.mark.parametrize('n', range(3))\n"
    "@pytest.mark.bgcheck('good', 'bad', 'refused')\ndef test(n): pass\n"
)


def test_hooks_are_called_for_services_that_are_ready_and_for_windows_all_in_their_order() -> None:
    called: list[tuple[object, ...]] = []

    class Plugin:
        @pytest.hookimpl
        def pytest_bgcheck_job_started(self, job: JobEntry) -> None:
            called.append(("started", job.name, job.kind))

        @pytest.hookimpl
        def pytest_bgcheck_job_ready(self, job: JobEntry) -> None:
            called.append(("ready", job.name, job.ready_s))

        @pytest.hookimpl
        def pytest_bgcheck_job_finished(self, job: JobEntry, result: Result) -> None:
            called.append(("finished", job.name, str(result.state)))

        @pytest.hookimpl
        def pytest_bgcheck_window_closed(self, job: JobEntry, window: WindowClosed) -> None:
            called.append(("window", job.name, window.test))

    config = _pytest.config.get_config()
    config.pluginmanager.add_hookspecs(hookspecs)
    config.pluginmanager.register(Plugin())
    told = LedgerBuilder()
    announcer = Announcer(config, told.ledger)
    told.job("webapp", "h", 0, 3)
    web = told.service("web", "h", 0, 0.5, 9.0)
    told.ledger.tell(JobReady(web, 0.6, ZERO))  # by another worker
    told.service("dead", "h", 0, None, 0.2, State.NOT_READY, 1)
    vip = told.probe("vip", "h", 0, 0.1)
    told.window(vip, "t1", 1, 2)
    told.window(vip, "t1", 1, 2)
    announcer.call_hooks()
    assert called == [
        ("started", "webapp", "check"), ("finished", "webapp", "succeeded"),
        ("started", "web", "service"), ("ready", "web", 0.5), ("finished", "web", "stopped"),
        ("started", "dead", "service"), ("finished", "dead", "not ready"),
        ("started", "vip", "probe"), ("ready", "vip", 0.1), ("window", "vip", "t1"),
        ("window", "vip", "t1"),
    ]  # fmt: skip


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_hooks_are_called_once_for_each_job(pytester: pytest.Pytester, args: list[str]) -> None:
    run(pytester, *args, conftest=HOOKS, test_it=SUITE + SLOW)
    lines = pytester.path.joinpath("told").read_text().splitlines()
    assert sorted(lines) == [
        "finished bad local 3",
        "finished good local 0",
        "finished refused local None",
        "started bad local ",
        "started good local ",
        "started refused local ",
    ]
    for name in ("good", "bad", "refused"):
        own = [line.split()[0] for line in lines if line.split()[1] == name]
        assert own == ["started", "finished"]


SLOW = "@pytest.mark.bgcheck('good')\ndef test_good(): pass\n"


def test_hooks_are_told_while_a_test_waits(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest=HOOKS,
        test_it="quick = background_check('true')\n"
        "slow = background_check('while ! grep -q finished.quick \"$TOLD\"; do sleep 0.1; done',\n"
        "    timeout=60, env={'TOLD': __import__('os').path.abspath('told')})\n"
        "@pytest.mark.bgcheck('slow')\ndef test(quick): pass\n",
    )
    result.assert_outcomes(passed=1)


def test_a_job_that_the_end_of_the_run_cancels_is_finished(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        conftest=HOOKS,
        test_it="c = background_check('sleep 60')\n"
        "def test(c):\n    while c.state != 'running': pass",
    )
    assert pytester.path.joinpath("told").read_text().splitlines() == [
        "started c local ",
        "finished c local None",
    ]
