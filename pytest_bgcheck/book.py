"""What there is once in a run, in the only process or on the xdist controller: the ledger, and what
is made of it at the end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import pytest

from . import report
from .ledger import JobEntry, Ledger
from .plan import Durations, duration_key
from .settings import Settings
from .signals import Termination

CACHE = "bgcheck/durations"
KEPT_DURATIONS = 3


class Book:
    """The ledger of a run, and the end of it. A plugin of its own."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.settings = settings
        self.ledger = Ledger()
        self.troubles: list[str] = []
        self.kept: list[str] = []
        self._termination = Termination()
        self._cache = getattr(config, "cache", None)

    def durations(self) -> Durations:
        """Return how long the jobs of earlier runs took."""
        known: Mapping[str, Sequence[float]] = {}
        if self._cache is not None:
            known = self._cache.get(CACHE, {})
        return known

    def open(self) -> None:
        """Jobs are going to be started: from now on the run must not end without its end."""
        self._termination.install()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.start:  # xdist's report of a crashed worker has no time
            worker = getattr(report, "worker_id", "")
            self.ledger.test(report.nodeid, worker, report.start, report.stop, report.outcome)

    def close(self) -> None:
        """Close the ledger, and keep each job's duration for the order of the next run."""
        self._termination.restore()
        self.ledger.close(time.time())
        known = {key: list(past) for key, past in self.durations().items()}
        for job in self._jobs():
            if job.result is not None and job.result.rc is not None and job.duration_s is not None:
                key = duration_key(job.name, job.host)
                known[key] = [*known.get(key, []), job.duration_s][-KEPT_DURATIONS:]
        if self._cache is not None and known:
            self._cache.set(CACHE, known)

    def unawaited(self) -> list[JobEntry]:
        """Return the jobs that were started and that no test awaited that ran."""
        return [job for job in self._jobs() if not job.wanted]

    def fails(self) -> bool:
        """Return whether the run fails, whatever its tests say."""
        return self.settings.unawaited == "fail" and bool(self.unawaited())

    def summary(self) -> list[tuple[str, str]]:
        """Return the lines for the terminal, each with its colour."""
        lines = []
        if self.settings.unawaited != "ignore":
            colour = "red" if self.settings.unawaited == "fail" else "yellow"
            lines += [(report.unawaited(job), colour) for job in self.unawaited()]
        lines += [(f"not cleaned up: {line}", "red") for line in self.troubles]
        lines += [(f"kept: {line}", "") for line in self.kept]
        return lines

    def _jobs(self) -> list[JobEntry]:
        """Return the jobs that were asked to start."""
        return list(self.ledger.jobs.values())
