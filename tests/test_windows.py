"""What a window proves, and what it does not: a limit that was exceeded, one that was held."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bgcheck.errors import NotProven
from pytest_bgcheck.windows import LISTED, Gap, Limits, Outage, Window, exceeded, unproven

Span = tuple[str, int]
"""What there was, "up", "down" or a "gap", and for how many hundredths of a second."""

EVERY_S = 1.0


def window(*spans: Span, listed: int = LISTED) -> Window:
    """Return what a probe tells of a time that was as the spans say, one behind the other.

    It lists so many outages and gaps, and the longest of each.
    """
    outages, gaps, at = [], [], 0
    for what, length in spans:
        if what == "down":
            outages.append(Outage(at / 100, length / 100, 7, "refused"))
        elif what == "gap":
            gaps.append(Gap(at / 100, length / 100))
        at += length
    good = sum(what == "up" for what, _ in spans)
    return Window(
        at / 100, good + len(outages), good, len(outages),
        tuple(s for n, s in enumerate(outages) if n < listed or s == max(outages, key=_length)),
        tuple(s for n, s in enumerate(gaps) if n < listed or s == max(gaps, key=_length)),
        len(outages), len(gaps), total(spans, "down") / 100, total(spans, "gap") / 100, 1.0,
    )  # fmt: skip


def _length(span: Outage | Gap) -> float:
    return span.length


def total(spans: Sequence[Span], what: str) -> int:
    return sum(length for kind, length in spans if kind == what)


def longest(spans: Sequence[Span], *down: str) -> int:
    """Return the longest time that was, without a break, as one of these words says."""
    result = now = 0
    for what, length in spans:
        now = now + length if what in down else 0
        result = max(result, now)
    return result


def holds(limits: Limits, spans: Sequence[Span], *down: str) -> bool:
    """Return whether the limits were held if these words all mean that it was down."""
    allowed_s, wanted = limits.longest_allowed_s, limits.min_available
    down_cs, length = sum(total(spans, word) for word in down), sum(n for _, n in spans)
    if allowed_s is not None and longest(spans, *down) > Fraction(str(allowed_s)) * 100:
        return False
    return wanted is None or Fraction(100 * (length - down_cs), length) >= Fraction(str(wanted))


LENGTHS = st.one_of(st.integers(1, 5), st.integers(1, 100))
SPANS = (
    st.lists(st.tuples(st.sampled_from(["up", "down", "gap"]), LENGTHS), max_size=8)
    # Of a kind that follows itself there was but one. Shares of ten seconds have few digits.
    .map(lambda spans: [s for n, s in enumerate(spans) if not n or s[0] != spans[n - 1][0]])
    .map(lambda spans: [*spans, ("up", 1000 - sum(length for _, length in spans))])
)


@st.composite
def judged(draw: st.DrawFn) -> tuple[list[Span], Limits]:
    """Draw what there was, and limits of which many are just held, or just not."""
    spans = draw(SPANS)
    near = [longest(spans, "down"), longest(spans, "down", "gap")]
    max_outage_cs = draw(
        st.one_of(st.none(), st.sampled_from([*near, near[0] - 1, near[1] - 1]), LENGTHS)
    )
    near = [total(spans, "down"), total(spans, "down") + total(spans, "gap")]
    down_cs = draw(st.one_of(st.none(), st.sampled_from([*near, near[0] - 1, near[1] - 1])))
    return spans, Limits(
        None if max_outage_cs is None else max(0, max_outage_cs) / 100,
        None if down_cs is None else min(1000, 1000 - down_cs) / 10,
    )


LIMITS = st.builds(
    Limits,
    st.one_of(st.none(), st.integers(0, 600).map(lambda cs: cs / 100)),
    st.one_of(st.none(), st.integers(0, 1000).map(lambda permille: permille / 10)),
)


@given(judged())
def test_a_verdict_is_right_whatever_was_in_the_gaps_and_there_is_one_wherever_there_can_be(
    case: tuple[list[Span], Limits],
) -> None:
    spans, limits = case
    seen = window(*spans)
    at_best, at_worst = holds(limits, spans, "down"), holds(limits, spans, "down", "gap")
    assert exceeded(seen, limits) == (not at_best)
    if at_best:
        assert bool(unproven(seen, limits, EVERY_S)) == (not at_worst)


@given(judged(), st.integers(0, 2))
def test_a_verdict_is_right_also_where_not_all_outages_and_gaps_are_listed(
    case: tuple[list[Span], Limits], listed: int
) -> None:
    spans, limits = case
    seen = window(*spans, listed=listed)
    assert exceeded(seen, limits) == (not holds(limits, spans, "down"))
    if not unproven(seen, limits, EVERY_S) and not exceeded(seen, limits):
        assert holds(limits, spans, "down", "gap")


@given(st.integers(0, 1000), st.integers(0, 1000), LIMITS)
def test_without_a_sample_nothing_is_proven_nor_exceeded(
    length: int, unknown: int, limits: Limits
) -> None:
    gaps = (Gap(0.0, unknown / 100),) if unknown else ()
    seen = Window(
        (length + unknown) / 100, 0, 0, 0, (), gaps, 0, len(gaps), 0.0, unknown / 100
    )  # fmt: skip
    assert not exceeded(seen, limits)
    assert unproven(seen, limits, EVERY_S).startswith("no sample was taken in ")
    for read in ("max_outage_s", "available"):
        with pytest.raises(NotProven, match=r"^not proven: no sample was taken in "):
            getattr(seen, read)


@given(SPANS, st.integers(0, 2))
def test_what_can_be_read_is_what_was_and_nothing_can_be_where_there_is_a_gap(
    spans: list[Span], listed: int
) -> None:
    seen = window(*spans, listed=listed)
    if total(spans, "gap"):
        with pytest.raises(NotProven):
            _ = seen.max_outage_s
        with pytest.raises(NotProven):
            _ = seen.available
    else:
        assert seen.max_outage_s == longest(spans, "down") / 100
        up = Fraction(100 * total(spans, "up"), sum(length for _, length in spans))
        assert seen.available == pytest.approx(float(up), abs=1e-9)
    assert seen.available_at_least <= seen.available_at_most


@pytest.mark.parametrize(
    ("spans", "limits"),
    [
        # To a computer, 0.1 + 0.2 is more than 0.3, and 100 * (1 - 0.21 / 10) less than 97.9.
        ([("up", 10), ("gap", 20), ("up", 70)], Limits(0.2)),
        ([("up", 10), ("down", 10), ("gap", 20), ("up", 70)], Limits(0.3)),
        ([("up", 9820), ("down", 180)], Limits(None, 98.2)),
        ([("up", 979), ("down", 21)], Limits(None, 97.9)),
        ([("up", 997), ("down", 3)], Limits(None, 99.7)),
        ([("up", 995), ("gap", 5)], Limits(None, 99.5)),
        ([("up", 7), ("down", 7), ("up", 7)], Limits(0.07)),
    ],
)
def test_a_limit_that_is_just_held_is_held(spans: list[Span], limits: Limits) -> None:
    seen = window(*spans)
    assert not exceeded(seen, limits)
    assert not unproven(seen, limits, EVERY_S)
    worse = window(*((what, length + (what != "up")) for what, length in spans))
    assert exceeded(worse, limits) or unproven(worse, limits, EVERY_S)


def test_a_gap_and_the_outages_that_touch_it_may_be_one_outage() -> None:
    spans: list[Span] = [("up", 100), ("down", 30), ("gap", 20), ("down", 40), ("up", 10)]
    seen = window(*spans)
    assert (seen.longest_outage_s, seen.possible_outage_s) == (0.4, 0.9)
    assert unproven(seen, Limits(0.89), EVERY_S) == (
        "no sample was taken for 0.20 s, 1.30 s after the window's beginning"
    )
    assert not unproven(seen, Limits(0.9), EVERY_S)
    assert exceeded(seen, Limits(0.39))


def test_a_good_sample_between_them_parts_a_gap_and_an_outage_however_short_it_was() -> None:
    assert window(("gap", 20), ("up", 1), ("down", 20), ("up", 1)).possible_outage_s == 0.2
    assert window(("gap", 20), ("up", 1), ("gap", 20), ("up", 1)).possible_outage_s == 0.2


def test_without_a_limit_no_bad_sample_is_allowed_however_short_its_outage_was() -> None:
    seen = replace(window(("up", 100), ("down", 1)), outages=(Outage(1.0, 0.0),), down_s=0.0)
    assert exceeded(seen, Limits())
    assert exceeded(seen, Limits(0.0, 50.0))
    assert not exceeded(seen, Limits(None, 99.0))
    assert not exceeded(seen, Limits(0.01))


def test_a_limit_of_the_time_alone_allows_any_outage() -> None:
    seen = window(("up", 100), ("down", 100))
    assert not exceeded(seen, Limits(None, 50.0))
    assert exceeded(seen, Limits(None, 50.1))
    assert exceeded(seen, Limits(0.5, 50.0))


def test_several_gaps_are_told_by_the_longest() -> None:
    seen = window(("gap", 20), ("up", 10), ("gap", 50), ("up", 10))
    assert seen.why_not_proven == (
        "no sample was taken for 0.50 s, 0.30 s after the window's beginning, the longest of 2 such"
        " times"
    )


def test_a_window_without_a_length_is_up_or_down_as_its_sample_says() -> None:
    up, down = Window(0.0, 1, 1, 0), Window(0.0, 1, 0, 1, (Outage(0.0, 0.0),), (), 1)
    assert (up.available, down.available) == (100.0, 0.0)
    assert exceeded(down, Limits(None, 1.0))
    assert not exceeded(up, Limits())
    assert not unproven(up, Limits(), EVERY_S)


@pytest.mark.parametrize(
    ("apart_s", "every_s", "limits", "why"),
    [
        (3.2, 0.2, Limits(1.0), "an outage of more than 1 s may have been missed"),
        (3.2, 0.2, Limits(1.0, 50.0), "an outage of more than 1 s may have been missed"),
        (3.2, 0.2, Limits(5.0), ""),
        (1.2, 1.0, Limits(1.0), ""),
        (2.1, 1.0, Limits(1.0), "an outage of more than 1 s may have been missed"),
        (3.2, 0.2, Limits(None, 99.0), ""),
        (3.2, 0.2, Limits(), ""),
    ],
)
def test_good_samples_too_far_apart_prove_nothing_of_the_time_between(
    apart_s: float, every_s: float, limits: Limits, why: str
) -> None:
    seen = replace(window(("up", 1000)), resolution_s=apart_s)
    assert not exceeded(seen, limits)
    start = f"from the start of one sample to that of the next it took {apart_s:.2f} s: "
    assert unproven(seen, limits, every_s) == (start + why if why else "")
