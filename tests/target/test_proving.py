"""Whether services still run: what is proven, and what is not, by a target that answers from a
script."""

import threading
from collections.abc import Callable, Iterator

import pytest
from support.scripted_runs import Run, check, scripted_runs, service, shorten_pauses
from support.scripted_transport import Scripted, Step, ended, frame, ids_in, started, words_of

from pytest_bgcheck.errors import Gone, Unreachable
from pytest_bgcheck.model import State
from pytest_bgcheck.target import cleaner, proving
from pytest_bgcheck.target.transport import Answer

ALIVE = frame()
NOT_KNOWN = frame("refused * what became of a job is not known yet")
SILENT = Unreachable("the line is cut")


class Deaf(Scripted):
    """Answers proofs only: who waits for an end waits until it is closed."""

    def __init__(self, *proofs: Step) -> None:
        super().__init__(start=[started], waits=proofs, clean=[frame()])
        self.over = threading.Event()

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        words = words_of(request)
        if "await" in words and not {"proof=1", "proof=end"}.intersection(words):
            assert self.over.wait(30)
            raise Unreachable("closed")
        return super().call(request, timeout_s, on_output)

    def close(self) -> None:
        self.over.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_pauses(monkeypatch)


@pytest.fixture
def run() -> Iterator[Run]:
    """Yield what starts a service on each of some targets, and sees it ready."""
    with scripted_runs(service) as start:
        yield start


@pytest.mark.parametrize(
    ("answers", "became"),
    [
        ([ALIVE], State.READY),
        ([SILENT, NOT_KNOWN, "what is that?", ALIVE], State.READY),
        ([ended("exit.0.5.1")], State.DIED),
        ([NOT_KNOWN, ended("lost.5.1.0")], State.LOST),
        ([Gone("no such container")], State.LOST),
    ],
    ids=["lives", "lives, told late", "died", "lost", "gone"],
)
def test_a_service_lives_only_if_its_target_proves_it(
    run: Run, answers: list[Step], became: State
) -> None:
    transport = Deaf(*answers)
    runner, (record,) = run(transport)
    assert runner.prove([record]) == {}
    assert record.state is became
    assert record.result is None or record.result.ready_s == 0.5
    calls = transport.calls.count("await")
    assert calls == len(answers)
    assert runner.prove([record]) == {}
    assert transport.calls.count("await") == calls + (became is State.READY)


def test_what_cannot_be_asked_is_not_proven_and_holds_nobody_for_long(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "ANSWER_S", 3.0)
    hangs = threading.Event()
    transports = [
        Deaf(SILENT), Deaf(ALIVE), Deaf(ended("exit.3.5.1")), Deaf(NOT_KNOWN),
        Deaf(lambda request: frame() if hangs.wait(30) else ""),
    ]  # fmt: skip
    runner, records = run(*transports)
    silent, alive, dead, unknown, stuck = records
    not_proven = runner.prove(records)
    hangs.set()
    assert set(not_proven) == {silent, unknown, stuck}
    assert not_proven[silent].startswith("the line is cut (")
    assert not_proven[unknown].startswith("what became of a job is not known yet (")
    assert not_proven[stuck].startswith("no answer in ")
    assert (alive.state, dead.state) == (State.READY, State.DIED)
    # Nothing is settled by that: a later test asks again.
    assert {silent.state, unknown.state, stuck.state} == {State.READY}


def test_a_run_that_is_stopped_waits_for_no_proof(run: Run) -> None:
    hangs = threading.Event()
    runner, (record,) = run(Deaf(lambda request: frame() if hangs.wait(30) else ""))
    stopping = threading.Timer(0.1, runner.stop, [[record.target]])
    stopping.start()
    runner.prove([record])
    assert not hangs.is_set()
    hangs.set()
    stopping.join()


@pytest.mark.parametrize(
    ("answers", "became", "detail"),
    [
        ([ALIVE], State.STOPPED, ""),
        ([SILENT, ALIVE], State.STOPPED, ""),
        ([ended("exit.3.5.1")], State.DIED, ""),
        ([NOT_KNOWN], State.UNREACHABLE, "the run ended, and what became of a job is not known"),
        ([SILENT], State.UNREACHABLE, "the run ended, and its target could not be asked: the line"),
    ],
    ids=["lives", "lives, told late", "died", "not known", "silent"],
)
def test_a_service_is_stopped_at_the_end_only_if_it_is_proven_to_live(
    run: Run, monkeypatch: pytest.MonkeyPatch, answers: list[Step], became: State, detail: str
) -> None:
    monkeypatch.setattr(cleaner, "CLEAN_S", 2.0)
    transport = Deaf(*answers)
    runner, (record,) = run(transport)
    assert runner.close([record.target], ask_about=[record]) == []
    assert record.result is not None
    assert (record.state, record.result.ready_s) == (became, 0.5)
    assert (transport.calls.count("tail") == 1) == (became is State.STOPPED)
    assert record.result.detail.startswith(detail)
    assert transport.calls[-1] == "clean"


def test_an_error_of_ours_in_the_last_look_at_its_output_keeps_nothing_from_its_end(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = Deaf(ALIVE)
    runner, (record,) = run(transport)
    monkeypatch.delitem(transport.steps, "tail")
    assert runner.close([record.target], ask_about=[record]) == []
    assert (record.state, transport.calls[-1]) == (State.STOPPED, "clean")


def test_what_still_runs_at_an_interrupt_is_asked_about_by_nobody(run: Run) -> None:
    transport = Deaf(ALIVE)
    runner, (record,) = run(transport)
    runner.close([record.target])
    assert "await" not in transport.calls
    assert record.result is not None
    assert record.result.detail == "the run ended"


def test_a_check_that_still_runs_beside_a_service_is_cancelled(run: Run) -> None:
    transport = Deaf(lambda request: frame() if len(ids_in(request)) == 2 else "")
    runner, (record,) = run(transport)
    (other,) = runner.submit([(check(), record.target)])
    assert runner.wait_for(lambda: other.runs, [other], 30)
    runner.close([record.target], ask_about=[record, other])
    assert (record.state, other.state) == (State.STOPPED, State.CANCELLED)
