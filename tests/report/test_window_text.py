"""What a test fails with whose probe has seen an outage, or may have."""

from dataclasses import replace

import pytest

from pytest_bgcheck.model import Result, State
from pytest_bgcheck.report import text
from pytest_bgcheck.report.item import properties
from pytest_bgcheck.report.text import Verdict
from pytest_bgcheck.tasks import Probe, Service
from pytest_bgcheck.windows import Gap, Limits, Outage, Window

VIP = Probe("vip", ("curl",), "curl -fsS -m1 http://vip/", every_s=0.5)
NAMED = "background probe 'vip' on ssh://bastion"


def window(*outages: Outage, length: float = 40.0, samples: int = 80, **more: object) -> Window:
    """Return a window with these outages, in each of which a few samples were bad."""
    bad = min(samples, 3 * len(outages))
    found = Window(
        length, samples, samples - bad, bad, outages,
        outage_count=len(outages), down_s=sum(one.length for one in outages), resolution_s=0.62,
    )  # fmt: skip
    return replace(found, **more)  # type: ignore[arg-type]


def verdict(seen: Window | None, **more: object) -> Verdict:
    given = {"window": seen, **more}
    return Verdict(VIP, "ssh://bastion", State.RUNNING, **given)  # type: ignore[arg-type]


def down(*lengths: float) -> list[Outage]:
    return [Outage(5.0 + 20 * n, length, 7) for n, length in enumerate(lengths)]


@pytest.mark.parametrize(
    ("outages", "limits", "said"),
    [
        (down(6.2), Limits(5), "down for 6.2 s (allowed: 5 s)"),
        (down(0.42), Limits(), "down for 0.42 s (no outage is allowed)"),
        (down(0.42), Limits(0), "down for 0.42 s (allowed: 0 s)"),
        (down(0.0), Limits(), "down for less than 0.01 s (no outage is allowed)"),
        (down(0.72), Limits(None, 99.5), "available 98.2 % of the time (wanted: 99.5 %)"),
        (
            down(2.0, 0.2),
            Limits(1, 99.5),
            "down for 2.0 s (allowed: 1 s), available 94.5 % of the time (wanted: 99.5 %)",
        ),
        # With as many digits as it takes to see that it is beyond the limit.
        (down(5.04), Limits(5), "down for 5.04 s (allowed: 5 s)"),
        (down(0.51), Limits(0.505), "down for 0.51 s (allowed: 0.505 s)"),
        (down(70.0), Limits(60), "down for 1 min 10 s (allowed: 1 min 0 s)"),
        (down(70.3), Limits(70), "down for 70.30 s (allowed: 1 min 10 s)"),
        (down(3700.0), Limits(3600), "down for 1 h 1 min (allowed: 1 h 0 min)"),
        (down(3630.0), Limits(3600), "down for 3630.00 s (allowed: 1 h 0 min)"),
        (down(3800.0), Limits(3700), "down for 1 h 3 min (allowed: 3700 s)"),
        (down(0.208), Limits(None, 99.5), "available 99.48 % of the time (wanted: 99.5 %)"),
        (down(0.008), Limits(None, 100), "available 99.98 % of the time (wanted: 100 %)"),
        (down(40.0), Limits(None, 99), "available 0 % of the time (wanted: 99 %)"),
    ],
)
def test_the_first_line_says_by_what_a_probe_was_worse_than_its_limits_allow(
    outages: list[Outage], limits: Limits, said: str
) -> None:
    bad = verdict(window(*outages), limits=limits)
    assert not bad.good
    assert text.headline(bad) == f"{NAMED}: {said}"


@pytest.mark.parametrize(
    ("outages", "limits"),
    [
        (down(5.0), Limits(5)),
        (down(0.2), Limits(None, 99.5)),
        (down(9.0), Limits(9, 75)),
        ([], Limits()),
    ],
)
def test_what_is_within_its_limits_is_good(outages: list[Outage], limits: Limits) -> None:
    assert verdict(window(*outages), limits=limits).good


def test_a_failure_tells_of_the_window_and_its_outages() -> None:
    seen = window(
        Outage(0.0, 1.5, 7, "curl: (7) Failed to connect"), Outage(20.25, 6.2, None, "\x1b[31m...")
    )
    assert text.failure([verdict(seen, limits=Limits(5))]).split("\n") == [
        f"{NAMED}: down for 6.2 s (allowed: 5 s)",
        "  command: curl -fsS -m1 http://vip/",
        "  every=0.5, timeout=10",
        "  80 samples: 74 good, 6 bad, in 40.0 s",
        "  from one sample to the next it took at most 0.62 s: a shorter outage may have been"
        " missed",
        "  2 outages, 7.7 s in all:",
        "    from the start, for 1.5 s: rc 7: curl: (7) Failed to connect",
        "    after 20.2 s, for 6.2 s: killed after its timeout=10: \\x1b[31m...",
    ]


