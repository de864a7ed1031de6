"""The jobs of which no process of the run has told the end, for whoever cleans their targets."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from ..ledger import Ledger
from ..target.records import Record, Target
from ..target.requests import Spec
from ..tasks import Check, Probe, Service, Task
from .messages import UnfinishedJob


def unfinished(ledger: Ledger, targets: Container[str]) -> tuple[UnfinishedJob, ...]:
    """Return the jobs of some targets, by their keys, whose ends are not known."""
    return tuple(
        UnfinishedJob.of(job)
        for job in ledger.known_jobs()
        if job.target in targets and not job.state.final
    )


def records_of(jobs: Iterable[UnfinishedJob], targets: Mapping[str, Target]) -> list[Record]:
    """Return the jobs as records, to be asked about; ``targets`` are by their keys."""
    return [
        Record(Spec(job.id, _task(job)), targets[job.target], job.state, ready_s=job.ready_s)
        for job in jobs
        if job.target in targets
    ]


def _task(job: UnfinishedJob) -> Task:
    """Return what is needed of a job's task at the end of a run."""
    if job.kind == Service.kind:
        return Service(
            job.name, (), job.command, timeout_s=job.timeout_s, grace_s=job.grace_s,
            output_limit=job.output_limit, ready_output=job.ready_output or None,
        )  # fmt: skip
    if job.kind == Probe.kind:
        return Probe(
            job.name, (), job.command, timeout_s=job.timeout_s, grace_s=job.grace_s,
            output_limit=job.output_limit, rc=frozenset(job.accepted),
        )  # fmt: skip
    return Check(
        job.name, (), job.command, timeout_s=job.timeout_s, grace_s=job.grace_s,
        rc=frozenset(job.accepted), output_limit=job.output_limit,
    )  # fmt: skip
