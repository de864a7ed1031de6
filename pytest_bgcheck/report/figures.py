"""What a run amounts to: the numbers that the terminal, the JSON and the page all show.

Computed once, from a closed ledger, so that they agree. Pure; imports only events, invocation,
ledger, model, probe_text, window_text and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..events import WindowClosed
from ..ledger import RUN_ENDED, JobEntry, Ledger, TestEntry, Wait
from ..model import State
from . import probe_text
from .invocation import Invocation
from .window_text import seen
from .words import count, duration, named, run_title

NEAR_LIMIT = 0.8
"""A check that used more of its limit is named."""

MOST_NAMED = 5
"""The most tests, or errors in collection, that a cause names."""

STOPPED = {
    2: "the run was interrupted: by a key, a signal, or errors in collection",
    3: "pytest had an internal error",
    4: "pytest was used wrongly",
}
"""Exit statuses of a run that did not come to its end."""

OTHER_STATUSES = {5: "no test has run", 6: "more warnings than --max-warnings allows"}

LEAST_WAIT_S = 0.05
"""A test that waited less did not wait: it only looked."""


@dataclass(frozen=True)
class Run:
    """The run as a whole; times in seconds since the epoch.

    ``unawaited`` is the run's option. ``internal_errors``: a line for each error that kept
    something from being noted; the run fails for them. ``collection_errors``: the node ids of what
    could not be collected. ``interrupted``: something has stopped it, and not as a success.
    """

    started_at: float
    ended_at: float
    exit_status: int = 0
    unawaited: str = "warn"
    internal_errors: tuple[str, ...] = ()
    invocation: Invocation = field(default_factory=Invocation)
    collection_errors: tuple[str, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True)
class Step:
    """A part of the critical path: the span of a job, or of a test."""

    began_at: float
    ended_at: float
    job: JobEntry | None = None
    test: TestEntry | None = None


@dataclass(frozen=True)
class UnjudgedFailure:
    """A job that no test judged and that makes the run fail.

    ``test`` requests it and has run; ``unawaited`` is what counts for it, "warn" or "fail".
    """

    job: JobEntry
    test: str
    unawaited: str


@dataclass(frozen=True)
class Figures:
    """The numbers, and the jobs of which something is to be said.

    ``kinds``: how many jobs there were of each kind, ``jobs``: of all.
    ``checks_s``: what all checks took on their targets; ``waited_s``: what all tests waited;
    ``wall_s``: from the run's start to its end. ``tests``: how many had each outcome.
    ``critical_path``: what the run's end had to wait
    for, the first step first. ``bad``: the jobs that did not succeed; ``tolerated``: those of them
    that tests have judged, where all that used them passed. ``near_limit``: the jobs that used more
    than `NEAR_LIMIT` of their time. ``probes``: all of them; ``failed_windows``: the last window of
    each test that has failed, if that was not within its limits, or is not proven to have been.
    ``output_cut``: those whose output was cut. ``unjudged``: those that no test judged, unless that
    is to be ignored; ``unjudged_failures``: those of them that make the run fail.
    ``unjudged_ends``: the services and probes that ended badly, or perhaps never began, for which
    no test failed and whose end none has read; they make the run fail too. ``never_ready``: the
    services that the run's end has stopped before they were ready, and which nobody has waited for,
    each with a test that requests it and has run. ``stopped``: the run did not come to its end, so
    nothing is said of unjudged jobs one by one. ``causes``: why the run failed, a line for each;
    none exactly if its exit status is 0.
    """

    jobs: int
    kinds: Mapping[str, int]
    hosts: int
    states: Mapping[State, int]
    checks_s: float
    wall_s: float
    waited_s: float
    tests: Mapping[str, int]
    critical_path: Sequence[Step]
    bad: Sequence[JobEntry]
    tolerated: Sequence[JobEntry]
    near_limit: Sequence[JobEntry]
    probes: Sequence[JobEntry]
    failed_windows: Sequence[tuple[JobEntry, WindowClosed]]
    output_cut: Sequence[JobEntry]
    unjudged: Sequence[JobEntry]
    unjudged_failures: Sequence[UnjudgedFailure]
    unjudged_ends: Sequence[JobEntry]
    never_ready: Sequence[tuple[JobEntry, str]]
    stopped: bool
    causes: Sequence[str]

    @property
    def title(self) -> str:
        return run_title(self.kinds)

    @property
    def red_lines(self) -> list[str]:
        """The lines of the jobs that make the run fail because no test judged them."""
        return [
            *map(unjudged_failure_line, self.unjudged_failures),
            *map(unjudged_end_line, self.unjudged_ends),
        ]

    @property
    def near_windows(self) -> list[tuple[JobEntry, WindowClosed]]:
        """The windows of probes in which nearly all was seen that is allowed."""
        windows = [(job, closed) for job in self.probes for closed in job.windows]
        return [pair for pair in windows if probe_text.limit_used(pair[1]) > NEAR_LIMIT]

    @property
    def longest_critical_job(self) -> JobEntry | None:
        """The longest job of the critical path, None if only tests are on it."""
        jobs = [step for step in self.critical_path if step.job is not None]
        return max(jobs, key=lambda s: s.ended_at - s.began_at).job if jobs else None


def figures(ledger: Ledger, run: Run) -> Figures:
    jobs = list(ledger.jobs.values())
    checks = [job for job in jobs if not job.ends_with_run]
    bad = [job for job in jobs if job.bad]
    unjudged = [
        job
        for job in jobs
        if not (job.is_service or job.judged or job.watched)
        and (job.unawaited or run.unawaited) != "ignore"
    ]
    stopped = run.exit_status in STOPPED or run.interrupted
    ends = [] if stopped else list(_unjudged_ends(jobs, ledger))
    failures = [] if stopped else list(_unjudged_failures(unjudged, ends, ledger, run))
    # Rounded once, here: a report that rounds what another has rounded could differ from it.
    return Figures(
        jobs=len(jobs),
        kinds=Counter(job.kind for job in jobs),
        hosts=len({job.host for job in jobs}),
        states=Counter(job.state for job in jobs),
        checks_s=round(sum(job.duration_s or 0.0 for job in checks), 3),
        wall_s=round(run.ended_at - run.started_at, 3),
        waited_s=round(sum(waited_by_test(jobs).values()), 3),
        tests=Counter(test.outcome for test in ledger.tests.values()),
        critical_path=critical_path(ledger),
        bad=bad,
        tolerated=list(_tolerated(bad, ledger)),
        near_limit=[job for job in checks if (limit_used(job) or 0.0) > NEAR_LIMIT],
        probes=[job for job in jobs if job.is_probe],
        failed_windows=list(_failed_windows(jobs, ledger)),
        output_cut=[job for job in jobs if job.cut],
        unjudged=unjudged,
        unjudged_failures=failures,
        unjudged_ends=ends,
        never_ready=[] if stopped else list(_never_ready(jobs, ledger)),
        stopped=stopped,
        causes=causes(ledger, run, failures, ends),
    )


def _tolerated(bad: Iterable[JobEntry], ledger: Ledger) -> Iterator[JobEntry]:
    """Yield the judged ones of some jobs for which no test that has used them did anything but
    pass; one that was skipped has not used them."""
    outcomes: dict[str, set[str]] = {}
    for test in ledger.tests.values():
        if test.ran or test.outcome != "skipped":
            outcomes.setdefault(test.test, set()).add(test.outcome)
    for job in bad:
        users = {*job.requested_by, *(wait.test for wait in job.waits)}
        found = {outcome for user in users for outcome in outcomes.get(user, ())}
        if job.judged and found == {"passed"}:
            yield job


def _failed_windows(
    jobs: Iterable[JobEntry], ledger: Ledger
) -> Iterator[tuple[JobEntry, WindowClosed]]:
    for job in jobs:
        last = {(closed.worker, closed.test): closed for closed in job.windows}
        for place, closed in last.items():
            test = ledger.tests.get(place)
            failed = test is not None and test.outcome == "failed"
            if failed and closed.limits is not None and not probe_text.verdict(closed).good:
                yield job, closed


def _unjudged_failures(
    unjudged: Sequence[JobEntry], ends: Sequence[JobEntry], ledger: Ledger, run: Run
) -> Iterator[UnjudgedFailure]:
    ran = {test.test for test in ledger.tests.values() if test.ran}
    for job in unjudged:
        test = next((test for test in job.requested_by if test in ran), None)
        unawaited = job.unawaited or run.unawaited
        red = unawaited == "fail" or not job.state.succeeded or _saw_outage(job)
        if test is not None and red and job not in ends:
            yield UnjudgedFailure(job, test, unawaited)


def _saw_outage(job: JobEntry) -> bool:
    """Return whether a probe has taken a bad sample."""
    window = None if job.result is None else job.result.window
    return window is not None and window.bad > 0


def _unjudged_ends(jobs: Sequence[JobEntry], ledger: Ledger) -> Iterator[JobEntry]:
    """Yield the services and probes that did not end well, or perhaps never were, and whose end no
    test judged.

    Not those that were never ready, and whose tests were all skipped: perhaps as they lack
    something here that the service lacks too.
    """
    ran = {test.test for test in ledger.tests.values() if test.ran}
    for job in jobs:
        missed = (job.bad and job.was_ready) or not ran.isdisjoint(job.requested_by)
        if missed and job.ends_with_run and not job.judged and not job.state.succeeded:
            yield job


def _never_ready(jobs: Sequence[JobEntry], ledger: Ledger) -> Iterator[tuple[JobEntry, str]]:
    ran = {test.test for test in ledger.tests.values() if test.ran}
    for job in jobs:
        starting = job.state is State.STOPPED and not job.was_ready
        if job.is_service and starting and not (job.wanted or job.judged):
            test = next((test for test in job.requested_by if test in ran), None)
            if test is not None:
                yield job, test


def causes(
    ledger: Ledger, run: Run, failures: Sequence[UnjudgedFailure], ends: Sequence[JobEntry]
) -> list[str]:
    """Return why a run is red, a line for each cause; none if its exit status is 0."""
    if not run.exit_status:
        return []
    lines = [STOPPED[run.exit_status]] if run.exit_status in STOPPED else []
    failed = [test.test for test in ledger.tests.values() if test.outcome == "failed"]
    if run.collection_errors:
        errors = count(len(run.collection_errors), "error")
        lines.append(f"{errors} in collection: {_first(run.collection_errors)}")
    if failed:
        lines.append(f"{count(len(failed), 'test')} failed: {_first(failed)}")
    lines += [*map(unjudged_failure_line, failures), *map(unjudged_end_line, ends)]
    lines += run.internal_errors
    known = run.exit_status in STOPPED or (run.exit_status == 1 and lines)
    if not known:
        why = OTHER_STATUSES.get(
            run.exit_status, "perhaps an error in collection, an option or another plugin"
        )
        lines.insert(0, f"pytest's exit status is {run.exit_status}: {why}")
    return lines


def _first(names: Sequence[str]) -> str:
    """Return some names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def outcome(job: JobEntry) -> str:
    """Return how a job that no test judged stood at the end."""
    if job.state is State.CANCELLED and job.result and job.result.detail == RUN_ENDED:
        return _unconfirmed(job) or "it was still running when the tests were over"
    facts = [str(job.state)]
    if job.result is not None and job.result.rc is not None:
        facts.append(f"rc {job.result.rc}")
    if job.result is not None and job.result.detail:
        facts.append(job.result.detail)
    if job.result is not None and job.result.window is not None:
        facts.append(seen(job.result.window))
    return ", ".join(facts)


