"""The probes of the page, as it shows them: what they saw, their outages and the windows of tests.

Pure; imports only the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import probe_text
from .document import JobPart
from .probe_parts import ProbePart, SeenPart, WindowPart, closed_of, window_of
from .states import WINDOW_LOOKS, Look, Seen
from .words import count, duration, printable

MOST_OUTAGES = 20
MOST_WINDOWS = 20
"""The most rows of the two tables of a probe's dialog."""


@dataclass(frozen=True)
class OutageRow:
    """``at``: when it began, from the run's start on; ``how``: how its first bad sample ended."""

    at: str
    length: str
    how: str


@dataclass(frozen=True)
class WindowRow:
    test: str
    worker: str
    at: str
    verdict: str
    look: str
    facts: str


@dataclass(frozen=True)
class ProbeView:
    """A probe as the page shows it; what is not known is a dash.

    ``facts``: lines of its dialog. ``windows_look``: the class of the worst verdict on one.
    ``*_note``: how many are not in the tables.
    """

    facts: Sequence[str]
    every: str
    samples: str
    available: str
    outages: str
    longest: str
    unproven: str
    windows: str
    windows_look: str
    outage_rows: Sequence[OutageRow]
    outages_note: str
    window_rows: Sequence[WindowRow]
    windows_note: str


def probe_view(job: JobPart, zero_at: float, began_at: float) -> ProbeView | None:
    """Return how the page shows a probe that began at a time, None if a job is none.

    Both times are in seconds since the epoch; the page's axis begins at ``zero_at``.
    """
    probe = job["probe"]
    if probe is None:
        return None
    seen, windows = probe["seen"], job["windows"]
    outages = _outages(seen, began_at - zero_at)
    left_out = (seen["outage_count"] if seen is not None else 0) - len(outages[:MOST_OUTAGES])
    known = seen if seen is not None and seen["samples"] else None
    return ProbeView(
        facts=_facts(probe),
        every=duration(probe["every_s"]),
        samples=f"{seen['samples']:,}" if seen is not None else "–",
        available=_available(known) if known is not None else "–",
        outages=str(known["outage_count"]) if known is not None else "–",
        longest=_longest(known) if known is not None else "–",
        unproven=_unproven(seen),
        windows=probe_text.verdicts(map(closed_of, windows)) or "–",
        windows_look=worst_look(windows).kind if windows else "",
        outage_rows=outages[:MOST_OUTAGES],
        outages_note=f"and {count(left_out, 'more outage')}" if left_out > 0 else "",
        window_rows=_window_rows(windows, zero_at),
        windows_note=_windows_note(len(windows) - MOST_WINDOWS),
    )


def worst_look(windows: Iterable[WindowPart]) -> Look:
    """Return the look of the worst verdict on some windows; there must be one."""
    there = {Seen(window["verdict"]) for window in windows}
    order = (Seen.BEYOND, Seen.NOT_PROVEN, Seen.WITHIN, Seen.NO_LIMITS)
    return WINDOW_LOOKS[next(verdict for verdict in order if verdict in there)]


def _available(seen: SeenPart) -> str:
    window = window_of(seen)
    if seen["available"] is not None:
        return probe_text.percent(seen["available"])
    least, most = window.available_at_least, window.available_at_most
    return f"{probe_text.floored(least, 2):g} to {probe_text.percent(most)}"


def _longest(seen: SeenPart) -> str:
    return duration(window_of(seen).longest_outage_s) if seen["outage_count"] else "–"


def _unproven(seen: SeenPart | None) -> str:
    if seen is None:
        return "all of it"
    return duration(seen["unproven_s"]) if seen["gap_count"] else "–"


def _facts(probe: ProbePart) -> list[str]:
    seen = probe["seen"]
    if seen is None:
        return ["nobody knows what it saw from its start on"]
    window = window_of(seen)
    lines = [f"from its start on: {probe_text.seen(window)}"]
    if window.samples > 1:
        apart = f"from one sample to the next: {duration(window.resolution_s)} at most"
        lines.append(f"{apart}; a shorter outage may have been missed")
    return lines


def _outages(seen: SeenPart | None, began_s: float) -> list[OutageRow]:
    if seen is None:
        return []
    return [
        OutageRow(
            at=duration(max(0.0, began_s + outage.start)),
            length=duration(outage.length),
            how=probe_text.ended_with(outage),
        )
        for outage in window_of(seen).outages
    ]


def _window_rows(windows: Sequence[WindowPart], zero_at: float) -> list[WindowRow]:
    """Return the rows of the windows: of many those that were not good come first."""
    shown = sorted(windows, key=lambda part: Seen(part["verdict"]).good)[:MOST_WINDOWS]
    return [
        WindowRow(
            test=printable(part["test"]),
            worker=part["worker"],
            at=duration(max(0.0, part["opened_at"] - zero_at)),
            verdict=part["verdict"],
            look=WINDOW_LOOKS[Seen(part["verdict"])].kind,
            facts=printable(probe_text.closed_facts(closed_of(part))),
        )
        for part in shown
    ]


def _windows_note(left_out: int) -> str:
    return f"and {count(left_out, 'more window')}" if left_out > 0 else ""
