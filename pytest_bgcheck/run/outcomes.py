"""Enters the tests and their outcomes into the ledger, as pytest reports them.

But a report says the times that the test has seen, perhaps frozen ones. So the process that runs
the tests adds its own to their reports, if there are checks.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from ..clocks import unix_s
from ..compat.pytest import failure_message, has_xfail, is_subtest
from ..compat.xdist import reporting_worker
from ..ledger import Ledger

SPAN = "bgcheck_span"
"""The attribute of a test's report with the true times of its begin and its end."""


class TrueTimes:
    """Adds to each report when its phase began and ended. A plugin of its own."""

    def __init__(self) -> None:
        self._began_at = unix_s()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        self._began_at = unix_s()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        now = unix_s()
        setattr(report, SPAN, (self._began_at, now))
        self._began_at = now  # a test's next phase begins at once
        return report


class Outcomes:
    """A plugin of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = reporting_worker(report)
        start, stop = getattr(report, SPAN, (report.start, report.stop))
        if not start:  # xdist's own report of the test in which a worker crashed
            start = stop = unix_s()
        if report.skipped and is_subtest(report):
            return  # a subtest: it says nothing of its test
        when, outcome, expected = report.when or "", report.outcome, has_xfail(report)
        message = failure_message(report) if report.failed else ""
        self._ledger.add_phase(report.nodeid, worker, when, start, stop, outcome, expected, message)