def _unconfirmed(job: JobEntry) -> str:
    """Return how a job stood at the end whose start its target never confirmed; else empty."""
    if job.state is not State.CANCELLED or job.started_at is not None:
        return ""
    said = job.unanswered.text(job.ended_at or 0.0) if job.unanswered else ""
    return "its start was not confirmed" + (f": {said}" if said else "")


def unjudged_failure_line(failure: UnjudgedFailure) -> str:
    """Return the line that says which job makes the run red that nobody judged, and why."""
    job = failure.job
    read = "open a window of it" if job.is_probe else "read its rc"
    return (
        f"{named(job.kind, job.name, job.host)} was judged by no test ({outcome(job)}),"
        f" though {failure.test} requests it and has run, so the run fails"
        f" (unawaited={failure.unawaited}); await it by @pytest.mark.bgcheck({job.name!r}), or"
        f" {read}"
    )


def unjudged_end_line(job: JobEntry) -> str:
    """Return the line that says which service or probe makes the run red, as no test has."""
    result, unconfirmed = job.result, _unconfirmed(job)
    read = "state" if job.is_probe else "state or rc"
    facts = f" {job.state}"
    if result is not None and result.rc is not None:
        facts += f": rc {result.rc}"
    if job.duration_s is not None:
        facts += f" after {duration(job.duration_s)}"
    if result is not None and result.detail:
        facts += f": {result.detail}" if result.rc is None else f" ({result.detail})"
    if unconfirmed:
        facts = f": {unconfirmed}"
    return (
        f"{named(job.kind, job.name, job.host)}{facts}; no test has failed for it, and none has"
        f" read its {read}, so the run fails"
    )


