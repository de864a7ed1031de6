"""A message that is not understood costs only itself, and is told."""

from types import SimpleNamespace
from typing import Any, cast

from pytest_bgcheck.events import JobWanted
from pytest_bgcheck.ledger import Ledger
from pytest_bgcheck.run.messages import JobsOnTarget, StartPointMessage, StopWaiting, WorkerSetup
from pytest_bgcheck.wire import plain
from pytest_bgcheck.workers.controller import Controller
from pytest_bgcheck.workers.worker import WorkerLink

BAD: list[object] = [
    ("Unknown", {}), ("JobWanted", {}), ("JobWanted", {"key": 3}), ("JobWanted",), (), None, "text",
]  # fmt: skip


def test_the_controller_hears_the_next_message_of_a_worker() -> None:
    whole_run: Any = SimpleNamespace(unexpected=[], ledger=Ledger())
    controller = Controller(cast(Any, None), whole_run)
    for bad in BAD:
        controller._heard("gw0", bad)
    controller._heard("gw0", plain(JobWanted("key")))
    assert len(whole_run.unexpected) == len(BAD)
    assert all(line.startswith("internal error: ") for line in whole_run.unexpected)
    assert whole_run.ledger.jobs["key"].wanted


class Channel:
    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.heard: Any = None

    def send(self, item: object) -> None:
        self.sent.append(item)

    def setcallback(self, callback: object) -> None:
        self.heard = callback


class Session:
    """What hears the link, in order."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def started_elsewhere(self, jobs: JobsOnTarget) -> None:
        self.heard.append(jobs)

    def stop(self) -> None:
        self.heard.append("stop")

    def hear(self, message: StartPointMessage) -> None:
        pass

    def tests_are_over(self) -> None:
        raise AssertionError


def test_a_worker_hears_the_next_message_of_the_controller() -> None:
    channel, session = Channel(), Session()
    jobs = JobsOnTarget("target", b"/tmp/x", {"id": "terms"})
    setup = WorkerSetup("run", "salt", 1, 2, "place", {"job": (1.5,)}, (jobs,), (), {})
    workerinput = {"bgcheck": plain(setup), "bgcheck_channel": channel, "workerid": "gw1"}
    link = WorkerLink(workerinput)
    assert (link.run_id, link.salt, link.index, link.count) == ("run", "salt", 1, 2)
    assert link.worker == "gw1"
    assert link.durations == {"job": (1.5,)}
    link.listen(session)
    for bad in BAD:
        channel.heard(bad)
    channel.heard(plain(StopWaiting()))
    link.leave((), ())
    assert session.heard == [jobs, "stop"]
    assert [item[0] for item in channel.sent] == ["WorkerPlace", *["InternalError"] * len(BAD)]
