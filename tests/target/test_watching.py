"""The windows of probes: what is proven, and what is not, by targets that answer from a script."""

import os
import re
import threading
from collections.abc import Callable, Iterator

import pytest
from support.scripted_probe import SEEN, WINDOW, Watched
from support.scripted_runs import RUN, Run, check, finish, probe, scripted_runs, shorten_pauses
from support.scripted_transport import (
    Scripted,
    Step,
    closed,
    ended,
    frame,
    ids_in,
    nothing,
    opened,
    started,
    windows_in,
    words_of,
)

from pytest_bgcheck.errors import Gone, Unreachable
from pytest_bgcheck.model import State
from pytest_bgcheck.target import cleaner, recovery, watching
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import Answer
from pytest_bgcheck.target.watching import ClosedWindow, OpenWindow

SILENT = Unreachable("the line is cut")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_pauses(monkeypatch)


@pytest.fixture
def run() -> Iterator[Run]:
    """Yield what starts a probe on each of some targets, and sees its first sample."""
    with scripted_runs(probe) as start:
        yield start


def look(runner: Runner, *records: Record) -> list[ClosedWindow]:
    return runner.close_windows(runner.open_windows(records))


def test_a_window_is_two_calls_and_gives_what_was_seen_in_it(run: Run) -> None:
    transport = Watched()
    runner, (record,) = run(transport)
    for count in (1, 2):
        (seen,) = look(runner, record)
        assert (seen.window, seen.not_proven) == (WINDOW, "")
        assert seen.opened.record is record
        assert seen.opened.opened_at <= seen.closed_at
        assert transport.asked == ["open", "close"] * count
    ids = [windows_in(request) for request in transport.requests[1:]]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert all(re.fullmatch("[0-9a-zA-Z]+", id) for windows in ids for _, id in windows)
    assert record.state is State.RUNNING


def test_all_probes_of_a_target_are_asked_by_one_call_and_all_targets_at_the_same_time(
    run: Run,
) -> None:
    both = threading.Barrier(2)

    def meeting(reply: Callable[[str], str]) -> Callable[[str], str]:
        def answer(request: str) -> str:
            both.wait(30)
            return reply(request)

        return answer

    transports = [Watched([meeting(opened)], [meeting(closed(*SEEN))]) for _ in range(2)]
    runner, records = run(*transports)
    more = runner.submit([(probe("q"), record.target) for record in records])
    assert runner.wait_for(lambda: all(record.runs for record in more), more, 30)
    seen = look(runner, *records, *more)
    assert [window.opened.record for window in seen] == [*records, *more]
    assert [window.window for window in seen] == [WINDOW] * 4
    for transport in transports:
        assert transport.asked == ["open", "close"]


def test_a_target_waits_for_the_longest_sample_and_is_not_given_up_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    transport = Watched()
    runner, (record,) = run(transport)
    longer = probe("q", sample_timeout_s=90.5)
    (other,) = runner.submit([(longer, record.target)])
    assert runner.wait_for(lambda: other.runs, [other], 30)
    opened_windows = runner.open_windows([record, other])
    call = transport.call

    def timed(request: str, timeout_s: float, on_output: "Callable[[bytes], None] | None" = None
              ) -> Answer:  # fmt: skip
        if "close" in words_of(request):
            limits.append(timeout_s)
        return call(request, timeout_s, on_output)

    monkeypatch.setattr(transport, "call", timed)
    runner.close_windows(opened_windows)
    (request,) = (r for r in transport.requests if "close" in words_of(r))
    assert "expire_s=96" in words_of(request)
    assert limits == [116.0]


