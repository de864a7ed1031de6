"""Where everything lies on the page's timeline. Pure; imports only band, document, figures and
words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .band import Band, band
from .document import Document, JobPart, WaitPart, span_of
from .figures import merged
from .words import duration

LEAST_TAIL = 0.2
"""Percent of the run: less is not worth an element."""

TICK_STEPS_S = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200,
    86400, 172800,
)  # fmt: skip
"""Between the ticks of the axis."""

MOST_TICKS = 8


class Bar(NamedTuple):
    """A stretch of the axis, in percent of the run."""

    left: float
    width: float


class Tick(NamedTuple):
    """A mark of the axis; ``left`` in percent of the run."""

    left: float
    text: str


@dataclass(frozen=True)
class JobBars:
    """A job's bars. ``bar``: while it ran; ``starting``: while a service was not ready; ``tail``:
    until its end was known here; ``waits``: while any test waited for it; ``limit``: where its
    limit is, in percent: that of a service which was never ready is for that; ``band``: what a
    probe has seen, in the place of its bar. None: not shown."""

    bar: Bar | None
    starting: Bar | None
    tail: Bar | None
    waits: Sequence[Bar]
    limit: float | None
    band: Band | None = None


@dataclass(frozen=True)
class TestBar:
    """A test in its worker's lane. ``text``: its name, outcome and duration."""

    __test__ = False

    bar: Bar
    text: str
    outcome: str
    critical: bool


@dataclass(frozen=True)
class Lane:
    """A worker's tests, and the stretches in which any of them waited."""

    name: str
    tests: Sequence[TestBar]
    waits: Sequence[Bar]


class Timeline:
    """The axis of a run's document, from its start to its end."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._zero = document["run"]["started_at"]
        self._span_s = max(document["run"]["ended_at"] - self._zero, 0.001)

    def ticks(self) -> list[Tick]:
        step = next((s for s in TICK_STEPS_S if self._span_s / s <= MOST_TICKS), TICK_STEPS_S[-1])
        seconds = [round(step * n, 3) for n in range(int(self._span_s / step * 0.97) + 1)]
        return [Tick(self._at(self._zero + tick), _clock(tick)) for tick in seconds]

    def job(self, job: JobPart) -> JobBars:
        span = self.span(job)
        if span is None:
            return JobBars(None, None, None, self._waits(job["awaited_by"]), None)
        began, over = span
        tail = self._bar(over, job["ended_at"] or self._document["run"]["ended_at"])
        ready_limit_s = job["ready_limit_s"]
        to_be_ready = ready_limit_s is not None and job["ready_at"] is None
        limit_s = ready_limit_s if ready_limit_s and to_be_ready else job["limit_s"]
        limit = self._percent(began + limit_s)
        starting = self._bar(began, job["ready_at"] or over) if job["kind"] == "service" else None
        return JobBars(
            bar=self._bar(began, over),
            starting=starting,
            tail=tail if tail.width > LEAST_TAIL else None,
            waits=self._waits(job["awaited_by"]),
            limit=round(limit, 3) if limit <= 100 else None,
            band=self._band(job, began, over),
        )

    def span(self, job: JobPart) -> tuple[float, float] | None:
        """Return when a job began and was over, as its target saw it; None if it never began."""
        began = job["started_at"] or job["planned_at"]
        if began is None:
            return None
        ended = job["ended_at"] or self._document["run"]["ended_at"]
        if job["duration_s"] is None:
            return began, ended
        # The duration is the target's word. It began before its start was confirmed here, and
        # had ended before its end was known here.
        began = min(began, ended - job["duration_s"])
        return began, began + job["duration_s"]

    def _band(self, job: JobPart, began_at: float, over_at: float) -> Band | None:
        probe = job["probe"]
        if probe is None or job["started_at"] is None:
            return None
        return band(probe, job["windows"], began_at, over_at, self._zero, self._bar)

    def lanes(self) -> list[Lane]:
        """Return a lane for each worker, in the order of their numbers."""
        document = self._document
        steps = document["summary"]["critical_path"]
        critical = {(step["worker"], step["test"]) for step in steps if step["test"]}
        lanes = []
        workers = {test["worker"] for test in document["tests"]}
        for worker in sorted(workers, key=lambda name: (len(name), name)):
            bars = [
                TestBar(
                    bar=self._bar(test["started_at"], test["ended_at"]),
                    text=f"{test['test']}: {test['outcome']},"
                    f" {duration(test['ended_at'] - test['started_at'])}",
                    outcome=test["outcome"],
                    critical=(worker, test["test"]) in critical,
                )
                for test in document["tests"]
                if test["worker"] == worker
            ]
            waits = [
                wait
                for job in document["jobs"]
                for wait in job["awaited_by"]
                if wait["worker"] == worker
            ]
            lanes.append(Lane(worker or "this process", bars, self._waits(waits)))
        return lanes

    def _percent(self, at: float) -> float:
        return (at - self._zero) / self._span_s * 100

    def _at(self, at: float) -> float:
        return round(min(100.0, max(0.0, self._percent(at))), 3)

    def _bar(self, began_at: float, over_at: float) -> Bar:
        return Bar(self._at(began_at), round(self._at(over_at) - self._at(began_at), 3))

    def _waits(self, waits: Sequence[WaitPart]) -> list[Bar]:
        spans = merged(map(span_of, waits))
        return [bar for bar in (self._bar(*span) for span in spans) if bar.width > 0]


def _clock(seconds: float) -> str:
    """Return a time on the axis: 0.5 s, 20 s, 2 min, 1:30 min, 1:05 h."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" if not rest else f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"
