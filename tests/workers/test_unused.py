"""A suite that uses no check runs with workers as if the plugin was not there."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
from support.runs_in_background import HEAD, QUICK, Run, eventually, nothing_is_left, runs

pytest.importorskip("xdist")

pytestmark = pytest.mark.usefixtures("own_tmpdir")

NOTED = """
import signal, threading
def pytest_sessionfinish(session):
    config = session.config
    if hasattr(config, "workerinput"):
        return
    plugins = [name for name, _ in config.pluginmanager.list_name_plugin()]
    threads = [thread.name for thread in threading.enumerate()]
    ours = {name for name in [*plugins, *threads] if name.startswith("bgcheck-")}
    handlers = {signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with open("noted", "w") as file:
        print(sorted(ours), handlers == {signal.SIG_DFL}, file=file)
"""


@pytest.mark.parametrize("dist", ["load", "worksteal", "each"])
def test_the_controller_has_no_thread_no_handler_and_no_part_in_reports(
    pytester: pytest.Pytester, dist: str
) -> None:
    pytester.makeconftest(NOTED)
    pytester.makepyfile("def test_one(): pass\ndef test_two(): assert False\n")
    result = pytester.runpytest_subprocess("-n2", f"--dist={dist}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    noted = pytester.path.joinpath("noted").read_text()
    assert noted == "['bgcheck-awaiting', 'bgcheck-controller'] True\n"


def test_sigterm_ends_the_run_on_the_spot(pytester: pytest.Pytester, count: Path) -> None:
    pytester.makepyfile(
        "import os, time\n"
        "def test_long():\n"
        "    with open(os.environ['COUNT'], 'a') as file: file.write('begun\\n')\n"
        "    time.sleep(60)\n"
    )
    with Run(pytester, "-n1") as run:
        eventually(lambda: runs(count))
        run.process.terminate()
        status = run.process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)  # the worker, which still sleeps
        assert status == -signal.SIGTERM  # as Python's default has it


def test_xdists_hooks_may_be_called_before_pytest_is_configured(
    pytester: pytest.Pytester,
) -> None:
    config = pytester.parseconfig("-n2")
    assert config.hook.pytest_xdist_make_scheduler(config=config, log=None) is None
    config.hook.pytest_xdist_setupnodes(config=config, specs=[])
    node = type("Node", (), {"workerinput": {"workercount": 2}})()
    node.gateway = type("Gateway", (), {"id": "gw0", "newchannel": lambda self: Channel()})()
    config.hook.pytest_configure_node(node=node)
    config.hook.pytest_testnodedown(node=node, error=None)


class Channel:
    def setcallback(self, callback: object) -> None: ...


SCHEDULER = """
import pytest
from xdist.scheduler import LoadScheduling
class Own(LoadScheduling):
    def schedule(self):
        with open("scheduled", "a") as file: file.write("own\\n")
        super().schedule()
def pytest_xdist_make_scheduler(config, log):
    return Own(config, log)
"""


@pytest.mark.started
@pytest.mark.parametrize("suite", ["def test(): pass\n", HEAD + QUICK], ids=["none", "checks"])
def test_a_scheduler_of_the_suite_or_of_another_plugin_is_the_one_that_counts(
    pytester: pytest.Pytester, suite: str
) -> None:
    # By -p it is registered before this plugin, so that it would be asked behind it.
    pytester.makepyfile(suite, own_scheduler=SCHEDULER)
    pytester.syspathinsert()
    pytester.runpytest_subprocess("-n2", "-p", "own_scheduler").assert_outcomes(passed=1)
    assert pytester.path.joinpath("scheduled").read_text() == "own\n"


def test_a_check_whose_use_shows_only_in_a_test_is_told_and_cleaned_up(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        "def test_one(): pass\n"
        "def test_late(request):\n"
        "    job = request.getfixturevalue('bgcheck').start('exit 3; sleep 60', name='late')\n"
        "    assert job.result(60).rc == 0\n"
    )
    result = pytester.runpytest_subprocess("-n2")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["1 background check on 1 host, 1 did not succeed:*"])
    assert nothing_is_left()


def test_the_test_that_is_the_first_to_use_a_check_counts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import time\n"
        "def test_late(request):\n"
        "    time.sleep(2)  # so that the controller has heard of its set-up\n"
        "    job = request.getfixturevalue('bgcheck').start('exit 3', name='late')\n"
        "    while not job.done(): time.sleep(0.1)\n"
    )
    result = pytester.runpytest_subprocess("-n1")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["background check 'late' on local was judged by no test *"])
