"""The runner against a scripted transport: each fault ends in one proven state."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.real_targets import Counting, RealRun, target
from support.scripted_transport import Scripted, Step, ended, frame, question, started

from pytest_bgcheck import State
from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import BadReply, Gone, Refused, Unreachable
from pytest_bgcheck.target import cleaner, recovery, requests, runner
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec, clean_request
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import ask

RUN = "0123456789ab"
DIRECTORY = f"/d/{RUN}".encode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses short; what is decided stays the same."""
    monkeypatch.setattr(recovery, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(recovery, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(runner, "BATCH_S", 0.01)


def check(name: str = "c", timeout: float = 60) -> Spec:
    given = {"timeout": timeout, "grace": 0}
    made = make_check(name, "true", given, timeout_s=1, directory=Path())
    return Spec(made.id_on("host", RUN), made)


def finish(transport: Scripted, *checks: Spec) -> tuple[Runner, list[Record]]:
    """Run checks on one target to their ends."""
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    records = ours.submit([(c, target) for c in checks or (check(),)])
    assert ours.wait_for(lambda: all(r.result is not None for r in records), [target], 30)
    return ours, records


def state_of(transport: Scripted) -> tuple[State, str]:
    _, (record,) = finish(transport)
    assert record.result is not None
    return record.result.state, record.result.detail


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


def test_a_dead_host_is_unreachable_when_the_checks_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)
    transport = Scripted(start=[Unreachable("connection timed out")])
    _, (record,) = finish(transport, check(timeout=0.2))
    assert record.result is not None
    assert (record.result.state, record.result.detail) == (
        State.UNREACHABLE,
        "connection timed out",
    )


def test_a_line_that_stays_down_is_unreachable_by_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)
    transport = Scripted(start=[started], waits=[Unreachable("no route to host")])
    _, (record,) = finish(transport, check(timeout=0.1))
    assert record.result is not None
    assert (record.result.state, record.result.detail) == (State.UNREACHABLE, "no route to host")


def test_a_refused_directory_is_told_for_each_job() -> None:
    transport = Scripted(start=[frame("refused * /tmp/pytest-bgcheck-0 is a link")])
    assert state_of(transport) == (State.NOT_STARTED, "/tmp/pytest-bgcheck-0 is a link")


def test_a_run_whose_directory_is_gone_is_lost() -> None:
    transport = Scripted(start=[started], waits=["NONCE begin none\nNONCE end 0\n"])
    assert state_of(transport) == (State.LOST, "the run's directory on the target is gone")


def test_an_error_of_ours_leaves_no_test_waiting() -> None:
    def broken(request: str) -> str:
        raise RuntimeError("a bug")

    state, detail = state_of(Scripted(start=[broken]))
    assert state is State.UNREACHABLE
    assert "internal error: RuntimeError: a bug" in detail


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
    assert ours.wait_for(lambda: record.result is not None, [target], 30)


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
    assert ours.wait_for(lambda: all(r.result is not None for r in records), targets, 30)
    assert most <= 2


def test_the_end_cleans_with_one_call_and_cancels_what_runs() -> None:
    transport = Scripted(start=[started], clean=[frame("left 0")], waits=[frame()])
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    (record,) = ours.submit([(check(), target)])
    assert ours.wait_for(lambda: record.state is State.RUNNING, [target], 30)
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


def test_a_job_started_by_another_process_is_awaited_without_asking_for_its_start() -> None:
    transport = Scripted(waits=[ended("exit.0.5.1")])
    target = Target("host", "host", transport)
    ours, spec = Runner(RUN), check()
    ours.started_elsewhere(target, f"/d/{RUN}".encode(), {spec.id: spec.terms})
    (record,) = ours.submit([(spec, target)])
    assert ours.wait_for(lambda: record.state is State.SUCCEEDED, [target], 30)
    assert transport.calls == ["await"]


def test_a_job_started_by_another_process_with_other_terms_is_refused() -> None:
    spec = check()
    transport = Scripted(start=[frame(f"dir\n{DIRECTORY.hex()}\n.\nrefused {spec.id} terms")])
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    ours.started_elsewhere(target, DIRECTORY, {spec.id: "others"})
    (record,) = ours.submit([(spec, target)])
    assert ours.wait_for(lambda: record.result is not None, [target], 30)
    assert record.result is not None
    assert (record.state, record.result.detail) == (State.NOT_STARTED, runner.OTHER_TERMS)


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
    ours.started_elsewhere(target, f"/d/{RUN}".encode(), {late.id: late.terms})
    (record,) = ours.submit([(late, target)])
    assert ours.wait_for(lambda: record.state is State.SUCCEEDED, [target], 30)
    over.set()


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
    assert "the answers do not come from /bin/sh: its output (9 bytes) has no reply in it" in detail
    assert transport.calls == ["start"] * recovery.FOREIGN_ANSWERS


def test_a_host_that_was_given_up_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.1)
    transport = Scripted(start=[Unreachable("no route to host")])
    ours, (first,) = finish(transport, check("a", timeout=0.1))
    tried = len(transport.calls)
    as_another = Target("host", "host", Scripted())
    late = ours.submit([(check("b"), first.target), (check("b"), as_another)])
    assert ours.wait_for(lambda: all(r.result for r in late), [first.target], 30)
    details = [r.result.detail for r in late if r.result]
    assert details == ["no route to host (this host was given up before)"] * 2
    assert (len(transport.calls), as_another.transport.calls) == (tried, [])  # type: ignore[attr-defined]


