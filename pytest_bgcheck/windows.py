"""What a probe has seen in a span of time, and whether that is enough. Imports only errors.

Nothing is guessed: time of which no sample tells is neither up nor down, but a gap. All seconds are
by the target's own clock, and count from the window's beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import NotProven

LISTED = 100
"""The most outages, and gaps, that a window lists, beside the longest of each."""


@dataclass(frozen=True)
class Outage:
    """A time in which no sample was good.

    ``start``: when its first bad sample began, 0 if that was before the window's beginning.
    ``length``: the seconds until the next good sample began, or the window's end. ``rc``: what its
    first bad sample ended with, None if that was killed because it took too long; ``last_line``:
    the last line that it wrote, of which 200 bytes are kept.
    """

    start: float
    length: float
    rc: int | None = None
    last_line: str = ""

    @property
    def end(self) -> float:
        """When it was over, in seconds after the window's beginning."""
        return self.start + self.length


@dataclass(frozen=True)
class Gap:
    """A time of which no sample tells: the prober was stopped, or could not run its command."""

    start: float
    length: float

    @property
    def end(self) -> float:
        """When it was over, in seconds after the window's beginning."""
        return self.start + self.length


@dataclass(frozen=True)
class Window:
    """What a probe has seen in a span of ``length`` seconds.

    ``samples`` were taken, ``good`` and ``bad`` ones; those under way at its edges count.
    ``outages`` and ``gaps``: in their order, each at most the first `LISTED` and the longest one;
    ``outage_count`` and ``gap_count``: how many there were. ``down_s`` and ``unproven_s``: what all
    outages, and all gaps, took together. ``resolution_s``: the most from the start of one sample to
    that of the next, or to the window's end, gaps apart: a shorter outage may have been missed.
    """

    length: float
    samples: int
    good: int
    bad: int
    outages: tuple[Outage, ...] = ()
    gaps: tuple[Gap, ...] = ()
    outage_count: int = 0
    gap_count: int = 0
    down_s: float = 0.0
    unproven_s: float = 0.0
    resolution_s: float = 0.0

    @property
    def max_outage_s(self) -> float:
        """The length of the longest outage, 0.0 if there was none.

        Raises :class:`NotProven` if there was a gap, or no sample: then nobody knows.
        """
        __tracebackhide__ = True
        self._prove()
        return self.longest_outage_s

    @property
    def available(self) -> float:
        """Percent of the time that was in no outage. Raises :class:`NotProven` as above."""
        __tracebackhide__ = True
        self._prove()
        return self.available_at_most

    def _prove(self) -> None:
        __tracebackhide__ = True
        if self.why_not_proven:
            raise NotProven(f"not proven: {self.why_not_proven}")

    @property
    def why_not_proven(self) -> str:
        """Why it is not known what happened in all of the time; empty if it is."""
        if not self.samples:
            return f"no sample was taken in {self.length:.2f} s"
        if self.gap_count:
            longest = max(self.gaps, key=lambda gap: gap.length)
            more = "" if self.gap_count == 1 else f", the longest of {self.gap_count} such times"
            when = f"{longest.start:.2f} s after" if longest.start else "from"
            when += f" the window's beginning{more}"
            return f"no sample was taken for {longest.length:.2f} s, {when}"
        return ""

    @property
    def longest_outage_s(self) -> float:
        """The longest outage that is proven."""
        return max((outage.length for outage in self.outages), default=0.0)

    @property
    def available_at_most(self) -> float:
        """Percent of the time that may have been up: what no outage has taken."""
        return self._percent_without(self.down_s)

    @property
    def available_at_least(self) -> float:
        """Percent of the time that is proven to have been up."""
        return self._percent_without(self.down_s + self.unproven_s)

    def _percent_without(self, span_s: float) -> float:
        if not self.length:
            return 0.0 if self.bad else 100.0
        # Rounded: what is just the share that is wanted must not be less by a bit's worth.
        return round(max(0.0, 100.0 * (self.length - span_s) / self.length), 9)

    @property
    def possible_outage_s(self) -> float:
        """The longest outage that there may have been: gaps, and the outages that they touch.

        It is more than that where not all of these are listed.
        """
        if not self.gap_count:
            return self.longest_outage_s
        if self.gap_count > len(self.gaps) or self.outage_count > len(self.outages):
            return round(self.down_s + self.unproven_s, 2)
        joined = _joined([*self.outages, *self.gaps])
        return max(round(end - start, 2) for start, end in joined)


def _joined(spans: Iterable[Outage | Gap]) -> list[tuple[float, float]]:
    """Return the spans, those that touch as one.

    Times are told in hundredths of a second. Spans with a good sample between them that took less
    than one are joined too: then too much may count as possible, never too little.
    """
    result: list[tuple[float, float]] = []
    for span in sorted(spans, key=lambda span: span.start):
        if result and span.start < result[-1][1] + 0.005:
            result[-1] = result[-1][0], max(result[-1][1], span.end)
        else:
            result.append((span.start, span.end))
    return result


@dataclass(frozen=True)
class Limits:
    """What a mark allows a probe to see: with neither, no outage at all.

    ``max_outage_s``: the longest outage; ``min_available``: percent of the time.
    """

    max_outage_s: float | None = None
    min_available: float | None = None

    @property
    def longest_allowed_s(self) -> float | None:
        """The longest outage that is allowed; None: any."""
        return (
            0.0 if self.max_outage_s is None and self.min_available is None else self.max_outage_s
        )


def exceeded(window: Window, limits: Limits) -> bool:
    """Return whether it is proven that a window was worse than the limits allow."""
    return down_too_long(window, limits) or available_too_little(window, limits)


def down_too_long(window: Window, limits: Limits) -> bool:
    """Return whether it is proven that an outage was longer than the limits allow."""
    allowed_s = limits.longest_allowed_s
    if allowed_s is None:
        return False
    return window.longest_outage_s > allowed_s or bool(not allowed_s and window.bad)


def available_too_little(window: Window, limits: Limits) -> bool:
    """Return whether it is proven that less of the time was up than the limits want."""
    wanted = limits.min_available
    return wanted is not None and bool(window.samples) and window.available_at_most < wanted


def unproven(window: Window, limits: Limits, every_s: float) -> str:
    """Return why it is not proven that a window was within the limits; empty if it was.

    ``every_s``: how often samples were to be taken. What happened between the starts of two good
    ones nobody has seen. If that took longer than the longest outage that is allowed, there may
    have been a longer one: a sample can wait for a server that does not move, and find it good in
    the end. A limit of less than twice ``every_s`` counts as that: no prober could hold it.
    """
    allowed_s, wanted = limits.longest_allowed_s, limits.min_available
    hidden = allowed_s is not None and window.possible_outage_s > allowed_s
    too_little = wanted is not None and window.available_at_least < wanted
    if not window.samples or hidden or too_little:
        return window.why_not_proven
    if allowed_s and window.resolution_s > max(allowed_s, 2 * every_s):
        return (
            f"from the start of one sample to that of the next it took {window.resolution_s:.2f} s:"
            f" an outage of more than {allowed_s:g} s may have been missed"
        )
    return ""
