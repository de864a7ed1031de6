"""What a run amounts to whose probes no test has judged, or that ended badly."""

import pytest
from support.ledger_builder import ZERO, LedgerBuilder

from pytest_bgcheck.events import JobJudged, JobRequested, WaitBegan, WindowClosed, WindowRead
from pytest_bgcheck.model import State
from pytest_bgcheck.report import summary
from pytest_bgcheck.report.figures import Figures, Run, figures
from pytest_bgcheck.windows import Limits, Window

SEEN = Window(30.0, 30, 30, 0)


def run_with(state: State, seen: Window = SEEN) -> tuple[LedgerBuilder, str]:
    """Return a run with a probe that a test requests which has run."""
    told = LedgerBuilder()
    key = told.probe("vip", "h", 0, 0.1, 30.0, state, window=seen)
    told.ledger.tell(JobRequested(key, "t"))
    told.test("t", 0, 2)
    return told, key


def figures_of(told: LedgerBuilder, exit_status: int = 0, unawaited: str = "warn") -> Figures:
    told.ledger.close(ZERO + 40)
    return figures(told.ledger, Run(ZERO, ZERO + 40, exit_status, unawaited))


@pytest.mark.parametrize("seen", [SEEN, Window(30.0, 30, 28, 2)], ids=["good", "bad"])
@pytest.mark.parametrize("unawaited", ["warn", "fail", "ignore"])
def test_a_probe_that_nobody_watched_makes_of_the_run_what_the_option_says(
    unawaited: str, seen: Window
) -> None:
    """As a check does: one that saw an outage as one that has failed."""
    told, _ = run_with(State.STOPPED, seen)
    red = unawaited == "fail" or (unawaited == "warn" and seen.bad > 0)
    found = figures_of(told, int(red), unawaited)
    assert found.unjudged_ends == []
    how = f"stopped, 30 samples: {seen.good} good, {seen.bad} bad"
    said = f"background probe 'vip' on h was judged by no test ({how})"
    assert found.causes == found.red_lines
    told_of = (
        f"{said}, though t requests it and has run, so the run fails (unawaited={unawaited}); await"
        " it by @pytest.mark.bgcheck('vip'), or open a window of it"
    )
    assert found.red_lines == [told_of] * red
    assert summary.unjudged_lines(found) == [said] * (unawaited == "warn" and not red)


def test_a_probe_is_watched_by_whose_mark_judges_a_window_or_who_reads_one() -> None:
    for event in ("mark", "window"):
        told, key = run_with(State.STOPPED)
        judged = WindowClosed(key, "t", "", ZERO, ZERO + 1, SEEN, Limits())
        told.ledger.tell(judged if event == "mark" else WindowRead(key))
        found = figures_of(told, unawaited="fail")
        assert (found.unjudged, found.red_lines) == ([], [])
        assert not told.ledger.jobs[key].judged
    # A window that nobody has read judges nothing, nor does a wait for the first sample, also
    # by mark: the test may skip in its body.
    told, key = run_with(State.STOPPED)
    told.ledger.tell(WindowClosed(key, "t", "", ZERO, ZERO + 1, SEEN))
    told.ledger.tell(WaitBegan("", "t", (key,), ZERO))
    told.ledger.tell(WaitBegan("", "u", (key,), ZERO, judges=False))
    assert len(figures_of(told, 1, "fail").red_lines) == 1


ENDS = [State.LOST, State.UNREACHABLE, State.TIMED_OUT, State.NOT_STARTED]


@pytest.mark.parametrize("state", ENDS)
def test_a_bad_end_for_which_no_test_failed_makes_the_run_red_though_windows_were_good(
    state: State,
) -> None:
    told, key = run_with(state)
    told.ledger.tell(WaitBegan("", "t", (key,), ZERO))
    told.ledger.tell(WindowClosed(key, "t", "", ZERO, ZERO + 1, SEEN, Limits(3)))
    told.ledger.tell(WindowRead(key))
    red = figures_of(told, 1, "ignore")
    assert red.causes == [
        f"background probe 'vip' on h {state} after 30.0 s; no test has failed for it, and none has"
        " read its state, so the run fails"
    ]
    told.ledger.tell(JobJudged(key))
    assert figures_of(told).red_lines == []


@pytest.mark.parametrize("unawaited", ["warn", "fail"])
def test_a_bad_end_is_told_once_of_a_probe_that_nobody_watched(unawaited: str) -> None:
    told, _ = run_with(State.LOST)
    found = figures_of(told, 1, unawaited)
    assert [job.name for job in found.unjudged_ends] == ["vip"]
    assert len(found.causes) == 1


def test_after_an_interrupt_unjudged_jobs_are_counted_by_their_kinds() -> None:
    told, _ = run_with(State.CANCELLED)
    told.job("c", "h", 0, 1)
    lines = summary.unjudged_lines(figures_of(told, 2))
    assert lines == ["1 background check and 1 probe were judged by no test"]
