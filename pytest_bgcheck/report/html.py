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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..model import State
from .document import Document, JobPart, TestPart, span_of
from .figures import merged
from .states import LEGEND, LOOKS, Look
from .text import ready_lines
from .timeline import JobBars, Lane, Timeline
from .words import bytes_of, count, duration, printable, rc_codes, run_title

PAGE = importlib.resources.files(__package__) / "page"

LARGEST_BYTES = 1_900_000
"""Of a page with hundreds of jobs: what opens at once on a phone."""

COLUMNS = ("host", "state", "rc", "took", "limit", "waited", "awaited by")
"""Of the table of jobs, behind their names."""

MOST_FAILED_TESTS = 500
MOST_OTHER_TESTS = 500
"""The most rows of the two tables of tests."""

LONGEST_MESSAGE = 300

KINDS = {"passed": "ok", "failed": "bad"}
"""By what class the page's style colours a test's outcome."""

EXIT_STATUSES = {
    0: "all is well",
    1: "failed",
    2: "interrupted",
    3: "internal error",
    4: "wrong usage",
    5: "no test has run",
}

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
    kind: str
    name: str
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
class TestView:
    """A test as the page shows it; ``jobs`` are those that it awaited or requested."""

    __test__ = False

    name: str
    worker: str
    outcome: str
    kind: str
    took: str
    waited: str
    message: str
    jobs: Sequence[JobView]


@dataclass(frozen=True)
class TestsView:
    """The tests of the page: those that failed, then others that have to do with jobs.

    ``note`` says how many there were of each outcome, ``*_note`` how many are not in the tables.
    """

    __test__ = False

    note: str
    failed: Sequence[TestView]
    failed_note: str
    others: Sequence[TestView]
    others_note: str


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
    summary = document["summary"]
    about = run_title(summary["jobs"], summary["services"])
    kinds = sorted({job.kind for job in jobs})
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
        "tests": _tests(document, jobs),
        "lanes": lanes,
        "tests_note": _tests_note(document, lanes),
        "columns": COLUMNS,
        "jobs": jobs,
        "states": sorted({job.state for job in jobs}),
        "style": Markup((PAGE / "page.css").read_text("utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    bare_bytes = len(template.render(values).encode("utf-8", "replace"))
    _add_outputs(document["jobs"], jobs, max(0, LARGEST_BYTES - bare_bytes))
    return template.render(values)


def _run_facts(document: Document) -> list[tuple[str, str]]:
    """Return what the page's head says of the run, by name."""
    run = document["run"]
    status = run["exit_status"]
    meaning = EXIT_STATUSES.get(status)
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    facts = {
        "Duration": duration(document["summary"]["wall_s"]),
        "Tests": _outcomes(document["summary"]["tests"]),
        "Exit status": f"{status} ({meaning})" if meaning else str(status),
        "Command": printable(run["command_line"]),
        "Versions": printable(versions),
    }
    return [(name, text) for name, text in facts.items() if text]


def _outcomes(tests: Mapping[str, int]) -> str:
    """Return how many tests had each outcome, what failed first."""
    order = ("failed", "unfinished", "passed", "skipped")
    return ", ".join(f"{tests[outcome]} {outcome}" for outcome in order if outcome in tests)


def _jobs(document: Document, timeline: Timeline) -> list[JobView]:
    critical = {step["job"] for step in document["summary"]["critical_path"]}
    bad = set(document["summary"]["did_not_succeed"])
    near_limit = set(document["summary"]["near_limit"])
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
            outcome += f"; it was ready after {duration(job['ready_s'])}"
        jobs.append(
            JobView(
                anchor=f"j{number}",
                kind=job["kind"],
                name=job["name"],
                host=job["host"],
                state=job["state"],
                look=LOOKS[State(job["state"])],
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
        "ready": job["ready_at"],
        "ended": job["ended_at"],
        "first awaited": job["first_awaited_at"],
        "end known to a test": job["verdict_seen_at"],
    }
    known = [
        f"{word} at {duration(max(0.0, at - zero))}" for word, at in times.items() if at is not None
    ]
    lines = [", ".join(known)] if known else []
    limits = f"limit {duration(job['limit_s'])}"
    if job["ready_limit_s"] is None:
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


def _tests(document: Document, jobs: Sequence[JobView]) -> TestsView:
    by_test: dict[str, list[JobView]] = {}
    waits: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for part, job in zip(document["jobs"], jobs, strict=True):
        awaited = [wait["test"] for wait in part["awaited_by"]]
        for test in dict.fromkeys([*awaited, *part["requested_by"]]):
            by_test.setdefault(test, []).append(job)
        for wait in part["awaited_by"]:
            waits.setdefault((wait["worker"], wait["test"]), []).append(span_of(wait))

    def view(test: TestPart) -> TestView:
        own = merged(waits.get((test["worker"], test["test"]), ()))
        return TestView(
            name=printable(test["test"]),
            worker=test["worker"],
            outcome=test["outcome"],
            kind=KINDS.get(test["outcome"], "other"),
            took=duration(test["ended_at"] - test["started_at"]),
            waited=duration(sum(over - began for began, over in own)) if own else "–",
            message=printable(test["message"])[:LONGEST_MESSAGE],
            jobs=by_test.get(test["test"], []),
        )

    failed = [test for test in document["tests"] if test["outcome"] == "failed"]
    rest = [test for test in document["tests"] if test["outcome"] != "failed"]
    others = [test for test in rest if test["test"] in by_test]
    shown_failed, shown_others = failed[:MOST_FAILED_TESTS], others[:MOST_OTHER_TESTS]
    more_failed, more_others = len(failed) - len(shown_failed), len(rest) - len(shown_others)
    return TestsView(
        note=_outcomes(document["summary"]["tests"]),
        failed=[view(test) for test in shown_failed],
        failed_note=f"and {more_failed} more that failed" if more_failed else "",
        others=[view(test) for test in shown_others],
        others_note=f"and {more_others} more, which did not fail" if more_others else "",
    )


def _hosts(jobs: Sequence[JobView]) -> list[HostView]:
    hosts = []
    for label in dict.fromkeys(job.host for job in jobs):
        own = [job for job in jobs if job.host == label]
        bad = sum(job.bad for job in own)
        kinds = Counter(job.kind for job in own)
        note = ", ".join(count(number, kind) for kind, number in sorted(kinds.items()))
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
        outputs = [("stdout", part["stdout"]), ("stderr", part["stderr"])]
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
