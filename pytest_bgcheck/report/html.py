"""The run as one page that needs no network: a timeline, a table, each job's output.

Made of the JSON document by templates that escape everything; a policy in the page runs no script
but its own. Imports jinja2 when a page is made (the extra ``report``), model and the report.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..model import State
from .document import Document, JobPart
from .states import LEGEND, LOOKS, Look
from .text import bytes_of, count, duration, printable, rc_codes
from .timeline import JobBars, Lane, Timeline

PAGE = Path(__file__).parent / "page"

LARGEST_BYTES = 1_900_000
"""Of a page with hundreds of jobs: what opens at once on a phone."""

COLUMNS = ("check", "host", "state", "rc", "took", "limit", "waited", "awaited by")

MOST_TESTS = 20
"""How many of a job's tests its dialog lists."""

MANY_JOBS = 60
"""With more of them only the hosts that matter are unfolded."""


@dataclass
class Stream:
    """What the page shows of a job's stdout or stderr; ``note`` says how much there was."""

    name: str
    note: str
    text: str


@dataclass
class JobView:
    """A job as the page shows it; what is not known is a dash. ``*_sort`` are what a column is
    sorted by, ``facts`` the lines of the job's dialog."""

    anchor: str
    check: str
    host: str
    state: str
    look: Look
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
    streams: list[Stream] = field(default_factory=list)


@dataclass(frozen=True)
class HostView:
    """A host of the timeline with its jobs, unfolded or not."""

    label: str
    note: str
    jobs: Sequence[JobView]
    unfolded: bool


def page(document: Document, headline: str) -> str:
    """Return the page. Where it would be larger than `LARGEST_BYTES`, outputs are shortened."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((PAGE / "page.html.j2").read_text("utf-8"))
    script = (PAGE / "page.js").read_text("utf-8")
    run = document["run"]
    began = time.gmtime(run["started_at"])
    timeline = Timeline(document)
    lanes = timeline.lanes()
    jobs = _jobs(document, timeline)
    values = {
        "title": f"Background checks, {time.strftime('%Y-%m-%d %H:%M', began)} UTC",
        "headline": headline,
        "began_iso": time.strftime("%Y-%m-%dT%H:%M:%SZ", began),
        "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", began),
        "exit_status": run["exit_status"],
        "causes": [printable(cause) for cause in run["causes"]],
        "not_cleaned_up": run["not_cleaned_up"],
        "legend": LEGEND,
        "ticks": timeline.ticks(),
        "hosts": _hosts(jobs),
        "lanes": lanes,
        "tests_note": _tests_note(document, lanes),
        "columns": COLUMNS,
        "jobs": jobs,
        "states": sorted({job.state for job in jobs}),
        "style": Markup((PAGE / "page.css").read_text("utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    bare_bytes = len(template.render(values).encode())
    _add_outputs(document["jobs"], jobs, max(0, LARGEST_BYTES - bare_bytes))
    return template.render(values)


def _jobs(document: Document, timeline: Timeline) -> list[JobView]:
    critical = {step["job"] for step in document["summary"]["critical_path"]}
    bad = set(document["summary"]["did_not_succeed"])
    near_limit = set(document["summary"]["near_limit"])
    jobs = []
    for number, job in enumerate(document["jobs"]):
        rc, took, used = job["rc"], job["duration_s"], job["used"]
        waited = [wait["waited_s"] or 0.0 for wait in job["awaited_by"]]
        tests = list(dict.fromkeys(wait["test"] for wait in job["awaited_by"]))
        outcome = job["state"] if rc is None else f"{job['state']}, rc {rc}"
        jobs.append(
            JobView(
                anchor=f"j{number}",
                check=job["check"],
                host=job["host"],
                state=job["state"],
                look=LOOKS[State(job["state"])],
                bad=job["id"] in bad,
                critical=job["id"] in critical,
                outcome=outcome if took is None else f"{outcome}, after {duration(took)}",
                detail=printable(job["detail"]),
                command=printable(job["command"])[:2000],
                rc="–" if rc is None else str(rc),
                rc_sort=-1 if rc is None else rc,
                took="–" if took is None else duration(took),
                took_sort=-1 if took is None else took,
                limit=duration(job["limit_s"]),
                used="" if used is None else f"{used:.0%}",
                used_sort=-1 if used is None else used,
                near_limit=job["id"] in near_limit,
                waited=duration(max(waited)) if waited else "–",
                waited_sort=max(waited, default=-1),
                awaited_by=", ".join(tests[:3])
                + (f" and {len(tests) - 3} more" if len(tests) > 3 else ""),
                facts=_facts(document, job),
                on_timeline=timeline.job(job),
            )
        )
    return jobs


def _facts(document: Document, job: JobPart) -> list[str]:
    """Return the lines of a job's dialog: its times, from the run's start on, and its tests."""
    zero = document["run"]["started_at"]
    times = {
        "started": job["started_at"],
        "ended": job["ended_at"],
        "first awaited": job["first_awaited_at"],
        "end known to a test": job["verdict_seen_at"],
    }
    known = [
        f"{word} at {duration(max(0.0, at - zero))}" for word, at in times.items() if at is not None
    ]
    lines = [", ".join(known)] if known else []
    accepted = rc_codes(job["accepted_rc"])
    lines.append(f"limit {duration(job['limit_s'])}, accepted rc: {accepted}")
    if job["attempts"] > 1:
        lines.append(f"{job['attempts']} attempts; this is the output of the last one")
    for wait in job["awaited_by"][:MOST_TESTS]:
        where = f" on {wait['worker']}" if wait["worker"] else ""
        lines.append(f"{wait['test']}{where} waited {duration(wait['waited_s'])}")
    if len(job["awaited_by"]) > MOST_TESTS:
        lines.append(f"and {len(job['awaited_by']) - MOST_TESTS} more tests")
    return lines


def _hosts(jobs: Sequence[JobView]) -> list[HostView]:
    hosts = []
    for label in dict.fromkeys(job.host for job in jobs):
        own = [job for job in jobs if job.host == label]
        bad = sum(job.bad for job in own)
        note = count(len(own), "check")
        note += f", {bad} did not succeed" if bad else ""
        matters = bad > 0 or any(job.critical for job in own)
        hosts.append(HostView(label, note, own, len(jobs) <= MANY_JOBS or matters))
    return hosts


def _tests_note(document: Document, lanes: Sequence[Lane]) -> str:
    """Return how many tests there were, and on how many workers if there were any."""
    tests = document["tests"]
    if not any(test["worker"] for test in tests):
        return str(len(tests))
    return f"{len(tests)} on {count(len(lanes), 'worker')}"


def _add_outputs(parts: Sequence[JobPart], jobs: Sequence[JobView], budget_bytes: int) -> None:
    """Give each job its streams; the longest are cut first, until all fit in the budget."""
    streams = []
    for part, job in zip(parts, jobs, strict=True):
        for name, output in (("stdout", part["stdout"]), ("stderr", part["stderr"])):
            text = printable(output["text"])
            stream = Stream(name, bytes_of(output["size"]), text)
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
