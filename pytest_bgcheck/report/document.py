"""The run as a JSON document. ``schema.json``, in the package, says what is in it.

The page is made of the same document, so that both say the same. Pure; imports only figures,
ledger and model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ledger import JobEntry, Ledger, TestEntry, Wait
from ..model import EMPTY, Output
from .figures import Figures, Run, Step, used

VERSION = 2
"""Of the document's form. It grows when a reader of the form before could go wrong."""


def document(
    ledger: Ledger, run: Run, figures: Figures, troubles: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the run as plain values; times in seconds, ``*_at`` since the epoch."""
    return {
        "version": VERSION,
        "run": {
            "started_at": _seconds(run.started_at),
            "ended_at": _seconds(run.ended_at),
            "exit_status": run.exit_status,
            "causes": list(figures.causes),
            "not_cleaned_up": list(troubles),
        },
        "summary": {
            "jobs": figures.jobs,
            "hosts": figures.hosts,
            "states": {str(state): number for state, number in sorted(figures.states.items())},
            "checks_s": _seconds(figures.checks_s),
            "wall_s": _seconds(figures.wall_s),
            "waited_s": _seconds(figures.waited_s),
            "did_not_succeed": [job.id for job in figures.bad],
            "near_limit": [job.id for job in figures.near_limit],
            "output_cut": [job.id for job in figures.cut],
            "unjudged": [job.id for job in figures.unjudged],
            "critical_path": [_step(step) for step in figures.path],
        },
        "jobs": [_job(job) for job in ledger.jobs.values()],
        "tests": [_test(test) for test in ledger.tests.values()],
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _job(job: JobEntry) -> dict[str, Any]:
    result = job.result
    awaited = {wait.test for wait in job.waits}
    return {
        "id": job.id,
        "check": job.name,
        "host": job.host,
        "command": job.command,
        "limit_s": job.timeout_s,
        "grace_s": job.grace_s,
        "accepted_rc": list(job.accepted),
        "state": str(job.state),
        "rc": result.rc if result else None,
        "detail": result.detail if result else "",
        "attempts": result.attempts if result else 0,
        "duration_s": _seconds(job.duration_s),
        "used": _seconds(used(job)),
        "planned_at": _seconds(job.planned_at),
        "started_at": _seconds(job.started_at),
        "ended_at": _seconds(job.ended_at),
        "first_awaited_at": _seconds(job.first_awaited_at),
        "verdict_seen_at": _seconds(job.verdict_seen_at),
        "started_by_worker": job.worker,
        "stdout": _output(result.stdout_kept if result else EMPTY),
        "stderr": _output(result.stderr_kept if result else EMPTY),
        "awaited_by": [_wait(wait) for wait in job.waits],
        "judged": job.judged,
        "requested_by": [test for test in job.requested_by if test not in awaited],
    }


def _output(output: Output) -> dict[str, Any]:
    return {"size": output.size, "left_out": output.cut, "text": output.text()}


def _wait(wait: Wait) -> dict[str, Any]:
    return {
        "test": wait.test,
        "worker": wait.worker,
        "began_at": _seconds(wait.began_at),
        "waited_s": _seconds(wait.seconds),
    }


def _test(test: TestEntry) -> dict[str, Any]:
    return {
        "test": test.test,
        "worker": test.worker,
        "started_at": _seconds(test.started_at),
        "ended_at": _seconds(test.ended_at),
        "outcome": test.outcome,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "began_at": _seconds(step.began_at),
        "ended_at": _seconds(step.ended_at),
        "job": step.job.id if step.job else None,
        "test": step.test.test if step.test else None,
        "worker": step.test.worker if step.test else None,
    }