def limit_used(job: JobEntry) -> float | None:
    """Return how much of its limit a check used that came to its own end; 1 is all of it."""
    if job.ends_with_run or job.result is None or job.result.rc is None:
        return None
    if job.duration_s is None or not job.timeout_s:
        return None
    return job.duration_s / job.timeout_s


def waited_by_test(jobs: Sequence[JobEntry]) -> dict[tuple[str, str], float]:
    """Return how long each test waited, by (worker, test): for several jobs at once it is once."""
    spans: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for wait in (wait for job in jobs for wait in job.waits):
        span = wait.began_at, wait.began_at + (wait.waited_s or 0.0)
        spans.setdefault((wait.worker, wait.test), []).append(span)
    return {test: sum(over - began for began, over in merged(own)) for test, own in spans.items()}


def merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the spans in which there was any of these, in their order, none overlapping."""
    result: list[tuple[float, float]] = []
    for began, over in sorted(spans):
        if result and began <= result[-1][1]:
            result[-1] = result[-1][0], max(over, result[-1][1])
        else:
            result.append((began, over))
    return result


def critical_path(ledger: Ledger) -> list[Step]:
    """Return what the run's end had to wait for: from the last test back to the run's start.

    Before a test comes the job that it really waited for, else the worker's test before it; before
    a job comes the test in which it was started, if it was not started at once. Of a service that
    a test waited for until it was ready, or a probe until its first sample, the step ends there.
    """
    tests = sorted(ledger.tests.values(), key=lambda test: test.ended_at)
    waits: dict[tuple[str, str], list[tuple[Wait, JobEntry]]] = {}
    for job in ledger.jobs.values():
        for wait in job.waits:
            if (wait.waited_s or 0.0) > LEAST_WAIT_S:
                waits.setdefault((wait.worker, wait.test), []).append((wait, job))
    path: list[Step] = []
    test = tests[-1] if tests else None
    before = test.ended_at if test else 0.0
    while test is not None:
        worker, started_at = test.worker, test.started_at
        own = [pair for pair in waits.get((worker, test.test), []) if pair[0].began_at < before]
        if own:
            wait, job = max(own, key=lambda pair: pair[0].ended_at or 0.0)
            path.append(Step(wait.ended_at or before, before, test=test))
            begun = job.started_at or job.planned_at or wait.began_at
            path.append(Step(begun, _happened_at(job, wait) or before, job=job))
            worker, started_at = job.worker, job.planned_at or begun
            before = wait.began_at  # workers' clocks differ: never to the same wait again
        else:
            path.append(Step(started_at, before, test=test))
        earlier = [t for t in tests if t.worker == worker and t.started_at < started_at]
        test = max(earlier, key=lambda t: t.started_at, default=None)
        before = min(before, started_at if test is None else min(test.ended_at, started_at))
    return path[::-1]


def _happened_at(job: JobEntry, wait: Wait) -> float | None:
    """Return when what a test waited for had happened to a job, None if it never did."""
    decided_at = job.decided_at(wait)
    if not job.ends_with_run or wait.ended_at is None:
        return decided_at
    # Of a service that was ready it may have been a line of its output.
    return wait.ended_at if decided_at is None else min(wait.ended_at, decided_at)
