"""Calls our hooks, once for each job, by the main thread: plugins need no locks for them."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest

from ..ledger import Event, Ledger

if TYPE_CHECKING:
    from ..ledger import JobEntry


class Announcer:
    """A plugin of its own. It hears of jobs in any thread, and tells when it is asked to."""

    def __init__(self, config: pytest.Config, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger
        self._queue: queue.SimpleQueue[tuple[str, JobEntry]] = queue.SimpleQueue()
        self._heard_of: set[tuple[str, str]] = set()
        ledger.listeners.append(self._heard)

    def _heard(self, event: Event) -> None:
        kind, key = event[0], event[1]
        if kind in ("started", "ended") and (kind, key) not in self._heard_of:
            # What another worker says of a job's start after its end is no news.
            if kind == "ended":
                self._heard_of.add(("started", key))
            self._heard_of.add((kind, key))
            self._queue.put((kind, self._ledger.jobs[key]))

    def tell(self) -> None:
        """Call the hooks for what has happened since."""
        hook = self._config.hook
        while not self._queue.empty():
            kind, job = self._queue.get()
            if kind == "started":
                hook.pytest_bgcheck_job_started(config=self._config, job=job)
            else:
                hook.pytest_bgcheck_job_finished(config=self._config, job=job, result=job.result)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logstart(self) -> None:
        self.tell()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        self.tell()
