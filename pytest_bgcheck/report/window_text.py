"""What a probe has seen, as people read it. Pure; imports only tasks, windows and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ..tasks import Probe
from ..windows import Gap, Limits, Outage, Window, available_too_little, down_too_long
from .words import count, duration, printable

MOST_LISTED = 10
"""The most outages, and gaps, that a failure lists."""

SpanT = TypeVar("SpanT", Outage, Gap)

NOT_TAKEN = (
    "no sample is taken where its command is not found (127) or cannot be executed (126), nor while"
    " its processes are stopped or its computer sleeps"
)


def window_headline(window: Window, limits: Limits) -> str:
    """Return by what a window was worse than its limits allow: down for 6.2 s (allowed: 5 s)."""
    said = []
    if down_too_long(window, limits):
        longest = _longer_than(limits.longest_allowed_s or 0.0, window.longest_outage_s)
        said.append(f"down for {longest} ({_longest_allowed(limits)})")
    if limits.min_available is not None and available_too_little(window, limits):
        available = _less_than(limits.min_available, window.available_at_most)
        said.append(f"available {available} % of the time ({_wanted(limits.min_available)})")
    return ", ".join(said)


def allowed(limits: Limits) -> str:
    """Return what limits allow a probe to see."""
    said = [_longest_allowed(limits)] if limits.longest_allowed_s is not None else []
    said += [_wanted(limits.min_available)] if limits.min_available is not None else []
    return ", ".join(said)


def _longest_allowed(limits: Limits) -> str:
    if limits.max_outage_s is None:
        return "no outage is allowed"
    return f"allowed: {_limit(limits.max_outage_s)}"


def _wanted(percent: float) -> str:
    return f"wanted: {percent:.10g} %"


def _limit(seconds: float) -> str:
    """Return a limit for people, exactly."""
    in_minutes = seconds >= 60 and not seconds % (1 if seconds < 3600 else 60)
    return duration(seconds) if in_minutes else f"{seconds:.10g} s"


def _longer_than(limit_s: float, seconds: float) -> str:
    """Return seconds, with as many digits as it takes to see that they are more than a limit.

    A target tells them in hundredths.
    """
    if seconds < 0.005:
        return "less than 0.01 s"
    shown_s = round(seconds, 2 if seconds < 1 else 1 if seconds < 60 else None)
    if seconds >= 3600:
        shown_s = shown_s // 60 * 60
    return duration(seconds) if shown_s > limit_s else f"{seconds:.2f} s"


def _less_than(limit: float, percent: float) -> str:
    """Return a percentage, with as many digits as it takes to see that it is less than a limit."""
    texts = (f"{percent:.{digits}f}".rstrip("0").rstrip(".") for digits in range(1, 10))
    return next((text for text in texts if float(text) < limit), f"{percent}")


def seen(window: Window) -> str:
    """Return how many samples were taken, and how many were good and bad."""
    return f"{count(window.samples, 'sample')}: {window.good} good, {window.bad} bad"


def window_lines(probe: Probe, window: Window, until: str = "") -> list[str]:
    """Return what a failure says of a window below its first lines; ``until``: when that ended."""
    lines = [f"  {seen(window)}, in {duration(window.length)}{until}"]
    if window.resolution_s:
        measured = duration(window.resolution_s)
        lines.append(
            f"  from one sample to the next it took at most {measured}: a shorter outage may have"
            " been missed"
        )
    if window.outages:
        took = duration(window.down_s)
        lines.append(f"  {count(window.outage_count, 'outage')}, {took} in all:")
        outages, more = _listed(window.outages, window.outage_count)
        lines += [f"    {_when(outage)}: {_how(probe, outage)}" for outage in outages] + more
    if window.gaps:
        took = duration(window.unproven_s)
        lines.append(f"  no sample was taken for {took} in all:")
        gaps, more = _listed(window.gaps, window.gap_count)
        lines += [f"    {_when(gap)}" for gap in gaps] + more
    return lines


def window_hints(probe: Probe, window: Window) -> list[str]:
    """Return why samples may be missing in the window of a test's body."""
    if window.gaps:
        return [NOT_TAKEN]
    if not window.samples and window.length < probe.every_s:
        body = duration(window.length)
        return [
            f"the body took {body}, and every={probe.every_s:g}: take samples more often, or let"
            " the body last longer"
        ]
    return []


def _listed(spans: Sequence[SpanT], number: int) -> tuple[list[SpanT], list[str]]:
    """Return those of a window's outages, or gaps, that are shown, the longest one always, and a
    line that says how many more of the ``number`` there were, if there were more."""
    shown = sorted(spans, key=lambda span: span.length)[-1:]
    shown += [span for span in spans if span not in shown][: MOST_LISTED - 1]
    more = number - len(shown)
    return sorted(shown, key=lambda span: span.start), [f"    and {more} more"] if more > 0 else []


def _when(span: Outage | Gap) -> str:
    begin = f"after {duration(span.start)}" if span.start else "from the start"
    return f"{begin}, for {duration(span.length)}"


def _how(probe: Probe, outage: Outage) -> str:
    """Return how the first bad sample of an outage ended."""
    how = f"rc {outage.rc}"
    if outage.rc is None:
        how = f"killed after its timeout={probe.sample_timeout_s:g}"
    last_line = printable(outage.last_line).strip()
    return f"{how}: {last_line}" if last_line else how
