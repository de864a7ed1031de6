"""What the page draws of a probe: where its outages, gaps and windows lie, and how many."""

import itertools
from dataclasses import replace

import pytest
from support.ledger_builder import ZERO, LedgerBuilder, seen

from pytest_bgcheck.model import State
from pytest_bgcheck.report import document
from pytest_bgcheck.report.band import MOST_LANES, Band, Stretch
from pytest_bgcheck.report.figures import Run, figures
from pytest_bgcheck.report.timeline import Timeline
from pytest_bgcheck.windows import Gap, Limits, Outage

LONG = 100.0
"""The run's seconds: a second is a percent of the axis."""


def band_of(told: LedgerBuilder, length: float = LONG) -> Band:
    told.ledger.close(ZERO + length)
    run = Run(ZERO, ZERO + length)
    it = document.document(told.ledger, run, figures(told.ledger, run))
    band = Timeline(it).job(it["jobs"][0]).band
    assert band is not None
    return band


def places(stretches: list[Stretch], look: str) -> list[tuple[float, float]]:
    return [(s.left, round(s.left + s.width, 3)) for s in stretches if s.look == look]


def test_outages_and_gaps_lie_where_their_times_are_and_say_what_they_were() -> None:
    told = LedgerBuilder()
    outages = [Outage(10, 5, 7, "curl: <b>refused</b>"), Outage(60, 1)]
    told.probe("vip", "h", 4, 0.1, 90, window=seen(90, outages, [Gap(30, 6)]))
    band = band_of(told)
    drawn = list(band.seen)
    assert places(drawn, "up") == [(4, 94)]
    assert places(drawn, "down") == [(14, 19), (64, 65)]
    assert places(drawn, "unknown") == [(34, 40)]
    assert [s.text for s in drawn if s.look in ("down", "unknown")] == [
        "not proven for 6.0 s, at 34.0 s",
        "down for 5.0 s, at 14.0 s: rc 7: curl: <b>refused</b>",
        "down for 1.0 s, at 1 min 4 s: killed, as it took too long",
    ]


def test_a_probe_of_which_nobody_knows_shows_what_the_windows_of_tests_have_told() -> None:
    told = LedgerBuilder()
    key = told.probe("vip", "h", 0, 0.1, 80, State.LOST)
    told.window(key, "t1", 10, 30, seen(20, [Outage(4, 2, 1)]), Limits(5))
    told.window(key, "t2", 50, 70, None, not_proven="its prober has ended")
    band = band_of(told)
    drawn = list(band.seen)
    assert places(drawn, "unknown") == [(0, 80)]
    assert places(drawn, "up") == [(10, 30)]
    assert places(drawn, "down") == [(14, 16)]
    ((first, second),) = band.lanes
    assert (first.look, second.look) == ("within", "unproven")
    assert first.text == "t1: within limits: 1 outage of 2.0 s in 20 samples, available 90 %" + (
        " (allowed: 5 s)"
    )
    assert second.text == "t2: not proven: its prober has ended"


def test_what_a_probe_that_was_killed_did_not_see_is_not_drawn_as_up() -> None:
    told = LedgerBuilder()
    told.probe("vip", "h", 0, 0.1, 80, State.LOST, window=seen(50))
    drawn = list(band_of(told).seen)
    assert places(drawn, "up") == [(0, 50)]
    assert places(drawn, "unknown") == [(50, 80)]


def test_between_its_last_sample_and_its_end_nothing_is_drawn() -> None:
    told = LedgerBuilder()
    told.probe("vip", "h", 0, 0.1, 80, window=seen(79.2))
    assert {stretch.look for stretch in band_of(told).seen} == {"up"}


