"""A run for GitHub: a summary in Markdown, and workflow commands that become annotations.

Pure; imports only events, figures, ledger, probe_text, summary and words. The escapes of workflow
commands are those of actions/toolkit (packages/core/src/command.ts).
"""

from __future__ import annotations

import re

from ..events import WindowClosed
from ..ledger import JobEntry
from . import probe_text
from .figures import Figures
from .summary import (
    awaited_by,
    cells,
    headline,
    heads,
    near_limit_line,
    never_ready_lines,
    output_cut_line,
    probe_lines,
    unjudged_lines,
)
from .words import duration, printable

MOST_ROWS = 30
"""The most rows of the summary's table."""

MOST_ANNOTATIONS = 10
"""GitHub shows no more of a step."""


def markdown(figures: Figures) -> str:
    """Return a short summary of a run."""
    mark = "❌" if figures.causes else "✅"
    blocks = [f"### {mark} {figures.title.capitalize()}", _plain(headline(figures))]
    if figures.causes:
        causes = [f"- {_plain(cause)}" for cause in figures.causes[:MOST_ROWS]]
        blocks.append("\n".join(["Why the run failed:", "", *causes]))
    if figures.bad:
        first = heads(figures.bad)
        rows = [first, tuple("---" for _ in first)]
        shown = [cells(job, job in figures.tolerated) for job in figures.bad[:MOST_ROWS]]
        rows += [tuple(map(_plain, row)) for row in shown]
        blocks.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
        if len(figures.bad) > MOST_ROWS:
            blocks.append(f"and {len(figures.bad) - MOST_ROWS} more")
    notes = [near_limit_line(job) for job in figures.near_limit[:MOST_ROWS]]
    notes += probe_lines(figures)
    notes += [output_cut_line(job) for job in figures.output_cut[:MOST_ROWS]]
    notes += unjudged_lines(figures)[:MOST_ROWS]
    notes += never_ready_lines(figures)[:MOST_ROWS]
    if notes:
        blocks.append("\n".join(f"- {_plain(note)}" for note in notes))
    return "\n\n".join(blocks) + "\n"


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it is, in a table too."""
    text = printable(text).replace("\n", " ").replace("\t", " ")
    return re.sub(r"([\\`*_{}\[\]<>#|~&@$!:])", r"\\\1", text)


def commands(figures: Figures, annotated: frozenset[str] = frozenset()) -> list[str]:
    """Return a workflow command for each job that did not succeed and that no test tolerated, and
    for each that makes the run fail because no test judged it, and for each window of a probe for
    which a test failed. In a green run they only warn.

    ``annotated``: the tests of which another plugin tells, and so of the jobs that they awaited.
    """
    kind = "error" if figures.causes else "warning"
    failed = [job for job in figures.bad if job not in figures.tolerated]
    failed = [job for job in failed if not (job.judged and annotated.intersection(awaited_by(job)))]
    unjudged = [failure.job for failure in figures.unjudged_failures]
    failed += [job for job in (*unjudged, *figures.unjudged_ends) if job not in failed]
    texts = [_annotation(job) for job in failed]
    texts += [
        _window_annotation(job, closed)
        for job, closed in figures.failed_windows
        if closed.test not in annotated and job not in failed
    ]
    lines = [f"::{kind} {text}" for text in texts[:MOST_ANNOTATIONS]]
    if len(texts) > MOST_ANNOTATIONS:
        left = len(texts) - MOST_ANNOTATIONS + 1
        lines[-1] = f"::{kind} title={figures.title}::and {left} more"
    return lines


def _annotation(job: JobEntry) -> str:
    result = job.result
    facts = str(job.state)
    if result is not None and result.rc is not None:
        facts = f"{facts}: rc {result.rc}"
    if job.duration_s is not None:
        facts += f" after {duration(job.duration_s)}"
    if result is not None and result.detail:
        facts += f": {result.detail}"
    tests = awaited_by(job)
    by = "" if job.judged else ", and judged by no test"
    text = f"{facts}{by}\ncommand: {job.command}\nawaited by: {', '.join(tests[:5]) or 'no test'}"
    return _titled(job, text)


def _window_annotation(job: JobEntry, closed: WindowClosed) -> str:
    facts = f"{probe_text.verdict(closed)}: {probe_text.closed_facts(closed)}"
    return _titled(job, f"{facts}\ncommand: {job.command}\nduring: {closed.test}")


def _titled(job: JobEntry, text: str) -> str:
    title = f"background {job.kind} {job.name} on {job.host}"
    return f"title={_property(title)}::{_data(printable(text))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
