"""The run as one page that needs no network: a timeline, a table, each job's output.

Made of the JSON document by templates that escape everything; a policy in the page runs no script
but its own. Imports jinja2 when a page is made (the extra ``report``), model and the report.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .band import Stretch
from .document import Document
from .page_jobs import JobView, add_outputs, job_views
from .page_tests import outcomes, tests_view
from .states import LEGEND, WINDOW_LOOKS
from .timeline import Lane, Timeline
from .words import KINDS, count, duration, printable, run_title

PAGE = importlib.resources.files(__package__) / "page"

LARGEST_BYTES = 1_900_000
"""Of a page with hundreds of jobs: what opens at once on a phone."""

COLUMNS = ("host", "state", "rc", "took", "limit", "waited", "awaited by")
"""Of the table of jobs, behind their names."""

PROBE_COLUMNS = (
    "host", "every", "samples", "available", "outages", "longest", "not proven", "windows of tests"
)  # fmt: skip
"""Of the table of what probes saw, behind their names."""

LANES_TOP_REM = 1.2
LANE_HEIGHT_REM = 0.8
"""Where the windows below a probe's band lie."""

EXIT_STATUSES = {
    0: "all is well",
    1: "failed",
    2: "interrupted",
    3: "internal error",
    4: "wrong usage",
    5: "no test has run",
}

MANY_JOBS = 60
"""With more of them only the hosts that matter are unfolded."""


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
    jobs = job_views(document, timeline)
    about = run_title(Counter(job.kind for job in jobs))
    kinds = [kind for kind in KINDS if any(job.kind == kind for job in jobs)]
    values = {
        "title": printable(run["title"]),
        "about": about,
        "jobs_title": about.removeprefix("background "),
        "noun": kinds[0] if len(kinds) == 1 else "job" if kinds else "check",
        "kinds": kinds,
        "headline": headline,
        "facts": _run_facts(document),
        "ci_job_url": run["ci_job_url"],
        "minute": time.strftime("%Y-%m-%d %H:%M UTC", began),
        "began_iso": time.strftime("%Y-%m-%dT%H:%M:%SZ", began),
        "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", began),
        "causes": [printable(cause) for cause in run["causes"]],
        "not_cleaned_up": run["not_cleaned_up"],
        "legend": LEGEND,
        "ticks": timeline.ticks(),
        "hosts": _hosts(jobs),
        "tests": tests_view(document, jobs),
        "lanes": lanes,
        "tests_note": _tests_note(document, lanes),
        "columns": COLUMNS,
        "jobs": jobs,
        "probes": [job for job in jobs if job.probe is not None],
        "probe_columns": PROBE_COLUMNS,
        "more": any(stretch.look == "more" for job in jobs for stretch in _seen(job)),
        "window_looks": {look.legend: look for look in WINDOW_LOOKS.values()},
        "verdicts": [(str(verdict), look) for verdict, look in WINDOW_LOOKS.items()],
        "lanes_top": LANES_TOP_REM,
        "lane_height": LANE_HEIGHT_REM,
        "states": sorted({job.state for job in jobs}),
        "style": Markup((PAGE / "page.css").read_text("utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    bare_bytes = len(template.render(values).encode("utf-8", "replace"))
    add_outputs(document["jobs"], jobs, max(0, LARGEST_BYTES - bare_bytes))
    return template.render(values)


def _seen(job: JobView) -> Sequence[Stretch]:
    return job.on_timeline.band.seen if job.on_timeline.band is not None else ()


def _run_facts(document: Document) -> list[tuple[str, str]]:
    """Return what the page's head says of the run, by name."""
    run = document["run"]
    status = run["exit_status"]
    meaning = EXIT_STATUSES.get(status)
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    facts = {
        "Duration": duration(document["summary"]["wall_s"]),
        "Tests": outcomes(document["summary"]["tests"]),
        "Exit status": f"{status} ({meaning})" if meaning else str(status),
        "Command": printable(run["command_line"]),
        "Versions": printable(versions),
    }
    return [(name, text) for name, text in facts.items() if text]


def _hosts(jobs: Sequence[JobView]) -> list[HostView]:
    hosts = []
    for label in dict.fromkeys(job.host for job in jobs):
        own = [job for job in jobs if job.host == label]
        bad = sum(job.bad for job in own)
        kinds = Counter(job.kind for job in own)
        note = ", ".join(count(kinds[kind], kind) for kind in KINDS if kinds[kind])
        note += f", {bad} did not succeed" if bad else ""
        matters = bad > 0 or any(job.critical or job.mark.kind == "bad" for job in own)
        hosts.append(HostView(label, note, own, len(jobs) <= MANY_JOBS or matters))
    return hosts


def _tests_note(document: Document, lanes: Sequence[Lane]) -> str:
    """Return how many tests there were, and on how many workers if there were any."""
    tests = document["tests"]
    if not any(test["worker"] for test in tests):
        return str(len(tests))
    return f"{len(tests)} on {count(len(lanes), 'worker')}"
