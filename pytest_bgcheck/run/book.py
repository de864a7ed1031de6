"""What there is once in a run, in the only process or on the xdist controller: the ledger, and what
is made of it at the end.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace

import pytest

from ..compat.pytest import has_xfail, is_subtest
from ..ledger import JobEntry, Ledger
from ..options import Settings, only_looks
from ..plan import Durations, duration_key
from ..report import files, github, summary
from ..report.figures import Figures, Run, figures, unjudged_failure_line
from ..signals import Termination
from . import durations
from .announce import Announcer
from .progress import Progress


class Book:
    """The ledger of a run, and the end of it. A plugin of its own."""

    def __init__(
        self, config: pytest.Config, settings: Settings, started_at: float, alone: bool
    ) -> None:
        self.settings = settings
        self.ledger = Ledger()
        self.figures: Figures | None = None
        self.troubles: list[str] = []
        self.unexpected: list[str] = []
        self.kept: list[str] = []
        self._session: pytest.Session | None = None
        self._run: Run | None = None
        self._shown = False
        self._termination = Termination()
        self._started_at = started_at
        self._idle = only_looks(config)
        self._cache = getattr(config, "cache", None)
        self._announcer = Announcer(config, self.ledger)
        config.pluginmanager.register(self._announcer, "bgcheck-announcer")
        self._progress: Progress | None = None
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and config.get_verbosity() >= 0 and not self._idle:
            self._progress = Progress(config, reporter, self.ledger, alone)
            config.pluginmanager.register(self._progress, "bgcheck-progress")

    def durations(self) -> Durations:
        """Return how long the jobs of earlier runs took."""
        return durations.read(self._cache)

    def open(self) -> None:
        """Jobs are going to be started: from now on the run must not end without its end."""
        self._termination.install()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = getattr(report, "worker_id", "")
        start, stop = report.start, report.stop
        if not start:  # xdist's own report of the test in which a worker crashed
            worker = report.node.gateway.id if hasattr(report, "node") else worker
            start = stop = time.time()
        if report.skipped and is_subtest(report):
            return  # a subtest: it says nothing of its test
        when, outcome, expected = report.when or "", report.outcome, has_xfail(report)
        self.ledger.test(report.nodeid, worker, when, start, stop, outcome, expected)

    def idle(self) -> float:
        """Use the time in which a test of this process waits; return when to do so again."""
        self._announcer.tell()
        return math.inf if self._progress is None else self._progress.idle()

    def close(self, session: pytest.Session) -> None:
        """Close the ledger, make the run red if it has to be, keep each job's duration for the next
        run."""
        now = time.time()
        self._termination.restore()
        self.ledger.close(now)
        if self._progress is not None:
            self._progress.close()
        self._announcer.tell()
        if self._idle:
            return
        self._session = session
        self._run = Run(
            self._started_at,
            now,
            int(session.exitstatus),
            self.settings.unawaited,
            tuple(self.unexpected),
        )
        self.figures = figures(self.ledger, self._run)
        red = (
            self.figures.unjudged_failures or self.unexpected
        )  # what was not told might have been red
        if red and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        took = [
            (duration_key(job.name, job.host), job.duration_s)
            for job in self._jobs()
            if job.result is not None and job.result.rc is not None and job.duration_s is not None
        ]
        durations.write(self._cache, durations.remember(self.durations(), took))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Write the reports: only now the exit status is final, which others may have changed."""
        if self._session is None or self._run is None:
            return
        run = replace(self._run, exit_status=int(self._session.exitstatus or 0))
        told = figures(self.ledger, run)
        unwritten = files.write_all(self.settings, self.ledger, run, told, self.troubles)
        lines = [f"report not written: {line}" for line in unwritten]
        if not self._shown:  # --no-summary; that the run is red must be said, and what is left
            lines += [*map(unjudged_failure_line, told.unjudged_failures), *self._wrong()]
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        for line in lines:
            if reporter is None:
                print(f"pytest-bgcheck: {line}", file=sys.stderr)
            else:
                reporter.write_line(line, red=True)
        if reporter is not None and self.settings.github_summary and files.on_github():
            for line in github.commands(told):
                reporter.write_line(line)

    def summary(self, width: int, verbosity: int) -> list[tuple[str, str]]:
        """Return the lines for the terminal, each with its colour."""
        self._shown = True
        lines: list[tuple[str, str]] = []
        told = self.figures
        if told is not None and told.jobs:
            if told.bad:
                lines += [(line, "red") for line in summary.table(told.bad, width)]
            lines += [(summary.near_limit_line(job), "yellow") for job in told.near_limit]
            lines += [(line, "yellow") for line in summary.output_note_lines(self._jobs())]
            lines += [(summary.output_cut_line(job), "yellow") for job in told.output_cut]
            lines += [(line, "yellow") for line in summary.unjudged_lines(told)]
            lines += [(unjudged_failure_line(failure), "red") for failure in told.unjudged_failures]
            if lines or verbosity >= 0:
                lines.insert(0, (summary.headline(told), "red" if told.bad else ""))
        lines += [(line, "red") for line in self._wrong()]
        lines += [(f"kept: {line}", "") for line in self.kept]
        return lines

    def _wrong(self) -> list[str]:
        """Return what went wrong in the run beside its tests and checks, a line for each."""
        return [*self.unexpected, *(f"not cleaned up: {line}" for line in self.troubles)]

    def _jobs(self) -> list[JobEntry]:
        """Return the jobs that were asked to start."""
        return list(self.ledger.jobs.values())
