"""Enters the tests and their outcomes into the ledger, as pytest reports them."""

from __future__ import annotations

import time

import pytest

from ..compat.pytest import has_xfail, is_subtest
from ..compat.xdist import reporting_worker
from ..ledger import Ledger


class Outcomes:
    """A plugin of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = reporting_worker(report)
        start, stop = report.start, report.stop
        if not start:  # xdist's own report of the test in which a worker crashed
            start = stop = time.time()
        if report.skipped and is_subtest(report):
            return  # a subtest: it says nothing of its test
        when, outcome, expected = report.when or "", report.outcome, has_xfail(report)
        self._ledger.add_phase(report.nodeid, worker, when, start, stop, outcome, expected)
