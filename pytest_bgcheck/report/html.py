"""The run as one page that needs no network: a timeline, a table, each job's output.

Made of the JSON document by templates that escape everything; a policy in the page runs no script
but its own. Imports jinja2 when a page is made (the extra ``report``), report and report_timeline.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import timeline
from .text import bytes_of, duration, printable

PAGE = Path(__file__).parent / "page"

LARGEST = 1_900_000
"""Bytes of a page with hundreds of jobs: what opens at once on a phone."""

COLUMNS = ("check", "host", "state", "rc", "took", "limit", "waited", "awaited by")
MARKS = {"ok": "✓", "bad": "✗", "other": "–"}
LISTED = 20
"""How many of a job's tests its dialog lists."""


def page(document: Mapping[str, Any], headline: str) -> str:
    """Return the page; outputs are shortened as far as the page would else be too large."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((PAGE / "page.html.j2").read_text("utf-8"))
    script = (PAGE / "page.js").read_text("utf-8")
    jobs = _jobs(document)
    values = {
        **_head(document, headline),
        **timeline.layout(document, jobs),
        "columns": COLUMNS,
        "jobs": jobs,
        "states": sorted({job["state"] for job in jobs}),
        "style": Markup((PAGE / "page.css").read_text("utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    bare = len(template.render(values).encode())
    _add_outputs(document["jobs"], jobs, max(0, LARGEST - bare))
    return template.render(values)


def _head(document: Mapping[str, Any], headline: str) -> dict[str, Any]:
    began = time.gmtime(document["run"]["started_at"])
    return {
        "title": f"Background checks, {time.strftime('%Y-%m-%d %H:%M', began)} UTC",
        "headline": headline,
        "began": {
            "iso": time.strftime("%Y-%m-%dT%H:%M:%SZ", began),
            "text": time.strftime("%Y-%m-%d %H:%M:%S UTC", began),
        },
        "exit_status": document["run"]["exit_status"],
        "causes": [printable(cause) for cause in document["run"]["causes"]],
        "troubles": document["run"]["not_cleaned_up"],
    }


# --- jobs -----------------------------------------------------------------------------------------


def _kind(state: str) -> str:
    return {"succeeded": "ok", "cancelled": "other"}.get(state, "bad")


def _jobs(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    critical = {step["job"] for step in document["summary"]["critical_path"]}
    near = set(document["summary"]["near_limit"])
    jobs = []
    for number, job in enumerate(document["jobs"]):
        took, used = job["duration_s"], job["used"]
        waited = [wait["waited_s"] or 0.0 for wait in job["awaited_by"]]
        tests = list(dict.fromkeys(wait["test"] for wait in job["awaited_by"]))
        state = job["state"]
        told = state if job["rc"] is None else f"{state}, rc {job['rc']}"
        jobs.append(
            {
                "anchor": f"j{number}",
                "check": job["check"],
                "host": job["host"],
                "state": state,
                "kind": _kind(state),
                "mark": MARKS[_kind(state)],
                "critical": job["id"] in critical,
                "told": told if took is None else f"{told}, after {duration(took)}",
                "detail": printable(job["detail"]),
                "command": printable(job["command"])[:2000],
                "rc": "–" if job["rc"] is None else job["rc"],
                "rc_sort": -1 if job["rc"] is None else job["rc"],
                "took": "–" if took is None else duration(took),
                "took_s": -1 if took is None else took,
                "limit_text": duration(job["limit_s"]),
                "used": "" if used is None else f"{used:.0%}",
                "used_sort": -1 if used is None else used,
                "near": job["id"] in near,
                "waited": duration(max(waited)) if waited else "–",
                "waited_s": max(waited, default=-1),
                "awaited_by": ", ".join(tests[:3])
                + (f" and {len(tests) - 3} more" if len(tests) > 3 else ""),
                "facts": _facts(document, job),
                "streams": [],
            }
        )
    return jobs


def _facts(document: Mapping[str, Any], job: Mapping[str, Any]) -> list[str]:
    """Return the lines of a job's dialog: its clocks, from the run's start on, and its tests."""
    zero = document["run"]["started_at"]
    clocks = [
        f"{word} at {duration(max(0.0, job[name] - zero))}"
        for word, name in (
            ("started", "started_at"),
            ("ended", "ended_at"),
            ("first awaited", "first_awaited_at"),
            ("verdict seen", "verdict_seen_at"),
        )
        if job[name] is not None
    ]
    lines = [", ".join(clocks)] if clocks else []
    accepted = ", ".join(map(str, job["accepted_rc"]))
    lines.append(f"limit {duration(job['limit_s'])}, accepted rc {accepted}")
    if job["attempts"] > 1:
        lines.append(f"{job['attempts']} attempts; the output is that of the last one")
    for wait in job["awaited_by"][:LISTED]:
        where = f" on {wait['worker']}" if wait["worker"] else ""
        lines.append(f"{wait['test']}{where} waited {duration(wait['waited_s'])}")
    if len(job["awaited_by"]) > LISTED:
        lines.append(f"and {len(job['awaited_by']) - LISTED} more tests")
    return lines


def _add_outputs(
    told: Sequence[Mapping[str, Any]], jobs: Sequence[dict[str, Any]], budget: int
) -> None:
    """Give each job its streams; the longest are cut first, until all fit in a budget of bytes."""
    streams = []
    for job, into in zip(told, jobs, strict=True):
        for name in ("stdout", "stderr"):
            text = printable(job[name]["text"])
            stream = {"name": name, "told": bytes_of(job[name]["size"]), "text": text}
            into["streams"].append(stream)
            streams.append((_cost(text), stream))
    streams.sort(key=lambda pair: pair[0])
    budget -= 200 * len(streams)  # their own markup
    for place, (cost, stream) in enumerate(streams):
        share = max(0, budget // (len(streams) - place))
        if cost > share:
            text = stream["text"]
            half = int(len(text) * share / cost * 0.9) // 2
            left_out = len(text) - 2 * half
            stream["text"] = text[:half] + (text[-half:] if half else "")
            stream["told"] += f", without {left_out:,} characters"
            if half:
                gap = f"\n[... {left_out:,} characters are not in this page ...]\n"
                stream["text"] = text[:half] + gap + text[-half:]
            cost = _cost(stream["text"])
        budget -= cost


def _cost(text: str) -> int:
    """Return the bytes that a text takes in the page."""
    special = sum(text.count(c) for c in "&<>'\"")
    return len(text.encode("utf-8", "replace")) + 4 * special
