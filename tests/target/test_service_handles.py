"""The handle of a service, over a runner whose target answers from a script."""

import re
import threading
from collections.abc import Callable, Iterator

import pytest
from support.handle_user import HandleUser
from support.scripted_runs import RUN, check, service
from support.scripted_transport import Scripted, ended, frame, started

from pytest_bgcheck import Job, State, StillRunning, WrongUse
from pytest_bgcheck.errors import Gone
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.uses import Use


class User(HandleUser):
    """A user of handles, and the run of which they are."""

    def __init__(self) -> None:
        super().__init__(Runner(RUN), longest_s=30)
        self.over = threading.Event()
        self.state = "cancel.5.1.0"
        self.transport = Scripted(start=[started], waits=[self._wait], cancel=[self._cancel])
        self.target = Target("host", "host", self.transport)

    def start(self, spec: Spec) -> tuple[Job, Record]:
        (record,) = self.runner.submit([(spec, self.target)])
        assert self.runner.wait_for(lambda: record.runs, [record], 30)
        return Job(self.runner, record, self), record

    def end(self, state: str) -> None:
        self.state = state
        self.over.set()

    def _wait(self, request: str) -> str:
        assert self.over.wait(30)
        return ended(self.state)(request)

    def _cancel(self, request: str) -> str:
        self.over.set()
        return frame()


@pytest.fixture
def user() -> Iterator[User]:
    user = User()
    yield user
    user.over.set()


def test_a_service_is_waited_for_until_it_is_ready_and_stopped(user: User) -> None:
    job, record = user.start(service())
    assert (job.ready, job.state, job.done()) == (False, "starting", False)
    with pytest.raises(
        AssertionError, match=r"not ready after 0\.01 s of waiting: it has not been"
    ):
        job.wait_ready(timeout=0.01)
    getting_ready = threading.Timer(0.05, user.runner.records.note_ready, [record, 0.5])
    getting_ready.start()
    assert job.wait_ready() is None  # type: ignore[func-returns-value]
    assert (job.ready, job.state, job.done()) == (True, "ready", False)
    assert not any(use.judges for use in user.uses)
    assert job.stop().state is State.STOPPED
    assert (job.ready, job.stop(), job.result()) == (False, record.result, record.result)
    with pytest.raises(AssertionError, match="the failure of s"):
        job.wait_ready()


def test_what_waits_for_an_end_says_that_a_service_lives(user: User) -> None:
    job, record = user.start(service())
    with pytest.raises(WrongUse, match="'s' on host is still starting: tail"):
        _ = job.stdout
    user.runner.records.note_ready(record, 0.5)
    for read in (job.result, lambda: job.rc, lambda: job.failed):
        with pytest.raises(WrongUse, match="background service 's' on host still runs: tail"):
            read()
    with pytest.raises(StillRunning, match=r"'s' on host is still ready after 0\.01 s"):
        job.result(timeout=0.01)
    job.cancel()
    assert job.result().state is State.STOPPED


def test_one_that_dies_before_it_is_ready_is_not_waited_for(user: User) -> None:
    job, _ = user.start(service())
    user.end("exit.3.5.1")
    with pytest.raises(AssertionError, match="the failure of s"):
        job.wait_ready()
    assert user.uses[-1] is Use.VERDICT
    assert (job.stop().state, job.stop().rc) == (State.NOT_READY, 3)


def test_one_whose_target_goes_while_it_is_stopped_is_lost(user: User) -> None:
    """The call that ends it hears of that first, and the call that waits for its end later."""
    job, record = user.start(service())
    user.runner.records.note_ready(record, 0.5)
    user.transport.steps["cancel"] = [Gone("no such container")]
    threading.Timer(0.2, user.end, ["lost.5.1"]).start()
    assert job.stop().state is State.LOST


def test_a_check_is_no_service(user: User) -> None:
    job, _ = user.start(check())
    uses: dict[str, Callable[[], object]] = {
        "ready": lambda: job.ready,
        "wait_ready()": job.wait_ready,
        "stop()": job.stop,
    }
    for asked, use in uses.items():
        kind = "service or probe" if asked == "stop()" else "service"
        said = f"background check 'c' on host is no {kind}, and has no {asked}: result() waits"
        with pytest.raises(WrongUse, match=re.escape(said)):
            use()
