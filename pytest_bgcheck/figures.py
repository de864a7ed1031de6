"""What a run amounts to: the numbers that the terminal, the JSON and the page all show.

Computed once, from a closed ledger, so that they agree. Pure; imports only ledger and model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .ledger import JobEntry, Ledger, TestEntry, Wait
from .model import State

NEAR_LIMIT = 0.8
"""A check that used more of its limit is named."""

LEAST_WAIT_S = 0.05
"""A test that waited less did not wait: it only looked."""


@dataclass(frozen=True)
class Run:
    """The run as a whole; times in seconds since the epoch."""

    started_at: float
    ended_at: float
    exit_status: int = 0


@dataclass(frozen=True)
class Step:
    """A part of the critical path: the span of a job, or of a test."""

    began_at: float
    ended_at: float
    job: JobEntry | None = None
    test: TestEntry | None = None


@dataclass(frozen=True)
class Figures:
    """``checks_s``: what all checks took on their targets, ``waited_s``: what all tests waited,
    ``path``: what the run's end had to wait for, the first step first. ``tolerated``: those of the
    ``bad`` jobs that were awaited by tests that passed, and by no other. ``cut``: those whose
    output was cut."""

    jobs: int
    hosts: int
    states: Mapping[State, int]
    checks_s: float
    wall_s: float
    waited_s: float
    path: Sequence[Step]
    bad: Sequence[JobEntry]
    tolerated: Sequence[JobEntry]
    near_limit: Sequence[JobEntry]
    cut: Sequence[JobEntry]
    unawaited: Sequence[JobEntry]

    @property
    def critical(self) -> JobEntry | None:
        """The longest job of the critical path, None if only tests are on it."""
        jobs = [step for step in self.path if step.job is not None]
        return max(jobs, key=lambda s: s.ended_at - s.began_at).job if jobs else None


def figures(ledger: Ledger, run: Run) -> Figures:
    jobs = list(ledger.jobs.values())
    bad = [job for job in jobs if job.bad]
    passed = {key for key, test in ledger.tests.items() if test.outcome == "passed"}
    # Rounded once, here: a report that rounds what another has rounded could differ from it.
    return Figures(
        jobs=len(jobs),
        hosts=len({job.host for job in jobs}),
        states=Counter(job.state for job in jobs),
        checks_s=round(sum(job.duration_s or 0.0 for job in jobs), 3),
        wall_s=round(run.ended_at - run.started_at, 3),
        waited_s=round(sum(waited(jobs).values()), 3),
        path=critical_path(ledger),
        bad=bad,
        tolerated=[
            job
            for job in bad
            if job.waits and all((wait.worker, wait.test) in passed for wait in job.waits)
        ],
        near_limit=[job for job in jobs if (used(job) or 0.0) > NEAR_LIMIT],
        cut=[job for job in jobs if job.cut],
        unawaited=[job for job in jobs if not job.wanted],
    )


def used(job: JobEntry) -> float | None:
    """Return how much of its limit a job used that came to its own end; 1 is all of it."""
    if job.result is None or job.result.rc is None or job.duration_s is None or not job.timeout_s:
        return None
    return job.duration_s / job.timeout_s


def waited(jobs: Sequence[JobEntry]) -> dict[tuple[str, str], float]:
    """Return how long each test waited, by (worker, test): for several jobs at once it is once."""
    spells: dict[tuple[str, str, float], float] = {}
    for wait in (wait for job in jobs for wait in job.waits):
        key = wait.worker, wait.test, wait.began_at
        spells[key] = max(spells.get(key, 0.0), wait.seconds or 0.0)
    result: dict[tuple[str, str], float] = {}
    for (worker, test, _), seconds in spells.items():
        result[worker, test] = result.get((worker, test), 0.0) + seconds
    return result


def critical_path(ledger: Ledger) -> list[Step]:
    """Return what the run's end had to wait for: from the last test back to the run's start.

    Before a test comes the job that it really waited for, else the worker's test before it; before
    a job comes the test in which it was started, if it was not started at once.
    """
    tests = sorted(ledger.tests.values(), key=lambda test: test.ended_at)
    waits: dict[tuple[str, str], list[tuple[Wait, JobEntry]]] = {}
    for job in ledger.jobs.values():
        for wait in job.waits:
            if (wait.seconds or 0.0) > LEAST_WAIT_S:
                waits.setdefault((wait.worker, wait.test), []).append((wait, job))
    path: list[Step] = []
    test = tests[-1] if tests else None
    before = test.ended_at if test else 0.0
    while test is not None:
        worker, started_at = test.worker, test.started_at
        own = [pair for pair in waits.get((worker, test.test), []) if pair[0].began_at < before]
        if own:
            wait, job = max(own, key=lambda pair: pair[0].over_at or 0.0)
            path.append(Step(wait.over_at or before, before, test=test))
            begun = job.started_at or job.planned_at or wait.began_at
            path.append(Step(begun, job.ended_at or before, job=job))
            worker, started_at = job.worker, job.planned_at or begun
        else:
            path.append(Step(started_at, before, test=test))
        earlier = [t for t in tests if t.worker == worker and t.started_at < started_at]
        test = max(earlier, key=lambda t: t.started_at, default=None)
        before = started_at if test is None else min(test.ended_at, started_at)
    return path[::-1]
