"""Writes our part of the terminal's summary, in colours."""

from __future__ import annotations

import textwrap

import pytest

from ..compat.pytest import own_reporter
from ..report import summary
from ..report.figures import unjudged_end_line, unjudged_failure_line
from ..report.text import output_lines
from .whole_run import WholeRun


def write(whole_run: WholeRun, reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    writer = config.get_terminal_writer()
    own = own_reporter(config)
    width, tty = writer.fullwidth, own is not None and bool(own.isatty)
    lines = _lines(whole_run, width, config.get_verbosity())
    whole_run.summary_written = True
    if len(lines) > 1:
        figures = whole_run.figures
        reporter.write_sep("=", figures.title if figures is not None else "background checks")
    for line, colour in lines:
        # A log keeps its lines whole.
        pieces = textwrap.wrap(line, width, subsequent_indent="  ") if len(line) > width else []
        for piece in pieces if tty and pieces else [line]:
            reporter.write_line(piece, **({colour: True} if colour else {}))


def _lines(whole_run: WholeRun, width: int, verbosity: int) -> list[tuple[str, str]]:
    """Return the lines, each with its colour."""
    lines: list[tuple[str, str]] = []
    figures = whole_run.figures
    if figures is not None and figures.jobs:
        colour = ""
        if figures.bad:
            colour = "yellow" if len(figures.tolerated) == len(figures.bad) else "red"
        if figures.bad:
            table = summary.table(figures.bad, width, figures.tolerated)
            lines += [(line, colour) for line in table]
            lines += [(line, "red") for line in summary.unanswered_lines(figures.bad)]
        lines += [(summary.near_limit_line(job), "yellow") for job in figures.near_limit]
        jobs = whole_run.ledger.known_jobs()
        lines += [(line, "yellow") for line in summary.output_note_lines(jobs)]
        lines += [(summary.output_cut_line(job), "yellow") for job in figures.output_cut]
        lines += [(line, "yellow") for line in summary.probe_lines(figures)]
        lines += [(line, "yellow") for line in summary.unjudged_lines(figures)]
        lines += [(line, "yellow") for line in summary.never_ready_lines(figures)]
        lines += [(unjudged_failure_line(failure), "red") for failure in figures.unjudged_failures]
        for job in figures.unjudged_ends:
            lines.append((unjudged_end_line(job), "red"))
            # No failure of a test shows what it wrote.
            if job.result is not None and job.started_at is not None:
                lines += [(line, "") for line in output_lines(job.result)]
        if lines or verbosity >= 0:
            lines.insert(0, (summary.headline(figures), colour))
    lines += [(line, "red") for line in errors(whole_run)]
    lines += [(f"kept: {line}", "") for line in whole_run.kept]
    return lines


def errors(whole_run: WholeRun) -> list[str]:
    """Return what went wrong in the run beside its tests and checks, a line for each."""
    left = [f"not cleaned up: {line}" for line in whole_run.not_cleaned_up]
    return [*whole_run.unexpected, *left]
