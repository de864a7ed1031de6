"""The run as a JSON document. ``schema.json``, in the package, says what is in it.

The page is made of the same document, so that both say the same. Pure; imports only figures,
ledger, model, probe_parts and tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from ..ledger import JobEntry, Ledger, TestEntry, Wait
from ..model import EMPTY, Output, Result, Tries
from ..tasks import Probe, Service
from .figures import Figures, Run, Step, limit_used
from .probe_parts import ProbePart, WindowPart, probe_part, window_parts

VERSION = 4
"""Of the document's form. It grows when a reader of the form before could go wrong."""

# The parts of the document; the schema describes each key. ``*_at`` are seconds since the epoch,
# ``*_s`` seconds.


class RunPart(TypedDict):
    title: str
    command_line: str
    versions: dict[str, str]
    ci_job_url: str
    started_at: float
    ended_at: float
    exit_status: int
    causes: list[str]
    not_cleaned_up: list[str]


class StepPart(TypedDict):
    began_at: float
    ended_at: float
    job: str | None
    test: str | None
    worker: str | None


class SummaryPart(TypedDict):
    jobs: int
    services: int
    probes: int
    hosts: int
    states: dict[str, int]
    checks_s: float
    wall_s: float
    waited_s: float
    tests: dict[str, int]
    did_not_succeed: list[str]
    accepted: list[str]
    near_limit: list[str]
    output_cut: list[str]
    unjudged: list[str]
    unjudged_services: list[str]
    critical_path: list[StepPart]


class OutputPart(TypedDict):
    size: int | None
    left_out: int
    text: str


class WaitPart(TypedDict):
    test: str
    worker: str
    began_at: float
    waited_s: float | None


class TriesPart(TypedDict):
    count: int
    began_at: float
    cause: str


class JobPart(TypedDict):
    id: str
    kind: str
    name: str
    host: str
    command: str
    limit_s: float
    grace_s: float
    accepted_rc: list[int]
    ready: str | None
    ready_output: str | None
    ready_limit_s: float | None
    probe: ProbePart | None
    after: str | None
    state: str
    rc: int | None
    detail: str
    unanswered: TriesPart | None
    attempts: int
    duration_s: float | None
    used: float | None
    planned_at: float | None
    started_at: float | None
    ready_at: float | None
    ready_s: float | None
    ended_at: float | None
    first_awaited_at: float | None
    verdict_seen_at: float | None
    started_by_worker: str
    stdout: OutputPart
    stderr: OutputPart
    ready_command_output: OutputPart
    awaited_by: list[WaitPart]
    windows: list[WindowPart]
    judged: bool
    requested_by: list[str]


class TestPart(TypedDict):
    test: str
    worker: str
    started_at: float
    ended_at: float
    outcome: str
    message: str


class Document(TypedDict):
    version: int
    run: RunPart
    summary: SummaryPart
    jobs: list[JobPart]
    tests: list[TestPart]


