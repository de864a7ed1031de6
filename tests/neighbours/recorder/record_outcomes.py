"""A plugin for the runs under test: appends each report to the file that OUTCOMES names.

Not JUnit XML: other plugins take part in that.
"""

import json
import os

import pytest


class Recorder:
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = str(report.outcome)
        if hasattr(report, "wasxfail"):
            outcome = {"skipped": "xfailed", "passed": "xpassed"}.get(outcome, outcome)
        line = {
            "test": report.nodeid,
            "when": report.when,
            "outcome": outcome,
            "text": str(report.longrepr or "")[:2000],
        }
        with open(os.environ["OUTCOMES"], "a") as file:
            file.write(json.dumps(line) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a worker's reports come to the controller
        config.pluginmanager.register(Recorder(), "record-outcomes")
