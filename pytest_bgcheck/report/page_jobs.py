"""The jobs of the page, as it shows them: rows, bars, dialogs and their outputs.

Pure; imports only model and the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..model import State
from .document import Document, JobPart
from .page_probes import ProbeView, probe_view, worst_look
from .probe_parts import ProbePart
from .states import BAD, LOOKS, Look, Seen
from .text import ready_lines
from .timeline import JobBars, Timeline
from .words import bytes_of, duration, printable, rc_codes

MOST_TESTS = 20
"""How many of a job's tests its dialog lists."""


@dataclass
class Stream:
    """What the page shows of a job's stdout or stderr; ``note`` says how much there was."""

    name: str
    note: str
    text: str


@dataclass
class JobView:
    """A job as the page shows it; what is not known is a dash. ``*_sort`` are what a column is
    sorted by, ``facts`` the lines of the job's dialog. ``mark``: what stands before its name:
    its look, or that of a probe's window that was not within its limits."""

    anchor: str
    kind: str
    name: str
    host: str
    state: str
    look: Look
    mark: Look
    bad: bool
    critical: bool
    outcome: str
    detail: str
    command: str
    rc: str
    rc_sort: int
    took: str
    took_sort: float
    limit: str
    used: str
    used_sort: float
    near_limit: bool
    waited: str
    waited_sort: float
    awaited_by: str
    facts: Sequence[str]
    on_timeline: JobBars
    probe: ProbeView | None
    streams: list[Stream] = field(default_factory=list)


def job_views(document: Document, timeline: Timeline) -> list[JobView]:
    critical = {step["job"] for step in document["summary"]["critical_path"]}
    bad = set(document["summary"]["did_not_succeed"])
    near_limit = set(document["summary"]["near_limit"])
    zero = document["run"]["started_at"]
    jobs = []
    for number, job in enumerate(document["jobs"]):
        rc, took, used = job["rc"], job["duration_s"], job["used"]
        if took is None and job["ready_at"] is not None and job["started_at"] and job["ended_at"]:
            # Nobody asks a target how long a service lived that the end of the run has stopped.
            took = job["ended_at"] - job["started_at"]
        waited = [wait["waited_s"] or 0.0 for wait in job["awaited_by"]]
        tests = list(dict.fromkeys(wait["test"] for wait in job["awaited_by"]))
        outcome = job["state"] if rc is None else f"{job['state']}, rc {rc}"
        if took is not None:
            outcome += f", after {duration(took)}"
        if job["ready_s"] is not None:
            outcome += f"; {_ready(job)} after {duration(job['ready_s'])}"
        jobs.append(
            JobView(
                anchor=f"j{number}",
                kind=job["kind"],
                name=job["name"],
                host=job["host"],
                state=job["state"],
                look=LOOKS[State(job["state"])],
                mark=_mark(job),
                bad=job["id"] in bad,
                critical=job["id"] in critical,
                outcome=outcome,
                detail=printable(job["detail"]),
                command=printable(job["command"])[:2000],
                rc="–" if rc is None else str(rc),
                rc_sort=-1 if rc is None else rc,
                took="–" if took is None else duration(took),
                took_sort=-1 if took is None else took,
                limit=duration(_limit_s(job)),
                used="" if used is None else f"{used:.0%}",
                used_sort=-1 if used is None else used,
                near_limit=job["id"] in near_limit,
                waited=duration(max(waited)) if waited else "–",
                waited_sort=max(waited, default=-1),
                awaited_by=", ".join(tests[:3])
                + (f" and {len(tests) - 3} more" if len(tests) > 3 else ""),
                facts=_facts(document, job),
                on_timeline=timeline.job(job),
                probe=probe_view(job, zero, (timeline.span(job) or (zero, zero))[0]),
            )
        )
    return jobs


def _limit_s(job: JobPart) -> float:
    """Return the limit that counted: of a service that was never ready, that for being ready."""
    ready_limit_s = job["ready_limit_s"]
    never_ready = job["state"] == State.NOT_READY and ready_limit_s is not None
    return ready_limit_s if never_ready and ready_limit_s else job["limit_s"]


