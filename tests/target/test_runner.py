"""The runner against a scripted transport: each fault ends in one proven state."""

import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.real_targets import Counting, RealRun, target
from support.scripted_runs import (
    DIRECTORY,
    RUN,
    check,
    finish,
    service,
    shorten_pauses,
    state_of,
)
from support.scripted_transport import Scripted, Step, ended, frame, started

from pytest_bgcheck import State
from pytest_bgcheck.errors import BadReply, Gone, Refused, Unreachable
from pytest_bgcheck.target import cleaner, recovery, requests, starting, waiting
from pytest_bgcheck.target.records import OTHER_TERMS, Target
from pytest_bgcheck.target.runner import Runner


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_pauses(monkeypatch)


@pytest.mark.parametrize(
    ("final", "state"),
    [
        ("exit.0.5.1", State.SUCCEEDED),
        ("exit.3.5.1", State.FAILED),
        ("timeout.5.1.0", State.TIMED_OUT),
        ("cancel.5.1.0", State.CANCELLED),
        ("lost.5.1.0", State.LOST),
        ("refused.cwd", State.NOT_STARTED),
    ],
)
def test_each_final_state_is_told(final: str, state: State) -> None:
    assert state_of(Scripted(start=[started], waits=[ended(final)]))[0] is state


LOST_REPLIES: list[Step] = [
    Unreachable("connection reset"),
    BadReply("a reply that was cut"),
    "",
    "NONCE begin hex\n",
    frame() + frame(),
    b"\xff\x00noise\n",
]


@pytest.mark.parametrize("fault", LOST_REPLIES)
def test_a_lost_reply_to_a_start_is_asked_for_again(fault: Step) -> None:
    transport = Scripted(start=[fault, started], waits=[ended("exit.0.5.1")])
    assert state_of(transport)[0] is State.SUCCEEDED
    assert transport.calls == ["start", "start", "await"]


@pytest.mark.parametrize("fault", LOST_REPLIES)
def test_a_lost_reply_to_a_wait_is_asked_for_again(fault: Step) -> None:
    transport = Scripted(start=[started], waits=[fault, ended("exit.0.5.1")])
    assert state_of(transport)[0] is State.SUCCEEDED


@pytest.mark.parametrize("streams", [False, True])
def test_a_wait_that_breaks_off_loses_nothing(streams: bool) -> None:
    name = "NONCE.1" if streams else "NONCE"
    whole = ended("exit.0.5.1", name)
    cut: Callable[[str], str] = lambda request: whole(request)[:-20]  # noqa: E731
    last = (lambda request: whole(request) + frame(name="NONCE.2")) if streams else whole
    transport = Scripted(streams, start=[started], waits=[cut, last])
    assert state_of(transport)[0] is State.SUCCEEDED


def test_a_refused_host_is_asked_once_for_all_its_checks() -> None:
    transport = Scripted(start=[Refused("No such container: x")])
    _, records = finish(transport, check("a"), check("b"))
    told = [(r.result.state, r.result.detail) for r in records if r.result]
    assert told == [(State.NOT_STARTED, "No such container: x")] * 2
    assert transport.calls == ["start", "present"]


def without_numbers(detail: str) -> str:
    # A busy computer has time for one try only.
    return re.sub(r"\d+", "N", re.sub(r"\d+ try", "N tries", detail))


def test_a_dead_host_is_unreachable_when_the_checks_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)
    transport = Scripted(start=[Unreachable("connection timed out")])
    _, (record,) = finish(transport, check(timeout=0.2))
    assert record.result is not None
    assert record.result.state is State.UNREACHABLE
    assert without_numbers(record.result.detail) == "connection timed out (N tries in N s)"


def test_pauses_leave_a_tests_own_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)
    before = random.getstate()
    finish(Scripted(start=[Unreachable("connection timed out")]), check(timeout=0.2))
    assert random.getstate() == before


def test_a_line_that_stays_down_is_unreachable_by_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)
    transport = Scripted(start=[started], waits=[Unreachable("no route to host")])
    _, (record,) = finish(transport, check(timeout=0.1))
    assert record.result is not None
    assert record.result.state is State.UNREACHABLE
    assert without_numbers(record.result.detail) == "no route to host (N tries in N s)"


def test_a_service_that_its_target_never_tells_of_is_unreachable_when_it_should_be_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)
    transport = Scripted(start=[started], waits=[Unreachable("no route to host")])
    _, (dead,) = finish(transport, service(ready_timeout_s=0.1))
    assert (dead.state, dead.state_shown) == (State.UNREACHABLE, State.UNREACHABLE)
    _, (mute,) = finish(Scripted(start=[started], waits=[frame()]), service(ready_timeout_s=0.1))
    assert mute.result is not None
    assert mute.result.detail.endswith("the target still reports it as running, and not as ready")


