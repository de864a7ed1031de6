"""What controller and workers say to each other, over lines without a process at their ends."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.machines.machine import wait_until

from pytest_bgcheck.ledger import Ledger
from pytest_bgcheck.run import messages
from pytest_bgcheck.target.address import TargetAddress
from pytest_bgcheck.target.place import here
from pytest_bgcheck.workers.controller import Controller
from pytest_bgcheck.workers.worker import WorkerLink


class End:
    """One end of a line: what is sent arrives at the other at once, or once that listens."""

    def __init__(self) -> None:
        self.other: End
        self._unheard: list[object] = []
        self._callback: Callable[[object], None] | None = None

    def send(self, item: object) -> None:
        if self.other._callback is None:
            self.other._unheard.append(item)
        else:
            self.other._callback(item)

    def setcallback(self, callback: Callable[[object], None]) -> None:
        self._callback = callback
        for item in self._unheard:
            callback(item)


class Worker:
    """A worker as the controller's xdist sees it, with the worker's link and what that heard."""

    def __init__(self, run: "Run", name: str) -> None:
        here, there = End(), End()
        here.other, there.other = there, here
        self.line = there
        self.gateway = SimpleNamespace(id=name, newchannel=lambda: here)
        self.workerinput: dict[str, Any] = {"workercount": 2, "workerid": name}
        run.controller.pytest_configure_node(self)
        self.link = WorkerLink({**self.workerinput, "bgcheck_channel": there})
        self.jobs: list[messages.JobsOnTarget] = []
        self.heard: list[str] = []
        self.start_points: list[messages.StartPointMessage] = []
        self.link.listen(self)

    def started_elsewhere(self, jobs: messages.JobsOnTarget) -> None:
        self.jobs.append(jobs)

    def hear(self, message: messages.StartPointMessage) -> None:
        self.start_points.append(message)

    def stop(self) -> None:
        self.heard.append("stop")

    def tests_are_over(self) -> None:
        self.heard.append("tests are over")


class Run:
    """A run with a controller."""

    def __init__(self) -> None:
        self.whole = SimpleNamespace(
            durations=dict, ledger=Ledger(), unexpected=[], not_cleaned_up=[],
            settings=SimpleNamespace(dir=""),
        )  # fmt: skip
        self.xdist = SimpleNamespace(shouldstop=False)
        plugins = SimpleNamespace(get_plugin=lambda name: self.xdist)
        config = cast(Any, SimpleNamespace(pluginmanager=plugins))
        self.controller = Controller(config, cast(Any, self.whole))


@pytest.fixture
def run() -> Run:
    return Run()


def eventually(condition: Callable[[], object]) -> None:
    assert wait_until(lambda: bool(condition()), 20)


JOBS = messages.JobsOnTarget("ssh://web", b"/tmp/run", {"run-1": "terms"})


def address(place: str) -> TargetAddress:
    return TargetAddress(
        "local", "local", "local", {"sudo": False, "sudo_user": None}, place, None, None
    )


def test_a_replacement_takes_the_index_of_the_worker_that_died(run: Run) -> None:
    first, second = Worker(run, "gw0"), Worker(run, "gw1")
    assert [(w.link.index, w.link.count) for w in (first, second)] == [(0, 2), (1, 2)]
    run.controller.pytest_testnodedown(first)
    assert Worker(run, "gw2").link.index == 0


def test_what_one_worker_has_started_all_others_hear_once(run: Run) -> None:
    first, second = Worker(run, "gw0"), Worker(run, "gw1")
    first.link.tell(JOBS)
    eventually(lambda: second.jobs)
    second.link.tell(JOBS)  # it has attached to them
    late = Worker(run, "gw2")
    assert late.jobs == [JOBS]
    second.link.leave((), ())
    assert (first.jobs, second.jobs) == ([], [JOBS])


def test_all_workers_hear_when_none_has_a_test_left(run: Run) -> None:
    first, second = Worker(run, "gw0"), Worker(run, "gw1")
    assert first.link.what_to_clean() == messages.CleanTargets()
    first.link.leave((), ())
    assert run.controller.idle_since_s is None
    second.link.what_to_clean()
    eventually(lambda: first.heard == second.heard == ["tests are over"])


def test_a_worker_that_died_keeps_nobody_from_hearing_it(run: Run) -> None:
    first, second = Worker(run, "gw0"), Worker(run, "gw1")
    first.link.what_to_clean()
    run.controller.pytest_testnodedown(second)
    eventually(lambda: first.heard == ["tests are over"])


def test_a_run_that_stops_has_each_worker_wait_no_longer(run: Run) -> None:
    workers = [Worker(run, "gw0"), Worker(run, "gw1")]
    run.controller.pytest_runtest_logfinish()
    run.xdist.shouldstop = "stopping after 1 failures"
    run.controller.pytest_runtest_logfinish()
    run.controller.pytest_runtest_logfinish()
    eventually(lambda: [worker.heard for worker in workers] == [["stop"], ["stop"]])


def test_a_worker_whose_first_word_comes_after_the_stop_hears_of_it(run: Run) -> None:
    run.controller.stop_workers()
    assert Worker(run, "gw0").heard == ["stop"]


def test_the_run_begins_once_and_only_when_a_worker_says_that_its_tests_use_checks() -> None:
    begun: list[str] = []

    def begin() -> bool:
        begun.append("begun")
        return True

    run = Run()
    controller = run.controller = Controller(
        run.controller._config, run.controller.whole_run, begin
    )
    controller.pytest_xdist_node_collection_finished()
    controller.pytest_runtest_logstart()
    assert begun == []
    Worker(run, "gw0")
    assert begun == []  # only the main thread may begin
    controller.pytest_runtest_logstart()
    controller.pytest_xdist_node_collection_finished()
    assert begun == ["begun"]


def test_a_wrong_suite_is_a_usage_error_with_the_workers_words(run: Run) -> None:
    worker = Worker(run, "gw0")
    worker.link.tell(messages.WrongSuite("'c': timeout must be more"))
    with pytest.raises(pytest.UsageError, match="'c': timeout must be more"):
        run.controller.pytest_testnodedown(worker)


def test_tests_that_await_are_known_before_anything_else_is_said(run: Run) -> None:
    Worker(run, "gw0").link.tell(messages.NewOrder(("t1", "t2"), 1, 1))
    assert list(run.controller.last_tests) == ["t1", "t2"]


def test_an_error_in_a_worker_is_told_with_its_name(run: Run) -> None:
    worker = Worker(run, "gw0")
    worker.link.tell(messages.InternalError("it broke"))
    worker.link.leave((), ())
    assert run.whole.unexpected == ["it broke (worker gw0)"]


def test_a_message_that_is_none_is_told_and_the_next_one_is_heard(run: Run) -> None:
    worker = Worker(run, "gw0")
    worker.line.send(("odd", {}))
    worker.link.tell(JOBS)
    worker.link.leave((), ())
    (line,) = run.whole.unexpected
    assert line.startswith("internal error: ")
    assert Worker(run, "gw1").jobs == [JOBS]


def test_a_worker_says_so_where_it_cannot_read_the_controllers_word(run: Run) -> None:
    worker = Worker(run, "gw0")
    worker.line.other.send("odd")
    worker.link.leave((), ())
    (line,) = run.whole.unexpected
    assert line.startswith("internal error: ")
    assert line.endswith("(worker gw0)")


def test_the_last_worker_of_another_computer_cleans_what_is_there(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = f"{here()} elsewhere"
    monkeypatch.setattr("pytest_bgcheck.workers.worker.here", lambda: elsewhere)
    first, second = Worker(run, "gw0"), Worker(run, "gw1")
    for worker in (first, second):
        worker.link.tell(messages.TargetUsed(address(elsewhere)))
    assert first.link.what_to_clean() == messages.CleanTargets()
    assert second.link.what_to_clean() == messages.CleanTargets((address(elsewhere),))
    second.link.leave(["local"], ["local: may be left"])
    assert run.whole.not_cleaned_up == ["local: may be left"]
    assert run.controller.reachable_targets() == []


def test_what_a_worker_that_is_gone_has_left_on_another_computer_is_told(run: Run) -> None:
    worker = Worker(run, "gw0")
    worker.link.tell(messages.TargetUsed(address("elsewhere")))
    worker.link.leave((), ())
    assert run.controller.reachable_targets() == []
    (line,) = run.whole.not_cleaned_up
    assert line.startswith("local: its worker is gone; ")
    assert line.endswith(" may be left there")


def test_the_controller_reaches_the_workers_targets(run: Run) -> None:
    worker = Worker(run, "gw0")
    worker.link.tell(messages.TargetUsed(address("")))
    worker.link.tell(messages.JobsOnTarget("local", b"/tmp/run", {"run-1": "terms"}))
    worker.link.leave((), ())
    (target,) = run.controller.reachable_targets()
    assert (target.label, target.directory) == ("local", b"/tmp/run")