def document(
    ledger: Ledger, run: Run, figures: Figures, not_cleaned_up: Sequence[str] = ()
) -> Document:
    """Return the run as plain values. ``not_cleaned_up``: a line for each target."""
    return {
        "version": VERSION,
        "run": {
            "title": run.invocation.title,
            "command_line": run.invocation.command_line,
            "versions": dict(run.invocation.versions),
            "ci_job_url": run.invocation.ci_job_url,
            "started_at": _rounded(run.started_at),
            "ended_at": _rounded(run.ended_at),
            "exit_status": run.exit_status,
            "causes": list(figures.causes),
            "not_cleaned_up": list(not_cleaned_up),
        },
        "summary": {
            "jobs": figures.jobs,
            "services": figures.kinds.get(Service.kind, 0),
            "probes": figures.kinds.get(Probe.kind, 0),
            "hosts": figures.hosts,
            "states": {str(state): number for state, number in sorted(figures.states.items())},
            "checks_s": _rounded(figures.checks_s),
            "wall_s": _rounded(figures.wall_s),
            "waited_s": _rounded(figures.waited_s),
            "tests": dict(sorted(figures.tests.items())),
            "did_not_succeed": [job.id for job in figures.bad],
            "accepted": [job.id for job in figures.tolerated],
            "near_limit": [job.id for job in figures.near_limit],
            "output_cut": [job.id for job in figures.output_cut],
            "unjudged": [job.id for job in figures.unjudged],
            "unjudged_services": [job.id for job in figures.unjudged_ends],
            "critical_path": [_step(step) for step in figures.critical_path],
        },
        "jobs": [_job(job) for job in ledger.jobs.values()],
        "tests": [_test(test) for test in ledger.tests.values()],
    }


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def _known(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(seconds)


def _job(job: JobEntry) -> JobPart:
    result = job.result
    awaited = {wait.test for wait in job.waits}
    return {
        "id": job.id,
        "kind": job.kind,
        "name": job.name,
        "host": job.host,
        "command": job.command,
        "limit_s": job.timeout_s,
        "grace_s": job.grace_s,
        "accepted_rc": list(job.accepted),
        "ready": job.ready or None,
        "ready_output": job.ready_output or None,
        "ready_limit_s": job.ready_timeout_s,
        "probe": probe_part(job),
        "after": job.after or None,
        "state": str(job.state),
        "rc": result.rc if result else None,
        "detail": result.detail if result else "",
        "unanswered": _tries(job.unanswered),
        "attempts": result.attempts if result else 0,
        "duration_s": _known(job.duration_s),
        "used": _known(limit_used(job)),
        "planned_at": _known(job.planned_at),
        "started_at": _known(job.started_at),
        "ready_at": _known(job.ready_at),
        "ready_s": _known(job.ready_s),
        "ended_at": _known(job.ended_at),
        "first_awaited_at": _known(job.first_awaited_at),
        "verdict_seen_at": _known(job.verdict_seen_at),
        "started_by_worker": job.worker,
        "stdout": _stream(result, "stdout"),
        "stderr": _stream(result, "stderr"),
        "ready_command_output": _output(result.look_kept if result else EMPTY),
        "awaited_by": [_wait(wait) for wait in job.waits],
        "windows": window_parts(job.windows),
        "judged": job.judged or job.watched,
        "requested_by": [test for test in job.requested_by if test not in awaited],
    }


def _tries(tries: Tries | None) -> TriesPart | None:
    if tries is None:
        return None
    return {"count": tries.count, "began_at": _rounded(tries.began_at), "cause": tries.cause}


def _stream(result: Result | None, stream: str) -> OutputPart:
    kept: Output = EMPTY if result is None else getattr(result, f"{stream}_kept")
    part = _output(kept)
    if result is not None and result.unheard(kept):
        part["size"] = None
    return part


def _output(output: Output) -> OutputPart:
    return {"size": output.size, "left_out": output.cut, "text": output.text()}


def span_of(wait: WaitPart) -> tuple[float, float]:
    """Return when a wait began and when it was over."""
    return wait["began_at"], wait["began_at"] + (wait["waited_s"] or 0.0)


def _wait(wait: Wait) -> WaitPart:
    return {
        "test": wait.test,
        "worker": wait.worker,
        "began_at": _rounded(wait.began_at),
        "waited_s": _known(wait.waited_s),
    }


def _test(test: TestEntry) -> TestPart:
    return {
        "test": test.test,
        "worker": test.worker,
        "started_at": _rounded(test.started_at),
        "ended_at": _rounded(test.ended_at),
        "outcome": test.outcome,
        "message": test.message,
    }


def _step(step: Step) -> StepPart:
    return {
        "began_at": _rounded(step.began_at),
        "ended_at": _rounded(step.ended_at),
        "job": step.job.id if step.job else None,
        "test": step.test.test if step.test else None,
        "worker": step.test.worker if step.test else None,
    }