def test_a_target_that_does_not_answer_is_asked_again_to_end_a_job() -> None:
    over = threading.Event()

    def long_wait(request: str) -> str:
        assert over.wait(30)
        return ended("cancel.5.1.0")(request)

    def cancelled(request: str) -> str:
        over.set()
        return frame()

    transport = Scripted(
        start=[started], waits=[long_wait], cancel=[Unreachable("connection reset"), cancelled]
    )
    target, ours = Target("host", "host", transport), Runner(RUN)
    (record,) = ours.submit([(service(), target)])
    assert record.state_shown is State.STARTING
    ours.cancel(record)
    assert ours.wait_for(lambda: record.result is not None, [record], 30)
    assert record.state is State.STOPPED
    assert record.ending_s is not None
    assert transport.calls.count("cancel") == 2


def test_a_service_that_is_told_to_end_is_not_waited_for_as_long_as_it_may_live(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)
    transport = Scripted(start=[started], waits=[frame()], cancel=[frame()])
    target, ours = Target("host", "host", transport), Runner(RUN)
    (record,) = ours.submit([(service(), target)])
    ours.cancel(record)
    assert ours.wait_for(lambda: record.result is not None, [record], 30)
    assert record.state is State.UNREACHABLE


def test_a_refused_directory_is_told_for_each_job() -> None:
    transport = Scripted(start=[frame("refused * /tmp/pytest-bgcheck-0 is a link")])
    assert state_of(transport) == (State.NOT_STARTED, "/tmp/pytest-bgcheck-0 is a link")


def test_a_run_whose_directory_is_gone_is_lost() -> None:
    transport = Scripted(start=[started], waits=["NONCE begin none\nNONCE end 0\n"])
    assert state_of(transport) == (State.LOST, "the run's directory on the target is gone")


def test_the_same_check_is_started_once() -> None:
    transport = Scripted(start=[started], waits=[ended("exit.0.5.1")])
    ours, (record,) = finish(transport)
    assert ours.submit([(check(), record.target)]) == [record]
    assert transport.calls.count("start") == 1


def test_a_start_never_blocks_the_caller() -> None:
    going_on = threading.Event()

    def slow(request: str) -> str:
        assert going_on.wait(30)
        return started(request)

    target = Target("host", "host", Scripted(start=[slow], waits=[ended("exit.0.5.1")]))
    ours = Runner(RUN)
    (record,) = ours.submit([(check(), target)])
    assert record.state is State.PENDING
    going_on.set()
    assert ours.wait_for(lambda: record.result is not None, [record], 30)


def test_no_more_hosts_than_forks_are_started_at_once() -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def slow(request: str) -> str:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return started(request)

    targets = [
        Target(str(n), str(n), Scripted(start=[slow], waits=[ended("exit.0.5.1")]))
        for n in range(8)
    ]
    ours = Runner(RUN, forks=2)
    records = ours.submit([(check(), target) for target in targets])
    assert ours.wait_for(lambda: all(r.result is not None for r in records), records, 30)
    assert most <= 2


def test_a_job_started_by_another_process_is_awaited_without_asking_for_its_start() -> None:
    transport = Scripted(waits=[ended("exit.0.5.1")])
    target = Target("host", "host", transport)
    ours, spec = Runner(RUN), check()
    ours.started_elsewhere(target, f"/d/{RUN}".encode(), {spec.id: spec.terms}, {})
    (record,) = ours.submit([(spec, target)])
    assert ours.wait_for(lambda: record.state is State.SUCCEEDED, [record], 30)
    assert transport.calls == ["await"]


def test_a_job_started_by_another_process_with_other_terms_is_refused() -> None:
    spec = check()
    transport = Scripted(start=[frame(f"dir\n{DIRECTORY.hex()}\n.\nrefused {spec.id} terms")])
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    ours.started_elsewhere(target, DIRECTORY, {spec.id: "others"}, {})
    (record,) = ours.submit([(spec, target)])
    assert ours.wait_for(lambda: record.result is not None, [record], 30)
    assert record.result is not None
    assert (record.state, record.result.detail) == (State.NOT_STARTED, OTHER_TERMS)


