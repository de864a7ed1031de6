"""Each private API of xdist that `compat.xdist` and the schedulers need."""

import importlib.metadata
from types import SimpleNamespace
from typing import Any

import pytest
from support.private import needs

pytest.importorskip("xdist")

from pytest_bgcheck.compat.xdist import (
    OLDEST,
    active_workers,
    end_workers,
    is_stopping,
    open_channel,
    reporting_worker,
    too_old,
    without_workers,
    worker_id,
    worker_input,
)
from pytest_bgcheck.workers.scheduling import scheduler

SUITE = "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test(n): pass\n"


def needs_xdist(api: str, function: Any) -> Any:
    return needs("pytest-xdist", api, function)


@pytest.mark.parametrize("version", ["3.5.0", "3.8.1.dev4+g1", "3.10", "4.0rc1"])
def test_a_new_xdist_is_good(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert too_old() == ""


OLD = "import importlib.metadata\nimportlib.metadata.version = lambda name: '3.4.2'\n"
CHECKS = "from pytest_bgcheck import background_check\nc = background_check('true')\n"


def test_an_old_xdist_is_refused_where_checks_are_used(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(OLD)
    test = pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess("-n1").assert_outcomes(passed=4)
    test.write_text(f"{CHECKS}{SUITE}def test_it(c): assert c.succeeded\n")
    result = pytester.runpytest_subprocess("-n1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *needs pytest-xdist 3.5 or newer, not 3.4.2:*"])
    pytester.runpytest_subprocess("-n0").assert_outcomes(passed=5)


def test_the_oldest_xdist_is_the_one_that_the_package_names(request: pytest.FixtureRequest) -> None:
    project = request.config.rootpath.joinpath("pyproject.toml").read_text()
    assert f'xdist = ["pytest-xdist>={".".join(map(str, OLDEST))}"]' in project


def test_a_process_that_is_no_worker_has_no_input(pytester: pytest.Pytester) -> None:
    assert worker_input(pytester.parseconfig()) is None


def test_a_worker_has_what_the_controller_gave_it(pytester: pytest.Pytester) -> None:
    ids: list[str] = []
    heard: list[str] = []

    class Plugin:
        def pytest_configure_node(self, node: Any) -> None:
            ids.append(worker_id(node))
            channel = node.workerinput["ours"] = open_channel(node)
            channel.setcallback(heard.append)

    pytester.makeconftest(
        "from pytest_bgcheck.compat.xdist import worker_input\n"
        "def pytest_collection_finish(session):\n"
        "    given = worker_input(session.config)\n"
        "    if given is not None: given['ours'].send(given['workerid'])\n"
    )
    pytester.makepyfile(SUITE)
    with needs_xdist("node.gateway of execnet, node.workerinput or config.workerinput", worker_id):
        pytester.runpytest_inprocess("-n2", plugins=[Plugin()]).assert_outcomes(passed=4)
        assert ids == ["gw0", "gw1"]
        assert sorted(heard) == ["gw0", "gw1"]


class Reports:
    """Keeps the reports, and who sent them."""

    def __init__(self) -> None:
        self.workers: list[tuple[str, str]] = []
        self.stopping: list[bool] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.workers.append((report.outcome, reporting_worker(report)))

    def pytest_runtest_logfinish(self) -> None:
        self.stopping.append(is_stopping(self.config))

    def pytest_configure(self, config: pytest.Config) -> None:
        self.config = config


def test_a_report_names_its_worker_also_after_a_crash(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import os\ndef test_it(): pass\ndef test_dies(): os._exit(1)\n")
    reports = Reports()
    with needs_xdist("report.worker_id, or report.node after a crash", reporting_worker):
        pytester.runpytest_inprocess("-n1", "--max-worker-restart=0", plugins=[reports])
        assert ("passed", "gw0") in reports.workers
        assert reports.workers[-1] == ("failed", "gw0")


def test_a_report_without_workers_names_none(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    reports = Reports()
    pytester.runpytest_inprocess(plugins=[reports])
    assert {worker for _, worker in reports.workers} == {""}
    assert not any(reports.stopping)


def test_a_controller_that_stops_is_seen(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_1(): assert False\ndef test_2(): assert False\n")
    reports = Reports()
    with needs_xdist("DSession.shouldstop", is_stopping):
        pytester.runpytest_inprocess("-n2", "-x", plugins=[reports])
        assert reports.stopping[-1]


def test_the_workers_that_are_there_are_known(pytester: pytest.Pytester) -> None:
    class Plugin:
        def pytest_testnodedown(self, node: Any) -> None:
            found.append(active_workers(node.config, ["unknown"]))

    found: list[set[str]] = []
    pytester.makepyfile("import os\ndef test_it(): pass\ndef test_dies(): os._exit(1)\n")
    with needs_xdist("DSession._active_nodes", active_workers):
        pytester.runpytest_inprocess("-n1", "--max-worker-restart=1", plugins=[Plugin()])
        # The one that has died is there until the next one is.
        assert found[0] == {"gw0"}
        assert found[-1] == {"gw1"}


def test_where_the_workers_are_not_known_those_that_are_given_count() -> None:
    manager = SimpleNamespace(get_plugin=lambda name: None)
    config: Any = SimpleNamespace(pluginmanager=manager)
    assert active_workers(config, ["gw0"]) == {"gw0"}


def test_workers_are_ended_whose_session_does_not_end(pytester: pytest.Pytester) -> None:
    left: list[int] = []

    class Plugin:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(self, session: pytest.Session) -> bool:
            dsession: Any = session.config.pluginmanager.get_plugin("dsession")
            group = dsession.nodemanager.group
            left.append(len(group))
            end_workers(session.config)
            left.append(len(group))
            return True

    pytester.makepyfile(SUITE)
    with needs_xdist("DSession.nodemanager.teardown_nodes()", end_workers):
        pytester.runpytest_inprocess("-n2", plugins=[Plugin()])
        assert left == [2, 0]


def test_no_workers_are_ended_where_none_were_started(pytester: pytest.Pytester) -> None:
    end_workers(pytester.parseconfig("-p", "no:xdist"))
    with needs_xdist("DSession.nodemanager, None until workers are started", end_workers):
        end_workers(pytester.parseconfigure("-n1"))


def test_a_run_is_had_without_workers(pytester: pytest.Pytester) -> None:
    class Plugin(Reports):
        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(self, config: pytest.Config) -> None:
            super().pytest_configure(config)
            without_workers(config)

    pytester.makepyfile(SUITE)
    plugin = Plugin()
    with needs_xdist("the option dist, read by its pytest_configure", without_workers):
        pytester.runpytest_inprocess("-n2", plugins=[plugin]).assert_outcomes(passed=4)
        assert {worker for _, worker in plugin.workers} == {""}


@pytest.mark.parametrize(
    ("mode", "methods", "attributes"),
    [
        ("load", ["_send_tests", "_check_nodes_have_same_collection"], ["maxschedchunk"]),
        (
            "worksteal",
            ["_send_tests", "_check_nodes_have_same_collection", "check_schedule"],
            ["steal_requested_from_node"],
        ),
    ],
)
def test_the_schedulers_have_the_parts_that_ours_override(
    pytester: pytest.Pytester, mode: str, methods: list[str], attributes: list[str]
) -> None:
    from xdist.scheduler import LoadScheduling, WorkStealingScheduling

    base = {"load": LoadScheduling, "worksteal": WorkStealingScheduling}[mode]
    config = pytester.parseconfig("-n2", "--dist", mode)
    config.option.tx = ["2*popen"]
    made = base(config)
    parts = ["collection", "node2collection", "node2pending", "pending", "nodes", "schedule"]
    parts += ["tests_finished", "has_pending", *methods, *attributes]
    for part in parts:
        with needs_xdist(f"{base.__name__}.{part}", scheduler):
            assert hasattr(made, part)


def test_a_worker_of_the_controller_takes_and_gives_back_tests() -> None:
    from xdist.workermanage import WorkerController

    for part in ("send_runtest_some", "send_steal", "shutdown", "shutting_down"):
        with needs_xdist(f"WorkerController.{part}", scheduler):
            assert hasattr(WorkerController, part)