def test_of_many_outages_ten_are_shown_and_the_longest_is_one_of_them() -> None:
    outages = [Outage(float(n), 0.1, 1) for n in range(100)] + [Outage(300.0, 9.0, 2)]
    seen = window(*outages, length=400.0, samples=800, outage_count=250)
    lines = text.failure([verdict(seen)]).split("\n")
    begin = lines.index("  250 outages, 19.0 s in all:")
    assert lines[begin + 1] == "    from the start, for 0.10 s: rc 1"
    assert lines[begin + 9 :] == [
        "    after 8.0 s, for 0.10 s: rc 1",
        "    after 5 min 0 s, for 9.0 s: rc 2",
        "    and 240 more",
    ]


def test_a_gap_that_may_hide_too_much_is_not_proven_and_said() -> None:
    seen = window(gaps=(Gap(3.0, 8.0),), gap_count=1, unproven_s=8.0)
    hidden = verdict(seen, limits=Limits(5))
    assert (hidden.good, hidden.exceeded) == (False, False)
    said = text.failure([hidden]).split("\n")
    assert said[0] == (
        f"{NAMED}: not proven: no sample was taken for 8.00 s, 3.00 s after the window's beginning"
    )
    assert said[-3:-1] == [
        "  no sample was taken for 8.0 s in all:",
        "    after 3.0 s, for 8.0 s",
    ]
    assert said[-1].startswith("  hint: no sample is taken where its command is not found (127)")
    # One that cannot hide as much is none; nor does it hide an outage that is proven.
    assert verdict(seen, limits=Limits(8)).good
    longer = replace(seen, outages=(Outage(20.0, 5.5, 1),), outage_count=1, bad=1, down_s=5.5)
    assert (
        text.headline(verdict(longer, limits=Limits(5)))
        == f"{NAMED}: down for 5.5 s (allowed: 5 s)"
    )


def test_a_body_that_is_shorter_than_the_time_between_samples_is_not_proven() -> None:
    probe = replace(VIP, every_s=1.0)
    none = Verdict(probe, "ssh://bastion", State.RUNNING, window=Window(0.31, 0, 0, 0))
    assert not none.good
    said = text.failure([none]).split("\n")
    assert said[0] == f"{NAMED}: not proven: no sample was taken in 0.31 s"
    assert said[-2:] == [
        "  0 samples: 0 good, 0 bad, in 0.31 s",
        "  hint: the body took 0.31 s, and every=1: take samples more often, or let the body last"
        " longer",
    ]
    late = replace(none, window=Window(1.5, 0, 0, 0))
    assert "hint:" not in text.failure([late])


def test_a_probe_that_ended_is_not_proven_and_what_it_had_seen_is_told() -> None:
    result = Result(State.LOST, None, 12.0, 1, "its prober is gone", ready_s=0.1, window=window(
        Outage(2.0, 0.5, 1, "refused"), length=12.0, samples=24))  # fmt: skip
    lost = Verdict(VIP, "ssh://bastion", State.LOST, result, not_proven="it has ended: lost")
    said = text.failure([lost]).split("\n")
    assert said[:5] == [
        f"{NAMED}: not proven: it has ended: lost",
        "  command: curl -fsS -m1 http://vip/",
        "  every=0.5, timeout=10",
        "  its first sample was taken after 0.10 s",
        "  24 samples: 21 good, 3 bad, in 12.0 s until it ended",
    ]
    assert "    after 2.0 s, for 0.50 s: rc 1: refused" in said


def test_a_probe_without_a_sample_yet_is_waited_for_as_long_as_one_may_take() -> None:
    waiting = Verdict(VIP, "h", State.STARTING, None, waited_s=3.0)
    assert not waiting.good
    said = text.failure([waiting])
    assert said.startswith("background probe 'vip' on h still starting after 3.0 s of waiting\n")
    assert said.endswith("\n  its first sample may take 10.0 s; it goes on")
    assert Verdict(VIP, "h", State.RUNNING).good
    ending = Verdict(VIP, "h", State.RUNNING, not_proven="it is being ended")
    assert text.headline(ending) == "background probe 'vip' on h: not proven: it is being ended"


def test_a_service_and_a_probe_of_one_test_are_jobs() -> None:
    web = Verdict(Service("web", ("serve",), "serve"), "h", State.READY)
    said = text.failure([verdict(window(*down(2.0)))], [web])
    assert said.endswith("\n\nthe other jobs of this test:\n  'web' on h: ready")


def test_a_tests_own_report_has_the_facts_of_a_window_as_far_as_they_are_proven() -> None:
    def of_window(seen: Window) -> dict[str, str]:
        found = dict(properties([verdict(seen)]))
        assert found["bgcheck.1.probe"] == "vip"
        names = ("max_outage", "available", "samples", "window")
        return {name: found[f"bgcheck.1.{name}"] for name in names}

    assert of_window(window(*down(2.0))) == {
        "max_outage": "2.000",
        "available": "95.000",
        "samples": "80",
        "window": "40.000",
    }
    assert of_window(Window(0.3, 0, 0, 0)) == {
        "max_outage": "",
        "available": "",
        "samples": "0",
        "window": "0.300",
    }
    assert "bgcheck.1.samples" not in dict(properties([verdict(None)]))
