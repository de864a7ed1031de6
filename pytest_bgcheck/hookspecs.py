"""The hooks that others may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .events import WindowClosed
    from .ledger import JobEntry
    from .model import Result


def pytest_bgcheck_job_started(config: pytest.Config, job: JobEntry) -> None:
    """A job runs on its target.

    Called once for each job of the run that was started, in the only process or on the xdist
    controller, by the main thread, between tests or while a test waits. ``job`` has ``id``,
    ``kind`` ("check", "service" or "probe"), ``name``, ``host``, ``command``, ``timeout_s`` and the
    times ``planned_at`` and ``started_at``; it must not be changed.
    """


def pytest_bgcheck_job_ready(config: pytest.Config, job: JobEntry) -> None:
    """A service is ready, or a probe has taken its first sample.

    Called once for each service and probe of which that is so, never for a check; in the same
    process and thread as `pytest_bgcheck_job_started`, after it and before
    `pytest_bgcheck_job_finished`.
    ``job.ready_s``: after how many seconds on its target; ``job.ready_at``: when that was known.
    """


def pytest_bgcheck_window_closed(
    config: pytest.Config, job: JobEntry, window: WindowClosed
) -> None:
    """A probe was asked what it saw during a test, or in a block of it: ``job`` is the probe.

    Called once for each window, also for one of which nobody knows what was seen; in the same
    process and thread as `pytest_bgcheck_job_started`. ``window`` has ``test``, the test's node id;
    ``opened_at`` and ``closed_at``, seconds since the epoch; ``window``, what was seen, a
    `pytest_bgcheck.Window`, or None if nobody knows; ``limits``, what the test's mark allows, or
    None if it was asked for through the probe's handle; ``exceeded``, whether more was seen than
    that; ``not_proven``, why that is not known, else empty.
    """


def pytest_bgcheck_job_finished(config: pytest.Config, job: JobEntry, result: Result) -> None:
    """A job has ended, was given up, or was cancelled or stopped by the end of the run.

    Called once for each job of the run, also for one that could not be started; in the same
    process and thread as `pytest_bgcheck_job_started`, and after it. ``result`` is what is known of
    the job, with at most the first and the last 4 KiB of each stream.
    """