def test_a_job_that_ended_before_it_was_attached_to_is_known_though_a_wait_is_under_way() -> None:
    begun, over = threading.Event(), threading.Event()

    def long_wait(request: str) -> str:
        begun.set()
        assert over.wait(30)
        return frame()

    transport = Scripted(start=[started], waits=[long_wait, ended("exit.0.5.1")])
    target = Target("host", "host", transport)
    ours, late = Runner(RUN), check("late")
    ours.submit([(check(), target)])
    assert begun.wait(30)
    ours.started_elsewhere(target, f"/d/{RUN}".encode(), {late.id: late.terms}, {})
    (record,) = ours.submit([(late, target)])
    assert ours.wait_for(lambda: record.state is State.SUCCEEDED, [record], 30)
    over.set()


def test_a_job_that_ended_before_its_start_was_confirmed_is_known_though_a_wait_is_under_way() -> (
    None
):
    begun, over = threading.Event(), threading.Event()

    def long_wait(request: str) -> str:
        begun.set()  # it names only the job that ran when it began
        assert over.wait(30)
        return frame()

    transport = Scripted(start=[started, started], waits=[long_wait, ended("exit.0.5.1")])
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    ours.submit([(check(), target)])
    assert begun.wait(30)
    (record,) = ours.submit([(check("quick"), target)])
    known = ours.wait_for(lambda: record.state is State.SUCCEEDED, [record], 3)
    over.set()
    assert known


# --- faults that need exact timing ----------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_a_target_that_is_gone_has_lost_its_jobs_at_once(streams: bool) -> None:
    transport = Scripted(streams, start=[started], waits=[Gone("No such container: x")])
    assert state_of(transport) == (State.LOST, "the target is gone: No such container: x")
    assert transport.calls.count("await") == 1


def test_answers_that_are_none_of_ours_are_not_asked_for_for_ever() -> None:
    transport = Scripted(start=["Welcome!\n"])
    state, detail = state_of(transport)
    assert state is State.NOT_STARTED
    assert "the answers do not come from /bin/sh: no reply in 9 bytes of output" in detail
    assert transport.calls == ["start"] * recovery.FOREIGN_ANSWERS


def test_a_host_that_was_given_up_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.1)
    transport = Scripted(start=[Unreachable("no route to host")])
    ours, (first,) = finish(transport, check("a", timeout=0.1))
    tried = len(transport.calls)
    as_another = Target("host", "host", Scripted())
    late = ours.submit([(check("b"), first.target), (check("b"), as_another)])
    assert ours.wait_for(lambda: all(r.result for r in late), late, 30)
    details = [without_numbers(r.result.detail) for r in late if r.result]
    assert details == ["this host was given up before: no route to host (N tries in N s)"] * 2
    assert (len(transport.calls), as_another.transport.calls) == (tried, [])  # type: ignore[attr-defined]


def test_hosts_that_do_not_answer_leave_the_turn_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(starting, "START_TURN_S", 0.1)
    monkeypatch.setattr(cleaner, "CLEAN_TURN_S", 0.1)
    over = threading.Event()

    def frozen(request: str) -> str:
        over.wait(30)
        return ""

    dead = [Target(str(n), str(n), Scripted(start=[frozen], clean=[frozen])) for n in range(3)]
    living = Target("a", "a", Scripted(start=[started], waits=[ended("exit.0.5.1")],
                                       clean=[frame("left 0")]))  # fmt: skip
    ours = Runner(RUN, forks=2)
    ours.submit([(check(), target) for target in dead])
    (good,) = ours.submit([(check(), living)])
    assert ours.wait_for(lambda: good.result is not None, [good], 20)
    assert good.state is State.SUCCEEDED
    monkeypatch.setattr(cleaner, "CLEAN_S", 2.0)
    ours.close([*dead, living])
    assert living.transport.calls[-1] == "clean"  # type: ignore[attr-defined]
    over.set()


def test_a_target_with_nothing_to_tell_is_not_asked_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "IDLE_S", 0.2)
    transport = Scripted(start=[started], waits=[*[frame()] * 3, ended("exit.0.5.1")])
    begun = time.monotonic()
    assert state_of(transport)[0] is State.SUCCEEDED
    assert time.monotonic() - begun > 0.3


def test_more_jobs_than_a_request_names_are_all_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "WORDS_LIMIT", 300)
    real_run, place = RealRun(tmp_path), target("local://")
    place.transport = counted = Counting(place.transport)
    jobs = real_run.submit_all([(place, f"exit {n}", f"c{n}", {}) for n in range(20)])
    assert [result.rc for result in real_run.results(jobs)] == list(range(20))
    assert counted.calls.count("store") > 1
    assert real_run.close() == []
