"""The end of a run on its targets, against a scripted transport."""

import threading
import time

import pytest
from support.scripted_runs import RUN, check, finish, shorten_pauses
from support.scripted_transport import Scripted, ended, frame, started

from pytest_bgcheck import State
from pytest_bgcheck.errors import Unreachable
from pytest_bgcheck.target import cleaner
from pytest_bgcheck.target.records import Target
from pytest_bgcheck.target.runner import Runner


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_pauses(monkeypatch)


def test_the_end_cleans_with_one_call_and_cancels_what_runs() -> None:
    transport = Scripted(start=[started], clean=[frame("left 0")], waits=[frame()])
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    (record,) = ours.submit([(check(), target)])
    assert ours.wait_for(lambda: record.state is State.RUNNING, [record], 30)
    assert ours.close([target]) == []
    assert record.state is State.CANCELLED
    assert transport.calls.count("clean") == 1
    assert transport.closed


def test_what_could_not_be_cleaned_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaner, "CLEAN_S", 0.3)
    transport = Scripted(
        start=[started], clean=[Unreachable("no route to host")], waits=[ended("exit.0.5.1")]
    )
    ours, (record,) = finish(transport)
    (trouble,) = ours.close([record.target])
    assert trouble == f"host: no route to host; /d/{RUN} may be left there"


def test_a_host_whose_start_was_never_answered_is_cleaned_all_the_same() -> None:
    lost = threading.Event()

    def no_reply(request: str) -> str:
        lost.set()
        raise Unreachable("connection reset")

    transport = Scripted(start=[no_reply], clean=[frame("left 0")])
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    ours.submit([(check(), target)])
    assert lost.wait(30)
    assert ours.close([target]) == []
    assert transport.calls[-1] == "clean"


def test_one_transport_that_does_not_close_keeps_no_other_open() -> None:
    class Stuck(Scripted):
        def close(self) -> None:
            raise FileNotFoundError("bgcheck-x")

    good = Scripted()
    Runner(RUN).stop([Target("a", "a", Stuck()), Target("b", "b", good)])
    assert good.closed


def test_an_interrupt_ends_the_wait_for_targets_that_do_not_answer() -> None:
    hanging, over = threading.Event(), threading.Event()

    def frozen(request: str) -> str:
        hanging.set()
        over.wait(30)
        return ""

    transport = Scripted(start=[started], waits=[frame()], clean=[frozen])
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    (record,) = ours.submit([(check(), target)])
    assert ours.wait_for(lambda: record.state is State.RUNNING, [record], 30)
    begun = time.monotonic()
    (trouble,) = ours.close([target], interrupted=hanging.is_set)
    assert time.monotonic() - begun < cleaner.CLEAN_S / 2
    over.set()
    assert (
        trouble == f"host: interrupted; 1 job (up to the time limit) and /d/{RUN} may be left there"
    )
    assert record.state is State.CANCELLED
    assert transport.closed