def _facts(document: Document, job: JobPart) -> list[str]:
    """Return the lines of a job's dialog: its times, from the run's start on, and its tests."""
    zero = document["run"]["started_at"]
    times = {
        "started": job["started_at"],
        "ready" if job["probe"] is None else "first sample known": job["ready_at"],
        "ended": job["ended_at"],
        "first awaited": job["first_awaited_at"],
        "end known to a test": job["verdict_seen_at"],
    }
    known = [
        f"{word} at {duration(max(0.0, at - zero))}" for word, at in times.items() if at is not None
    ]
    lines = [", ".join(known)] if known else []
    limits = f"limit {duration(job['limit_s'])}"
    if job["probe"] is not None:
        limits = _probe_limits(job, job["probe"])
    elif job["ready_limit_s"] is None:
        limits += f", accepted rc: {rc_codes(job['accepted_rc'])}"
    else:
        limits += f"; to be ready within {duration(job['ready_limit_s'])}"
    lines += [limits, *ready_lines(job["ready"] or "", job["ready_output"] or "")]
    if job["id"] in document["summary"]["accepted"]:
        lines.append("it did not succeed, as its tests accept")
    if job["attempts"] > 1:
        lines.append(f"{job['attempts']} attempts; this is the output of the last one")
    for wait in job["awaited_by"][:MOST_TESTS]:
        where = f" on {wait['worker']}" if wait["worker"] else ""
        lines.append(f"{wait['test']}{where} waited {duration(wait['waited_s'])}")
    if len(job["awaited_by"]) > MOST_TESTS:
        lines.append(f"and {len(job['awaited_by']) - MOST_TESTS} more tests")
    return lines


def _mark(job: JobPart) -> Look:
    look = LOOKS[State(job["state"])]
    not_good = [window for window in job["windows"] if not Seen(window["verdict"]).good]
    return worst_look(not_good) if not_good and look is not BAD else look


def _ready(job: JobPart) -> str:
    return "it was ready" if job["probe"] is None else "it had taken its first sample"


def _probe_limits(job: JobPart, probe: ProbePart) -> str:
    return (
        f"a sample every {duration(probe['every_s'])}, of at most"
        f" {duration(probe['sample_limit_s'])}; good is rc {rc_codes(job['accepted_rc'])};"
        f" it may live {duration(job['limit_s'])}"
    )


def add_outputs(parts: Sequence[JobPart], jobs: Sequence[JobView], budget_bytes: int) -> None:
    """Give each job its streams; the longest are cut first, until all fit in the budget."""
    streams = []
    for part, job in zip(parts, jobs, strict=True):
        of = "" if part["probe"] is None else " of its last sample"
        outputs = [(f"stdout{of}", part["stdout"]), (f"stderr{of}", part["stderr"])]
        if part["ready_command_output"]["size"]:
            last_look = "the last output of its ready command"
            outputs.append((last_look, part["ready_command_output"]))
        for name, output in outputs:
            text = printable(output["text"])
            size = output["size"]
            stream = Stream(name, "not known" if size is None else bytes_of(size), text)
            job.streams.append(stream)
            streams.append((_cost(text), stream))
    streams.sort(key=lambda pair: pair[0])
    budget_bytes -= 200 * len(streams)  # their own markup
    for place, (cost, stream) in enumerate(streams):
        share = max(0, budget_bytes // (len(streams) - place))
        if cost > share:
            text = stream.text
            half = int(len(text) * share / cost * 0.9) // 2
            left_out = len(text) - 2 * half
            stream.note += f", without {left_out:,} characters"
            gap = f"\n[... {left_out:,} characters are not in this page ...]\n"
            stream.text = text[:half] + gap + text[-half:] if half else ""
            cost = _cost(stream.text)
        budget_bytes -= cost


def _cost(text: str) -> int:
    """Return the bytes that a text takes in the page."""
    special = sum(text.count(c) for c in "&<>'\"")
    return len(text.encode("utf-8", "replace")) + 4 * special
