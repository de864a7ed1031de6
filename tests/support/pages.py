"""The report's page, of a ledger."""

from pathlib import Path

from pytest_bgcheck.ledger import Ledger
from pytest_bgcheck.report import document, html, summary
from pytest_bgcheck.report.figures import Run, figures
from pytest_bgcheck.report.invocation import Invocation

from . import ledger_builder


def written(ledger: Ledger, path: Path) -> Path:
    """Write the page of a run that ends a second behind its last test."""
    end = max(test.ended_at for test in ledger.tests.values()) + 1
    ledger.close(end)
    run = Run(ledger_builder.ZERO, end, invocation=Invocation("Acceptance of <web>"))
    numbers = figures(ledger, run)
    told = document.document(ledger, run, numbers, ["local: <b>busy</b>"])
    path.write_text(html.page(told, summary.headline(numbers)), "utf-8")
    return path
