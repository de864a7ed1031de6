"""The parts of the JSON document that tell of probes. Pure; imports only events, ledger,
probe_text, states and windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from ..events import WindowClosed
from ..ledger import JobEntry
from ..windows import Gap, Limits, Outage, Window
from . import probe_text
from .states import Seen

# The schema describes each key. ``*_at`` are seconds since the epoch, ``*_s`` seconds.


class OutagePart(TypedDict):
    start_s: float
    length_s: float
    rc: int | None
    last_line: str


class GapPart(TypedDict):
    start_s: float
    length_s: float


class SeenPart(TypedDict):
    length_s: float
    samples: int
    good: int
    bad: int
    available: float | None
    max_outage_s: float | None
    down_s: float
    unproven_s: float
    resolution_s: float
    outage_count: int
    gap_count: int
    outages: list[OutagePart]
    gaps: list[GapPart]


class ProbePart(TypedDict):
    every_s: float
    sample_limit_s: float
    seen: SeenPart | None


class WindowPart(TypedDict):
    test: str
    worker: str
    opened_at: float
    closed_at: float
    allowed_outage_s: float | None
    wanted_available: float | None
    verdict: str
    not_proven: str
    seen: SeenPart | None


def probe_part(job: JobEntry) -> ProbePart | None:
    """Return what is told of a probe beside what is told of each job; None of other kinds."""
    if job.every_s is None or job.sample_timeout_s is None:
        return None
    window = probe_text.life(job)
    return {
        "every_s": job.every_s,
        "sample_limit_s": job.sample_timeout_s,
        "seen": _seen(window) if window is not None else None,
    }


def window_parts(windows: Iterable[WindowClosed]) -> list[WindowPart]:
    return [_window(closed) for closed in windows]


def _window(closed: WindowClosed) -> WindowPart:
    limits = closed.limits
    return {
        "test": closed.test,
        "worker": closed.worker,
        "opened_at": _rounded(closed.opened_at),
        "closed_at": _rounded(closed.closed_at),
        "allowed_outage_s": limits.longest_allowed_s if limits is not None else None,
        "wanted_available": limits.min_available if limits is not None else None,
        "verdict": str(probe_text.verdict(closed)),
        "not_proven": closed.not_proven,
        "seen": _seen(closed.window) if closed.window is not None else None,
    }


def _seen(window: Window) -> SeenPart:
    proven = not window.why_not_proven
    return {
        "length_s": _rounded(window.length),
        "samples": window.samples,
        "good": window.good,
        "bad": window.bad,
        "available": probe_text.floored(window.available, 4) if proven else None,
        "max_outage_s": _rounded(window.max_outage_s) if proven else None,
        "down_s": _rounded(window.down_s),
        "unproven_s": _rounded(window.unproven_s),
        "resolution_s": _rounded(window.resolution_s),
        "outage_count": window.outage_count,
        "gap_count": window.gap_count,
        "outages": [_outage(outage) for outage in window.outages],
        "gaps": [_gap(gap) for gap in window.gaps],
    }


def _outage(outage: Outage) -> OutagePart:
    return {
        "start_s": _rounded(outage.start),
        "length_s": _rounded(outage.length),
        "rc": outage.rc,
        "last_line": outage.last_line,
    }


def _gap(gap: Gap) -> GapPart:
    return {"start_s": _rounded(gap.start), "length_s": _rounded(gap.length)}


def window_of(part: SeenPart) -> Window:
    """Return the window that a part tells of: the page says of it what the terminal does."""
    return Window(
        part["length_s"],
        part["samples"],
        part["good"],
        part["bad"],
        tuple(
            Outage(outage["start_s"], outage["length_s"], outage["rc"], outage["last_line"])
            for outage in part["outages"]
        ),
        tuple(Gap(gap["start_s"], gap["length_s"]) for gap in part["gaps"]),
        part["outage_count"],
        part["gap_count"],
        part["down_s"],
        part["unproven_s"],
        part["resolution_s"],
    )


def closed_of(part: WindowPart) -> WindowClosed:
    """Return the event that a part tells of, but for its job's key."""
    allowed_s, wanted, seen = part["allowed_outage_s"], part["wanted_available"], part["seen"]
    return WindowClosed(
        key="",
        test=part["test"],
        worker=part["worker"],
        opened_at=part["opened_at"],
        closed_at=part["closed_at"],
        window=window_of(seen) if seen is not None else None,
        limits=None if allowed_s is None and wanted is None else Limits(allowed_s, wanted),
        exceeded=part["verdict"] == Seen.BEYOND,
        not_proven=part["not_proven"],
    )


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
