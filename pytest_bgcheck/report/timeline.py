"""Where everything lies on the page's timeline. Pure; imports only report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .text import duration

MANY = 60
"""With more jobs only the hosts that matter are unfolded."""

LEAST_TAIL = 0.2
"""Percent of the run: less is not worth an element."""

STEPS_S = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200,
    86400, 172800,
)  # fmt: skip
"""Between the ticks of the axis."""


def layout(document: Mapping[str, Any], jobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the axis, the hosts with their jobs, and the workers' lanes; enter into each job its
    bar, the waits for it and its limit. Places and widths are in percent of the run.
    """
    zero = document["run"]["started_at"]
    span = max(document["run"]["ended_at"] - zero, 0.001)

    def at(seconds: float) -> float:
        percent: float = (seconds - zero) / span * 100
        return round(min(100.0, max(0.0, percent)), 3)

    def bar(began: float, over: float) -> tuple[float, float]:
        return at(began), round(at(over) - at(began), 3)

    for job, told in zip(jobs, document["jobs"], strict=True):
        began = told["started_at"] or told["planned_at"]
        ended = told["ended_at"] or document["run"]["ended_at"]
        job["bar"], job["tail"] = None, None
        if began is not None:
            # What it took is the target's word; that its end was known came after.
            over = ended if told["duration_s"] is None else min(ended, began + told["duration_s"])
            job["bar"] = bar(began, over)
            job["tail"] = bar(over, ended) if at(ended) - at(over) > LEAST_TAIL else None
        job["waits"] = [
            bar(first, last) for first, last in _merged(told["awaited_by"]) if at(last) > at(first)
        ]
        limit = None if began is None else (began + told["limit_s"] - zero) / span * 100
        job["limit"] = round(limit, 3) if limit is not None and limit <= 100 else None
    return {
        "ticks": [{"at": at(zero + tick), "text": _clock(tick)} for tick in _ticks(span)],
        "hosts": _hosts(jobs),
        **_lanes(document, bar),
    }


def _merged(waits: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Return the times in which anybody waited, none of them overlapping."""
    result: list[tuple[float, float]] = []
    for wait in sorted(waits, key=lambda wait: wait["began_at"]):
        first, last = wait["began_at"], wait["began_at"] + (wait["waited_s"] or 0.0)
        if result and first <= result[-1][1]:
            result[-1] = result[-1][0], max(last, result[-1][1])
        else:
            result.append((first, last))
    return result


def _hosts(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    hosts = []
    for label in dict.fromkeys(job["host"] for job in jobs):
        own = [job for job in jobs if job["host"] == label]
        bad = sum(job["kind"] == "bad" for job in own)
        told = f"{len(own)} check{'s' if len(own) > 1 else ''}"
        told += f", {bad} did not succeed" if bad else ""
        matters = bad or any(job["critical"] for job in own)
        hosts.append(
            {"label": label, "jobs": own, "told": told, "open": len(jobs) <= MANY or matters}
        )
    return hosts


def _lanes(
    document: Mapping[str, Any], bar: Callable[[float, float], tuple[float, float]]
) -> dict[str, Any]:
    steps = {(s["worker"], s["test"]) for s in document["summary"]["critical_path"] if s["test"]}
    lanes = []
    tests = document["tests"]
    for worker in sorted({test["worker"] for test in tests}, key=lambda w: (len(w), w)):
        bars = []
        for test in (test for test in tests if test["worker"] == worker):
            left, width = bar(test["started_at"], test["ended_at"])
            took = duration(test["ended_at"] - test["started_at"])
            told = f"{test['test']}: {test['outcome']}, {took}"
            critical = (worker, test["test"]) in steps
            bars.append({"left": left, "width": width, "told": told, "critical": critical,
                         "outcome": test["outcome"]})  # fmt: skip
        waits = [w for job in document["jobs"] for w in job["awaited_by"] if w["worker"] == worker]
        shades = [bar(first, last) for first, last in _merged(waits)]
        lanes.append({"name": worker or "this process", "bars": bars,
                      "waits": [shade for shade in shades if shade[1] > 0]})  # fmt: skip
    lanes_told = f"{len(tests)} on {len(lanes)} worker{'s' if len(lanes) != 1 else ''}"
    alone = not any(test["worker"] for test in tests)
    return {"lanes": lanes, "tests_told": str(len(tests)) if alone else lanes_told}


def _ticks(span_s: float) -> list[float]:
    step = next((step for step in STEPS_S if span_s / step <= 8), STEPS_S[-1])
    return [round(step * n, 3) for n in range(int(span_s / step * 0.97) + 1)]


def _clock(seconds: float) -> str:
    """Return a time on the axis: 0.5 s, 20 s, 2 min, 1:30 min, 1:05 h."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" if not rest else f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"
