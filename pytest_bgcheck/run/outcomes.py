"""Enters the tests and their outcomes into the ledger, as pytest reports them."""

from __future__ import annotations

import time

import pytest

from ..compat.pytest import has_xfail, is_subtest
from ..ledger import Ledger


class Outcomes:
    """A plugin of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = getattr(report, "worker_id", "")
        start, stop = report.start, report.stop
        if not start:  # xdist's own report of the test in which a worker crashed
            worker = report.node.gateway.id if hasattr(report, "node") else worker
            start = stop = time.time()
        if report.skipped and is_subtest(report):
            return  # a subtest: it says nothing of its test
        when, outcome, expected = report.when or "", report.outcome, has_xfail(report)
        self._ledger.test(report.nodeid, worker, when, start, stop, outcome, expected)
