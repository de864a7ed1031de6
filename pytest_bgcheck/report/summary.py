"""A run's figures as the lines at its end: one for a good run, a table of what did not succeed.

Pure; imports only figures, ledger, live, model, tasks, probe_text and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..ledger import JobEntry
from ..model import Output, State
from ..tasks import Check
from . import probe_text
from .figures import Figures, limit_used, outcome
from .live import standing
from .words import bytes_of, count, count_jobs, duration, named

MOST_NEAR_WINDOWS = 10
"""Of which the summary has a line each."""


def headline(figures: Figures) -> str:
    """Return the line that says how much the checks did, and how little the tests waited."""
    bad = f", {len(figures.bad)} did not succeed" if figures.bad else ""
    tolerated = len(figures.tolerated)
    if tolerated:
        which = f", {tolerated} of them" if tolerated < len(figures.bad) else ","
        bad += f"{which} as {'its' if tolerated == 1 else 'their'} tests accept"
    critical = figures.longest_critical_job
    path = "only tests" if critical is None else _named_with_time(critical)
    saw = f"; {seen}" if (seen := probe_text.all_saw(figures.probes)) else ""
    return (
        f"{count_jobs(figures.kinds)} on {count(figures.hosts, 'host')}{bad}: {_times(figures)};"
        f" tests waited {duration(figures.waited_s)}{saw}; critical path: {path}"
    )


def _times(figures: Figures) -> str:
    run = f"a run of {duration(figures.wall_s)}"
    checks = figures.kinds.get(Check.kind)
    return f"{duration(figures.checks_s)} of checks in {run}" if checks else run


def _named_with_time(job: JobEntry) -> str:
    """Return a job, and how long the end of the run had to wait for it."""
    if job.is_probe and job.ready_s is not None:
        return f"{job.name} on {job.host}, its first sample after {duration(job.ready_s)}"
    if job.is_service and job.ready_s is not None:
        return f"{job.name} on {job.host}, ready after {duration(job.ready_s)}"
    took = job.duration_s
    if took is None and job.ended_at and job.started_at:
        took = job.ended_at - job.started_at
    return f"{job.name} on {job.host}" + (f", {duration(took)}" if took else "")


def near_limit_line(job: JobEntry) -> str:
    return (
        f"{named(job.kind, job.name, job.host)} used {limit_used(job) or 0:.0%} of its limit:"
        f" {duration(job.duration_s)} of {duration(job.timeout_s)}"
    )


def probe_lines(figures: Figures) -> list[str]:
    """Return the lines of probes that have more to tell than that all was well."""
    near = [probe_text.near_limit_line(job, closed) for job, closed in figures.near_windows]
    more = len(near) - MOST_NEAR_WINDOWS
    if more > 0:
        near[MOST_NEAR_WINDOWS:] = [f"and {count(more, 'more window')} near its limit"]
    return [*probe_text.probe_lines(figures.probes), *near]


def output_cut_line(job: JobEntry) -> str:
    """Return the line that names a job whose output was cut, and how much there was of it."""
    sizes, larger = [], False
    for stream in job.cut:
        output: Output = getattr(job.result, f"{stream}_kept")
        sizes.append(f"{stream} ({output.missing or bytes_of(output.size)})")
        larger = larger or not output.missing
    more = "; a larger output_limit= keeps more" if larger else ""
    return f"the output of {named(job.kind, job.name, job.host)} was cut: {', '.join(sizes)}{more}"


def unjudged_lines(figures: Figures) -> list[str]:
    """Return a line for each job that no test judged and that does not make the run fail; after an
    interrupt only their number."""
    if figures.stopped and figures.unjudged:
        verb = "was" if len(figures.unjudged) == 1 else "were"
        kinds = Counter(job.kind for job in figures.unjudged)
        return [f"{count_jobs(kinds)} {verb} judged by no test"]
    failures = {failure.job.key for failure in figures.unjudged_failures}
    return [
        f"{named(job.kind, job.name, job.host)} was judged by no test ({outcome(job)})"
        for job in figures.unjudged
        if job.key not in failures
    ]


def never_ready_lines(figures: Figures) -> list[str]:
    """Return a line for each service that was not ready when the tests were over that used it."""
    return [
        f"{named(job.kind, job.name, job.host)} was not ready before the tests were over, though"
        f" {test} requests it and has run: @pytest.mark.bgcheck({job.name!r}) waits for it"
        for job, test in figures.never_ready
    ]


def unanswered_lines(jobs: Iterable[JobEntry]) -> list[str]:
    """Return a line for each job whose target did not answer when the run's end cancelled it."""
    return [
        f"{named(job.kind, job.name, job.host)} when the run ended:"
        f" {standing(job, job.ended_at or 0.0)}"
        for job in jobs
        if job.state is State.CANCELLED and job.unanswered
    ]


def output_note_lines(jobs: Iterable[JobEntry]) -> list[str]:
    """Return a line for each job that succeeded, but with something to be said of its output."""
    return [
        f"{named(job.kind, job.name, job.host)} succeeded; note: {job.result.detail}"
        for job in jobs
        if job.state is State.SUCCEEDED and job.result is not None and job.result.detail
    ]


def awaited_by(job: JobEntry) -> list[str]:
    """Return the tests that awaited a job, each once."""
    return list(dict.fromkeys(wait.test for wait in job.waits))


def heads(jobs: Iterable[JobEntry]) -> tuple[str, ...]:
    """Return the heads of the table of these jobs."""
    kinds = {job.kind for job in jobs} - {Check.kind}
    return ("job" if kinds else Check.kind, "host", "state", "rc", "took", "limit", "awaited by")


def cells(job: JobEntry, tolerated: bool = False) -> tuple[str, ...]:
    """Return a job's row: what stands below each of the `heads`."""
    rc = job.result.rc if job.result is not None else None
    tests = awaited_by(job)
    more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
    return (
        job.name if job.kind == Check.kind else f"{job.name} ({job.kind})",
        job.host,
        f"{job.state}, accepted" if tolerated else str(job.state),
        "-" if rc is None else str(rc),
        "-" if job.duration_s is None else duration(job.duration_s),
        duration(job.limit_s),
        f"{tests[0]}{more}" if tests else "no test",
    )


def table(jobs: Sequence[JobEntry], width: int, tolerated: Sequence[JobEntry] = ()) -> list[str]:
    """Return a table of jobs; where the terminal is too narrow for it, a few lines for each."""
    rows = [cells(job, job in tolerated) for job in jobs]
    first = heads(jobs)
    widths = [max(map(len, column)) for column in zip(first, *rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        return [
            "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
            for row in (first, *rows)
        ]
    lines = []
    for name, host, state, rc, took, limit, tests in rows:
        lines += [
            f"{name} on {host}: {state}" + (f", rc {rc}" if rc != "-" else ""),
            f"  took {took}, limit {limit}",
            f"  awaited by {tests}",
        ]
    return lines