def test_hosts_that_do_not_answer_leave_the_turn_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "START_TURN_S", 0.1)
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
    assert ours.wait_for(lambda: good.result is not None, [living], 20)
    assert good.state is State.SUCCEEDED
    monkeypatch.setattr(cleaner, "CLEAN_S", 2.0)
    ours.close([*dead, living])
    assert living.transport.calls[-1] == "clean"  # type: ignore[attr-defined]
    over.set()


def test_a_target_with_nothing_to_tell_is_not_asked_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "IDLE_S", 0.2)
    transport = Scripted(start=[started], waits=[*[frame()] * 3, ended("exit.0.5.1")])
    begun = time.monotonic()
    assert state_of(transport)[0] is State.SUCCEEDED
    assert time.monotonic() - begun > 0.5


def test_an_error_that_quotes_our_request_does_not_show_it() -> None:
    def broken(request: str) -> str:
        return ""

    said = b"csh: cannot parse: /bin/sh -c 'x' pytest-bgcheck 'env' 'TOKEN=secret' 'more'"
    transport = Scripted(clean=[broken])
    request = clean_request("", "0" * 16, RUN, False)
    call = transport.call
    transport.call = lambda *args: replace(call(*args), rc=1, stderr=said)  # type: ignore[method-assign]
    with pytest.raises(BadReply) as caught:
        ask(transport, question(request), 1)
    assert str(caught.value).endswith("it said: csh: cannot parse: /bin/sh -c 'x'...")


# --- errors of ours -------------------------------------------------------------------------------


def broken(request: str) -> str:
    raise RuntimeError("a bug near TOKEN-OF-THE-TEST\nin /bin/sh -c 'x' pytest-bgcheck 'more'")


def test_a_waiter_survives_an_error_of_ours_and_logs_it_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = make_check(
        "c", "true", {"env": {"T": "TOKEN-OF-THE-TEST"}}, timeout_s=9, directory=Path()
    )
    transport = Scripted(start=[started], waits=[broken, broken, ended("exit.0.5.1")])
    _, (record,) = finish(transport, Spec(made.id_on("host", RUN), made))
    assert record.state is State.SUCCEEDED
    logged = [r.getMessage() for r in caplog.records if r.name == "pytest_bgcheck"]
    assert len(logged) == 2
    assert "Traceback" in logged[0]
    assert "a bug near ***" in logged[0]
    assert "'more'" not in logged[0]
    assert "TOKEN" not in caplog.text


def test_an_error_of_ours_again_and_again_settles_the_jobs_and_no_later_ones() -> None:
    transport = Scripted(start=[started], waits=[*[broken] * 3, ended("exit.0.5.1")])
    ours, (first,) = finish(transport, check("a"))
    assert first.result is not None
    assert first.state is State.UNREACHABLE
    assert first.result.detail.startswith("internal error: RuntimeError: a bug")
    (second,) = ours.submit([(check("b"), first.target)])
    assert ours.wait_for(lambda: second.result is not None, [first.target], 30)
    assert second.state is State.SUCCEEDED


def test_whatever_ends_a_waiter_the_next_job_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "_settle_overdue", lambda *_: 1 / 0)
        ours, (first,) = finish(Scripted(start=[started], waits=[ended("exit.0.5.1")]), check("a"))
    assert first.state is State.UNREACHABLE
    (second,) = ours.submit([(check("b"), first.target)])
    assert ours.wait_for(lambda: second.result is not None, [first.target], 30)
    assert second.state is State.SUCCEEDED


def test_without_threads_jobs_are_settled_and_the_end_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    ours, (record,) = finish(Scripted(start=[started]))
    assert record.result is not None
    assert "can't start new thread" in record.result.detail
    (trouble,) = ours.close([record.target])
    assert "can't start new thread" in trouble


def test_who_hears_of_jobs_changes_nothing_by_an_error() -> None:
    def bad(record: Record) -> None:
        raise RuntimeError("deaf")

    target = Target("host", "host", Scripted(start=[started], waits=[ended("exit.0.5.1")]))
    lines: list[str] = []
    ours = Runner(RUN, on_start=bad, on_end=bad, on_want=bad, on_unexpected=lines.append)
    records = ours.submit([(check("a"), target), (check("b"), target)])
    ours.want(records[0])
    assert ours.wait_for(lambda: all(r.result for r in records), [target], 30)
    assert {record.state for record in records} == {State.SUCCEEDED}
    assert lines == ["internal error: RuntimeError: deaf"] * 5


def test_one_transport_that_does_not_close_keeps_no_other_open() -> None:
    class Stuck(Scripted):
        def close(self) -> None:
            raise FileNotFoundError("bgcheck-x")

    good = Scripted()
    Runner(RUN).stop([Target("a", "a", Stuck()), Target("b", "b", good)])
    assert good.closed


def test_more_jobs_than_a_request_names_are_all_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "WORDS_LIMIT", 300)
    real_run, place = RealRun(tmp_path), target("local://")
    place.transport = counted = Counting(place.transport)
    jobs = real_run.submit_all([(place, f"exit {n}", f"c{n}", {}) for n in range(20)])
    assert [result.rc for result in real_run.results(jobs)] == list(range(20))
    assert counted.calls.count("keep") > 1
    assert real_run.close() == []