def test_many_windows_are_asked_about_in_several_calls(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AT_ONCE", 2)
    transport = Watched()
    runner, (record,) = run(transport)
    seen = look(runner, *[record] * 5)
    assert [window.window for window in seen] == [WINDOW] * 5
    assert len({window.opened.id for window in seen}) == 5
    assert transport.asked == ["open"] * 3 + ["close"] * 3


@pytest.mark.parametrize(
    "lost",
    [
        [SILENT, SILENT],
        ["what is that?"],
        [frame()],
        [frame("refused * a word of the request is not known: window")],
        [frame("opened 0123456789ab-00ff else")],
        [lambda request: opened(request).replace("end 1", "end 2")],
    ],
    ids=["silent", "noise", "another's", "refused as a whole", "another window", "torn"],
)
def test_what_is_no_answer_is_asked_again(run: Run, lost: list[Step]) -> None:
    transport = Watched([*lost, opened], [*lost, closed(*SEEN)])
    runner, (record,) = run(transport)
    (seen,) = look(runner, record)
    assert (seen.window, seen.not_proven) == (WINDOW, "")
    assert transport.asked == ["open"] * (len(lost) + 1) + ["close"] * (len(lost) + 1)
    # The same window: the target may have heard.
    assert len({windows_in(request)[0] for request in transport.requests[1:]}) == 1
    assert record.tries is None


def test_one_that_is_refused_is_not_opened_and_says_why_and_is_not_asked_about_again(
    run: Run,
) -> None:
    def refused(request: str) -> str:
        return frame(*(f"refused {id} it has too many open windows" for id in ids_in(request)))

    transport = Watched([refused])
    runner, (record,) = run(transport)
    (window,) = runner.open_windows([record])
    assert window.not_proven == "it has too many open windows"
    (seen,) = runner.close_windows([window])
    assert (seen.window, seen.not_proven) == (None, "it has too many open windows")
    assert transport.asked == ["open"]


def unreadable(request: str) -> str:
    return frame(*(f"window {id} {window}\n00\n." for id, window in windows_in(request)))


def stuck(request: str) -> str:
    return frame(*(f"refused {id} its prober was stopped or is stuck" for id in ids_in(request)))


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([SILENT], r"the line is cut \(\d+ (try|tries) in \d s\)"),
        ([Gone("no such container")], "it has ended: lost; the target is gone: no such container"),
        (["NONCE begin none\nNONCE end 0\n"],
         "it has ended: lost; the run's directory on the target is gone"),
        ([stuck], "its prober was stopped or is stuck"),
        ([unreadable], "what its prober has written cannot be read"),
        ([closed("9 9 0 900 100 0 101 0 0")], "what its prober has written cannot be read"),
        ([opened], "what its prober has written cannot be read"),
        ([frame("")], r"the reply broke off \(rc 0\) \(\d+ (try|tries) in \d s\)"),
    ],
    ids=["silent", "gone", "no directory", "stuck", "unreadable", "false", "mistaken", "empty"],
)  # fmt: skip
def test_what_nobody_tells_is_not_proven(
    run: Run, monkeypatch: pytest.MonkeyPatch, answers: list[Step], why: str
) -> None:
    monkeypatch.setattr(watching, "ANSWER_S", 0.3)
    monkeypatch.setattr(watching, "LAST_SAMPLE_S", -60)
    runner, (record,) = run(Watched(close=answers))
    (seen,) = look(runner, record)
    assert seen.window is None
    assert re.fullmatch(why, seen.not_proven), seen.not_proven
    # A later test asks again.
    assert record.result is None or record.state is State.LOST