def test_where_not_all_outages_are_listed_the_band_claims_nothing() -> None:
    told = LedgerBuilder()
    outages = [Outage(n / 4, 0.1, 1) for n in range(350)]
    outages[300] = Outage(75, 2.1, 1)
    told.probe("vip", "h", 0, 0.1, 95, window=seen(95, outages, every=0.1))
    drawn = list(band_of(told).seen)
    ((_, up_until),) = places(drawn, "up")
    assert up_until == pytest.approx(24.85)
    assert places(drawn, "more")[0] == (up_until, 95)
    assert "249 more outages" in next(s.text for s in drawn if s.look == "more")
    assert places(drawn, "down") == [(75, 77.1)]  # the longest one


def test_where_an_outage_got_lost_on_a_full_disk_the_band_claims_nothing() -> None:
    told = LedgerBuilder()
    outages = [Outage(10, 5, 1), Outage(30, 2, 1)]
    lost = replace(seen(90, outages), outages=(outages[0],))
    told.probe("vip", "h", 0, 0.1, 90, window=lost)
    drawn = list(band_of(told).seen)
    assert places(drawn, "up") == []
    assert places(drawn, "more") == [(0, 90)]
    assert places(drawn, "down") == [(10, 15)]


def test_sixty_outages_are_sixty_stretches() -> None:
    told = LedgerBuilder()
    told.probe(
        "vip", "h", 0, 0.1, 95, window=seen(95, [Outage(1.5 * n, 0.5, 1) for n in range(60)])
    )
    assert len(places(list(band_of(told).seen), "down")) == 60


def test_short_outages_that_lie_close_together_are_drawn_as_many() -> None:
    told = LedgerBuilder()
    outages = [Outage(0.2 * n, 0.1, 1) for n in range(50)]
    told.probe("vip", "h", 10, 0.1, 80, window=seen(80, outages, every=0.1))
    drawn = list(band_of(told).seen)
    assert places(drawn, "down") == []
    assert [s.text for s in drawn if s.look == "more"] == ["50 outages"]


def test_windows_at_the_same_time_have_lanes_of_their_own() -> None:
    told = LedgerBuilder()
    key = told.probe("vip", "h", 0, 0.1, 95, window=seen(95, [Outage(15, 1, 1)]))
    told.window(key, "a", 10, 30, seen(20, [Outage(5, 1, 1)]))
    told.window(key, "b", 20, 40, seen(20), worker="gw1")
    told.window(key, "c", 29, 50, seen(21), None, worker="gw2")
    told.window(key, "d", 40, 60, seen(20))
    first, second, third = band_of(told).lanes
    assert [s.look for s in first] == ["beyond", "within"]
    assert [s.look for s in second] == ["within"]
    assert [s.look for s in third] == ["unlimited"]
    assert second[0].text.startswith("b on gw1: within limits: ")


def test_of_more_windows_at_once_than_there_are_lanes_those_that_failed_are_drawn() -> None:
    told = LedgerBuilder()
    key = told.probe("vip", "h", 0, 0.1, 95, window=seen(95, [Outage(15, 1, 1)]))
    for n in range(20):
        worse = [Outage(5, 1, 1)] if n > 16 else []
        told.window(key, f"t{n}", 10, 30, seen(20, worse), worker=f"gw{n}")
    band = band_of(told)
    assert len(band.lanes) == MOST_LANES
    assert band.left_out == 20 - MOST_LANES
    assert sum(s.look == "beyond" for lane in band.lanes for s in lane) == 3


def test_a_thousand_windows_are_no_more_elements_than_a_screen_has_room_for() -> None:
    told = LedgerBuilder()
    key = told.probe("vip", "h", 0, 0.1, 95, window=seen(95))
    for n in range(1000):
        worse = [Outage(0.01, 0.03, 1)] if n == 500 else []
        told.window(key, f"t{n}", 0.09 * n, 0.09 * n + 0.08, seen(0.08, worse, every=0.02))
    ((*lane,),) = band_of(told).lanes
    assert [s.text if s.look == "within" else s.look for s in lane] == [
        "500 windows within limits", "beyond", "499 windows within limits",
    ]  # fmt: skip
    for before, after in itertools.pairwise(lane):
        assert before.left + before.width <= after.left
