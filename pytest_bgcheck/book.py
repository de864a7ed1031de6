"""What there is once in a run, in the only process or on the xdist controller: the ledger, and what
is made of it at the end.
"""

from __future__ import annotations

import math
import time

import pytest

from . import memory, publish, report_github, report_summary
from .announce import Announcer
from .figures import Figures, Run, figures
from .ledger import JobEntry, Ledger
from .plan import Durations, duration_key
from .progress import Progress
from .settings import Settings, only_looks
from .signals import Termination


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
        self.unwritten: list[str] = []
        self._termination = Termination()
        self._started_at = started_at
        self._idle = only_looks(config)
        self._cache = getattr(config, "cache", None)
        self._announcer = Announcer(config, self.ledger)
        config.pluginmanager.register(self._announcer, "bgcheck-announcer")
        self._progress: Progress | None = None
        reporter = config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and config.option.verbose >= 0 and not self._idle:
            self._progress = Progress(config, reporter, self.ledger, alone)
            config.pluginmanager.register(self._progress, "bgcheck-progress")

    def durations(self) -> Durations:
        """Return how long the jobs of earlier runs took."""
        return memory.read(self._cache)

    def open(self) -> None:
        """Jobs are going to be started: from now on the run must not end without its end."""
        self._termination.install()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = getattr(report, "worker_id", "")
        start, stop = report.start, report.stop
        if not start:  # xdist's own report of the test in which a worker crashed
            worker = report.node.gateway.id if hasattr(report, "node") else worker
            start = stop = time.time()
        outcome = report.outcome
        self.ledger.test(report.nodeid, worker, report.when or "", start, stop, outcome)

    def idle(self) -> float:
        """Use the time in which a test of this process waits; return when to do so again."""
        self._announcer.tell()
        return math.inf if self._progress is None else self._progress.idle()

    def close(self, exit_status: int) -> None:
        """Close the ledger, write the reports, and keep each job's duration for the next run."""
        now = time.time()
        self._termination.restore()
        self.ledger.close(now)
        if self._progress is not None:
            self._progress.close()
        self._announcer.tell()
        if self._idle:
            return
        run = Run(self._started_at, now, exit_status)
        self.figures = figures(self.ledger, run)
        self.unwritten = publish.write_all(
            self.settings, self.ledger, run, self.figures, self.troubles
        )
        took = [
            (duration_key(job.name, job.host), job.duration_s)
            for job in self._jobs()
            if job.result is not None and job.result.rc is not None and job.duration_s is not None
        ]
        memory.write(self._cache, memory.remember(self.durations(), took))

    def fails(self) -> bool:
        """Return whether the run fails, whatever its tests say."""
        if self.unexpected:
            return True  # what was not told might have been red
        if self.settings.unawaited != "fail":
            return False
        return any(not job.wanted for job in self._jobs())

    def summary(self, width: int, verbosity: int) -> list[tuple[str, str]]:
        """Return the lines for the terminal, each with its colour."""
        lines: list[tuple[str, str]] = []
        told = self.figures
        if told is not None and told.jobs:
            if told.bad:
                lines += [(line, "red") for line in report_summary.table(told.bad, width)]
            lines += [(report_summary.near_limit(job), "yellow") for job in told.near_limit]
            lines += [(line, "yellow") for line in report_summary.noted(self._jobs())]
            lines += [(report_summary.cut(job), "yellow") for job in told.cut]
            if self.settings.unawaited != "ignore":
                colour = "red" if self.settings.unawaited == "fail" else "yellow"
                lines += [(report_summary.unawaited(job), colour) for job in told.unawaited]
            if lines or verbosity >= 0:
                lines.insert(0, (report_summary.headline(told), "red" if told.bad else ""))
        lines += [(line, "red") for line in self.unexpected]
        lines += [(f"not cleaned up: {line}", "red") for line in self.troubles]
        lines += [(f"kept: {line}", "") for line in self.kept]
        lines += [(f"report not written: {line}", "red") for line in self.unwritten]
        return lines

    def annotations(self) -> list[str]:
        """Return what GitHub takes from a log for annotations, nothing elsewhere."""
        if self.figures is None or not self.settings.github_summary:
            return []
        return report_github.commands(self.figures) if publish.on_github() else []

    def _jobs(self) -> list[JobEntry]:
        """Return the jobs that were asked to start."""
        return list(self.ledger.jobs.values())
