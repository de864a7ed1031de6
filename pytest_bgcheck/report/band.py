"""What a probe has seen, on the page's timeline: a band, and below it the windows of tests.

Pure; imports only probe_parts, probe_text, states, windows and words.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..windows import LISTED, Gap, Outage, Window
from . import probe_text
from .probe_parts import ProbePart, WindowPart, closed_of, window_of
from .states import WINDOW_LOOKS, Seen
from .words import count, duration, printable

Place = Callable[[float, float], tuple[float, float]]
"""Makes of a span of time its left and its width on the axis, in percent."""

NARROW = 0.3
"""Percent of the run: two stretches that are narrower than this, and nearer to each other, are
drawn as one. So the page has no more of them than there is room for, however many there were."""

MOST_LANES = 8
"""How many windows at the same time are drawn below a band; those that are not good come first."""

UNSEEN_S = 1.0
"""Seconds: the end of a probe that no sample tells of is drawn if it is longer than this, and than
what lies between two samples."""


class Stretch(NamedTuple):
    """A stretch of the axis, in percent of the run.

    ``look``: the class by which the page's style draws it. ``text``: its tooltip.
    """

    left: float
    width: float
    look: str
    text: str


@dataclass(frozen=True)
class Band:
    """What a probe has seen: ``seen`` are the stretches of its band, the later ones above.

    ``lanes``: the windows, those at the same time in different lanes; ``left_out``: how many there
    was no lane for.
    """

    seen: Sequence[Stretch]
    lanes: Sequence[Sequence[Stretch]]
    left_out: int


def band(
    probe: ProbePart, windows: Sequence[WindowPart], began_at: float, over_at: float,
    zero_at: float, place: Place,
) -> Band:  # fmt: skip
    """Return the band of a probe that ran from one time to another.

    Times are in seconds since the epoch; the axis begins at ``zero_at``.
    """
    drawing = _Drawing(zero_at, place)
    seen = probe["seen"]
    parts: list[Stretch] = []
    if seen is None:
        # What the windows of tests tell is known all the same.
        parts.append(drawing.stretch(began_at, over_at, "unknown", "nobody knows what it saw"))
        for window in windows:
            if window["seen"] is not None:
                parts += drawing.window(window["opened_at"], window_of(window["seen"]))
    else:
        life = window_of(seen)
        parts += drawing.window(began_at, life)
        told_until = began_at + life.length
        if over_at - told_until > UNSEEN_S + max(probe["every_s"], life.resolution_s):
            end = "nobody knows what it saw in its last"
            text = f"{end} {duration(over_at - told_until)}"
            parts.append(drawing.stretch(told_until, over_at, "unknown", text))
    lanes, left_out = drawing.lanes(windows)
    return Band(parts, lanes, left_out)


class _Drawing:
    def __init__(self, zero_at: float, place: Place) -> None:
        self._zero_at = zero_at
        self._place = place

    def stretch(self, began_at: float, over_at: float, look: str, text: str) -> Stretch:
        return Stretch(*self._place(began_at, over_at), look, text)

    def window(self, began_at: float, window: Window) -> Iterator[Stretch]:
        """Yield the stretches of what was seen from a time on."""
        over_at = began_at + window.length
        if not window.samples:
            yield self.stretch(began_at, over_at, "unknown", probe_text.seen(window))
            return
        listed_until = _listed_until(window)
        if listed_until:
            yield self.stretch(began_at, began_at + listed_until, "up", "up")
        if listed_until < window.length:
            left_out = [
                (window.outage_count - len(window.outages), "more outage"),
                (window.gap_count - len(window.gaps), "more gap"),
            ]
            text = ", ".join(count(number, noun) for number, noun in left_out if number)
            yield self.stretch(began_at + listed_until, over_at, "more", f"{text}, not one by one")
        downs, gaps = [], []
        for outage in window.outages:
            at = began_at + outage.start
            text = f"{self._when('down', at, outage.length)}: {probe_text.ended_with(outage)}"
            downs.append(self.stretch(at, at + outage.length, "down", text))
        for gap in window.gaps:
            at = began_at + gap.start
            text = self._when("not proven", at, gap.length)
            gaps.append(self.stretch(at, at + gap.length, "unknown", text))
        yield from _joined(gaps, "gaps", "more")
        yield from _joined(downs, "outages", "more")

    def lanes(self, windows: Iterable[WindowPart]) -> tuple[list[list[Stretch]], int]:
        """Return the windows in lanes in which none overlaps another, and how many have none."""
        lanes: list[list[tuple[float, float, WindowPart]]] = []
        left_out = 0
        for part in sorted(windows, key=_first):
            span = part["opened_at"], part["closed_at"]
            lane = next((lane for lane in lanes if _free(lane, span)), None)
            if lane is None and len(lanes) < MOST_LANES:
                lane = []
                lanes.append(lane)
            if lane is None:
                left_out += 1
            else:
                bisect.insort(lane, (*span, part), key=lambda placed: placed[0])
        return [list(self._lane(lane)) for lane in lanes], left_out

    def _lane(self, lane: Iterable[tuple[float, float, WindowPart]]) -> Iterator[Stretch]:
        """Yield the windows of a lane, in their order; narrow neighbours of one verdict as one."""
        for verdict, run in itertools.groupby(lane, key=lambda placed: Seen(placed[2]["verdict"])):
            look = WINDOW_LOOKS[verdict].legend
            stretches = [
                self.stretch(opened, closed, look, _window_text(part))
                for opened, closed, part in run
            ]
            yield from _joined(stretches, f"windows {verdict}", look)

    def _when(self, what: str, began_at: float, length_s: float) -> str:
        since = duration(max(0.0, began_at - self._zero_at))
        return f"{what} for {duration(length_s)}, at {since}"


def _first(part: WindowPart) -> tuple[bool, float]:
    """Return by what windows are sorted: those that are not good, then by their begin."""
    return Seen(part["verdict"]).good, part["opened_at"]


def _window_text(part: WindowPart) -> str:
    where = f" on {part['worker']}" if part["worker"] else ""
    facts = probe_text.closed_facts(closed_of(part))
    return printable(f"{part['test']}{where}: {part['verdict']}: {facts}")


def _free(lane: Sequence[tuple[float, float, WindowPart]], span: tuple[float, float]) -> bool:
    """Return whether a lane, in the order of time, has room for a span."""
    place = bisect.bisect(lane, span[0], key=lambda placed: placed[0])
    before = place == 0 or lane[place - 1][1] <= span[0]
    return before and (place == len(lane) or lane[place][0] >= span[1])


def _listed_until(window: Window) -> float:
    """Return until when a window lists each outage and each gap, in seconds from its beginning."""
    outages = _listed(window.outages, window.outage_count, window.length)
    return min(outages, _listed(window.gaps, window.gap_count, window.length))


def _listed(spans: Sequence[Outage] | Sequence[Gap], number: int, length: float) -> float:
    """Return until when each of a number of spans is listed, in a window of that length.

    Of more than it lists, a window has the first; fewer are listed where a disk was full.
    """
    if number <= len(spans):
        return length
    return spans[LISTED - 1].end if len(spans) >= LISTED else 0.0


def _joined(stretches: Sequence[Stretch], noun: str, look: str) -> Iterator[Stretch]:
    """Yield some stretches; narrow ones that are close to each other as one of a look."""
    group: list[Stretch] = []

    def whole() -> Stretch:
        first, last = group[0], group[-1]
        if len(group) == 1:
            return first
        width = round(last.left + last.width - first.left, 3)
        return Stretch(first.left, width, look, f"{len(group)} {noun}")

    for stretch in stretches:
        if group:
            before = group[-1]
            close = stretch.left - (before.left + before.width) < NARROW
            if not (close and max(stretch.width, before.width) < NARROW):
                yield whole()
                group = []
        group.append(stretch)
    if group:
        yield whole()
