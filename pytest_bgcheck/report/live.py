"""How a run stands, in a line, while it lasts. Pure; imports only ledger, model and text."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Sequence

from ..ledger import JobEntry, Wait
from ..model import State
from .text import count, duration


def status_line(jobs: Sequence[JobEntry], now: float) -> str:
    """Return how many jobs run and have ended, and what the test that waits longest waits for."""
    running = sum(not job.state.final for job in jobs)
    bad = sum(job.bad for job in jobs)
    counts = [f"{running} running", f"{len(jobs) - running} done"]
    if bad:
        counts.append(f"{bad} failed")
    line = f"background checks: {', '.join(counts)}"
    waits = open_waits(jobs)
    if waits:
        first = min(wait.began_at for wait, _ in waits)
        test, worker = next((w.test, w.worker) for w, _ in waits if w.began_at == first)
        own = [job for wait, job in waits if (wait.test, wait.worker) == (test, worker)]
        line += f"; {_short(test)} waits {clock(now - first)} for {_jobs(own, now)}"
        others = len({(wait.test, wait.worker) for wait, _ in waits}) - 1
        if others:
            line += f"; {others} more test{'s wait' if others > 1 else ' waits'}"
    return line


def open_waits(jobs: Iterable[JobEntry]) -> list[tuple[Wait, JobEntry]]:
    """Return the waits that last, for jobs that have not ended."""
    return [
        (wait, job)
        for job in jobs
        if not job.state.final
        for wait in tuple(job.waits)
        if wait.waited_s is None
    ]


def _jobs(jobs: Sequence[JobEntry], now: float) -> str:
    """Return the job that may take longest, how far it is, and how many more jobs there are."""
    begun = [(job.started_at or now, job) for job in jobs]
    started_at, job = max(begun, key=lambda pair: pair[0] + pair[1].timeout_s)
    text = f"{job.name} on {job.host} ({clock(now - started_at)} of {clock(job.timeout_s)})"
    more = len(jobs) - 1
    return text + (f" and {count(more, 'more check')}" if more else "")


def _short(test: str) -> str:
    return test.rsplit("::", 1)[-1]


def clock(seconds: float) -> str:
    """Return whole seconds for people: 0 s, 12 s, 2 min 3 s, 1 h 5 min."""
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 60 else duration(whole)


def started(job: JobEntry) -> str:
    return f"background check {job.name!r} on {job.host} started"


def ended(job: JobEntry) -> str:
    result = job.result
    facts = str(job.state)
    if result is not None and result.rc is not None and job.state is not State.SUCCEEDED:
        facts += f", rc {result.rc}"
    took = f" after {duration(job.duration_s)}" if job.duration_s is not None else ""
    return f"background check {job.name!r} on {job.host} ended: {facts}{took}"


def fit(text: str, columns: int) -> str:
    """Return a text that takes no more than so many columns of a terminal."""
    widths = [2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text]
    if sum(widths) <= columns:
        return text
    ends = list(itertools.accumulate(widths))
    kept = sum(end <= columns - 3 for end in ends)
    return f"{text[:kept]}..."[: max(0, columns)]