def test_one_target_that_does_not_answer_takes_nothing_from_another(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ANSWER_S", 2.0)
    monkeypatch.setattr(watching, "LAST_SAMPLE_S", -60)
    hangs = threading.Event()
    transports = [Watched(), Watched([lambda request: frame() if hangs.wait(30) else ""])]
    runner, records = run(*transports)
    seen = look(runner, *records)
    hangs.set()
    assert [window.window for window in seen] == [WINDOW, None]
    assert re.match(r"no answer in \d s", seen[1].not_proven)
    assert transports[1].asked == ["open"]


@pytest.mark.parametrize("state", ["timeout.5.1.0.x", "lost.5.1.0", "exit.0.5.1"])
def test_a_probe_that_has_ended_is_not_asked_and_says_how_it_ended(run: Run, state: str) -> None:
    transport = Watched(proofs=[ended(state)])
    runner, (record,) = run(transport)
    (window,) = runner.open_windows([record])
    runner.prove([record])
    assert record.result is not None
    assert record.result.failed, "no end of a probe by itself is a success"
    (seen,) = runner.close_windows([window])
    assert (seen.window, transport.asked) == (None, ["open"])
    (never,) = runner.open_windows([record])
    assert (
        seen.not_proven
        == never.not_proven
        == "; ".join(filter(None, [f"it has ended: {record.result.state}", record.result.detail]))
    )


def test_a_probe_that_ends_while_its_window_is_asked_for_says_how(run: Run) -> None:
    def ends(request: str) -> str:
        runner.records.settle_all([record], State.TIMED_OUT, "it had been stopped (SIGSTOP)")
        return frame(*(f"refused {id} its prober has ended" for id in ids_in(request)))

    runner, (record,) = run(Watched(close=[ends]))
    (seen,) = look(runner, record)
    assert seen.not_proven == "it has ended: timed out; it had been stopped (SIGSTOP)"


def test_of_a_probe_that_has_ended_unheard_it_is_asked_how(run: Run) -> None:
    def refused(request: str) -> str:
        return frame(*(f"refused {id} its prober has ended" for id in ids_in(request)))

    proofs = [ended("lost.5.1.0")]
    for transport in (Watched(close=[refused], proofs=proofs), Watched([refused], proofs=proofs)):
        runner, (record,) = run(transport)
        (seen,) = look(runner, record)
        assert record.state is State.LOST
        assert seen.not_proven.startswith("it has ended: lost"), seen.not_proven


def test_a_probe_that_has_not_started_has_no_window() -> None:
    runner = Runner(RUN)
    record = Record(probe(), Target("host", "host", Watched()))
    (seen,) = look(runner, record)
    assert seen.not_proven == "it has not started"


def test_a_run_that_is_stopped_waits_for_no_window(run: Run) -> None:
    hangs = threading.Event()
    runner, (record,) = run(Watched(close=[lambda request: frame() if hangs.wait(30) else ""]))
    opened_windows = runner.open_windows([record])
    stopping = threading.Timer(0.1, runner.stop, [[record.target]])
    stopping.start()
    (seen,) = runner.close_windows(opened_windows)
    assert not hangs.is_set()
    assert seen.window is None
    assert seen.not_proven in ("the run is ending", "it has ended: stopped; the run ended")
    hangs.set()
    stopping.join()


def test_an_interrupt_ends_the_wait_for_a_window(run: Run) -> None:
    hangs = threading.Event()
    runner, (record,) = run(Watched([lambda request: frame() if hangs.wait(30) else ""]))
    interrupting = threading.Timer(0.1, os.kill, [os.getpid(), 2])
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        runner.open_windows([record])
    assert not hangs.is_set()
    hangs.set()


def test_threads_have_windows_of_their_own(run: Run) -> None:
    transport = Watched()
    runner, (record,) = run(transport)
    seen: list[ClosedWindow] = []
    threads = [threading.Thread(target=lambda: seen.extend(look(runner, record))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [window.window for window in seen] == [WINDOW] * 8
    assert len({window.opened.id for window in seen}) == 8


def test_a_forked_child_has_windows_of_its_own_and_may_close_its_parents(run: Run) -> None:
    transport = Watched()
    runner, (record,) = run(transport)
    open_windows: list[OpenWindow] = runner.open_windows([record])
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        try:
            runner.go_on_in_child()
            transport.over = threading.Event()
            own = runner.open_windows([record])
            seen = runner.close_windows([*open_windows, *own])
            assert [window.window for window in seen] == [WINDOW] * 2
            os.write(tell, own[0].id.encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told, "rb") as reply:
        id = reply.read().decode()
    os.waitpid(child, 0)
    assert id
    mine = runner.open_windows([record])
    assert len({id, mine[0].id, open_windows[0].id}) == 3
    assert [window.window for window in runner.close_windows(open_windows)] == [WINDOW]


def test_a_probe_of_which_no_sample_can_be_taken_is_given_up_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 0.2)

    def blind(request: str) -> str:
        some = "\n".join([*SEEN, ""]).encode().hex()
        none = b"0 0 0 900 0 900 0 0 1\nlongest gap 0 900\n".hex()
        return life(request).replace(some, none).replace(" 40 life", " - life")

    ends = []
    for tail, state in ((blind, State.NOT_STARTED), (SILENT, State.UNREACHABLE)):
        transport = Scripted(start=[started], waits=[frame()], tail=[tail])
        _, (record,) = finish(transport, probe(sample_timeout_s=0.1))
        assert record.result is not None
        assert record.state is state
        said = "no sample could be taken" if tail is blind else "past its deadline the target still"
        assert record.result.detail.startswith(said)
        assert (record.result.window is not None) == (tail is blind)
        ends.append(record.result.detail)
    assert ends[1].endswith("and its first sample has not ended")


# --- the run's end --------------------------------------------------------------------------------


def life(request: str) -> str:
    """Return the reply to a tail of a probe that runs, with what it has seen."""
    data = "\n".join([*SEEN, ""]).encode().hex()
    return frame(
        *(
            f"job {id} state.run.1.2.3.4.5 900 40 life\nout {nothing(id)}\nerr {nothing(id)}\n"
            f"life\n{data}\n."
            for id in ids_in(request)
        )
    )


def test_a_probe_that_is_proven_to_live_is_stopped_at_the_end_with_what_it_has_seen(
    run: Run,
) -> None:
    transport = Watched(tail=[life])
    runner, (record,) = run(transport)
    assert runner.tail(record).window == WINDOW
    (other,) = runner.submit([(check(), record.target)])
    assert runner.wait_for(lambda: other.runs, [other], 30)
    assert runner.close([record.target], ask_about=[record, other]) == []
    assert (record.state, other.state) == (State.STOPPED, State.CANCELLED)
    assert record.result is not None
    assert (record.result.window, record.result.ready_s) == (WINDOW, 0.5)
    assert record.result.duration == 9.0
    assert transport.calls[-3:] == ["await", "tail", "clean"]


def test_a_probe_that_cannot_be_asked_at_the_end_is_unreachable(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaner, "CLEAN_S", 1.0)
    runner, (record,) = run(Watched(proofs=[SILENT]))
    runner.close([record.target], ask_about=[record])
    assert record.result is not None
    assert (record.state, record.result.window) == (State.UNREACHABLE, None)


def test_a_probe_that_was_stopped_tells_what_it_has_seen(run: Run) -> None:
    def stopped(request: str) -> str:
        return life(request).replace("state.run.1.2.3.4.5", "state.cancel.900.9.0.x")

    runner, (record,) = run(Watched(proofs=[stopped]))
    runner.prove([record])
    assert record.result is not None
    assert (record.state, record.result.window) == (State.STOPPED, WINDOW)
