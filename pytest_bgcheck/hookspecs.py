"""The hooks that others may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .ledger import JobEntry
    from .model import Result


def pytest_bgcheck_job_started(config: pytest.Config, job: JobEntry) -> None:
    """A job runs on its target.

    Called once for each job of the run that was started, in the only process or on the xdist
    controller, by the main thread: as soon as that has a moment, that is, between tests or while a
    test waits. ``job`` has ``id``, ``name``, ``host``, ``command``, ``timeout_s`` and the clocks
    ``planned_at`` and ``started_at``; it must not be changed.
    """


def pytest_bgcheck_job_finished(config: pytest.Config, job: JobEntry, result: Result) -> None:
    """A job has ended, or it was given up, or the run has ended.

    Called once for each job of the run, where and when `pytest_bgcheck_job_started` is, and after
    that; also for a job that could not be started. ``result`` is what is known of it, with no more
    than 4 KiB of the head and of the tail of each stream.
    """
