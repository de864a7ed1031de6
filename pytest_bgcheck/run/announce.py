"""Calls our hooks, each once for a job or a window, by the main thread: plugins need no locks for
them.
"""

from __future__ import annotations

import queue
from typing import TypeAlias

import pytest

from ..events import Event, JobEnded, JobReady, JobStarted, WindowClosed
from ..ledger import Ledger

Told: TypeAlias = JobStarted | JobReady | JobEnded | WindowClosed
"""The events for which there is a hook."""


class Announcer:
    """Hears of jobs and windows in any thread, and calls the hooks when it is asked to, or between
    tests."""

    def __init__(self, config: pytest.Config, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger
        self._queue: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._started: set[str] = set()
        self._ready: set[str] = set()
        self._ended: set[str] = set()
        ledger.listeners.append(self._heard)

    def _heard(self, event: Event) -> None:
        match event:
            case JobStarted(key=key) if key not in self._started and key not in self._ended:
                self._started.add(key)
                self._queue.put(event)
            case JobReady(key=key) if key not in self._ready and key not in self._ended:
                self._ready.add(key)
                self._queue.put(event)
            case JobEnded(key=key) if key not in self._ended:
                self._ended.add(key)
                self._queue.put(event)
            case WindowClosed():
                self._queue.put(event)

    def call_hooks(self) -> None:
        """Call the hooks for what has happened since."""
        hook = self._config.hook
        while not self._queue.empty():
            event = self._queue.get()
            job = self._ledger.jobs[event.key]
            if isinstance(event, JobStarted):
                hook.pytest_bgcheck_job_started(config=self._config, job=job)
            elif isinstance(event, JobReady):
                hook.pytest_bgcheck_job_ready(config=self._config, job=job)
            elif isinstance(event, WindowClosed):
                hook.pytest_bgcheck_window_closed(config=self._config, job=job, window=event)
            else:
                hook.pytest_bgcheck_job_finished(config=self._config, job=job, result=job.result)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logstart(self) -> None:
        self.call_hooks()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        self.call_hooks()
