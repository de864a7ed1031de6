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
    controller, by the main thread, between tests or while a test waits. ``job`` has ``id``,
    ``kind`` ("check" or "service"), ``name``, ``host``, ``command``, ``timeout_s`` and the times
    ``planned_at`` and ``started_at``; it must not be changed.
    """


def pytest_bgcheck_job_ready(config: pytest.Config, job: JobEntry) -> None:
    """A service is ready.

    Called once for each service that was ready, never for a check; in the same process and thread
    as `pytest_bgcheck_job_started`, after it and before `pytest_bgcheck_job_finished`.
    ``job.ready_s``: after how many seconds on its target; ``job.ready_at``: when that was known.
    """


def pytest_bgcheck_job_finished(config: pytest.Config, job: JobEntry, result: Result) -> None:
    """A job has ended, was given up, or was cancelled or stopped by the end of the run.

    Called once for each job of the run, also for one that could not be started; in the same
    process and thread as `pytest_bgcheck_job_started`, and after it. ``result`` is what is known of
    the job, with at most the first and the last 4 KiB of each stream.
    """
