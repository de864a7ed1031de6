"""Writes the reports of a run to files. What cannot be written is told; no more."""

from __future__ import annotations

import json
from collections.abc import Sequence

from . import report_html, report_json, report_summary
from .figures import Figures, Run
from .ledger import Ledger
from .settings import Settings


def write_all(
    settings: Settings, ledger: Ledger, run: Run, figures: Figures, troubles: Sequence[str]
) -> list[str]:
    """Write all reports that the settings ask for; return why some were not, a line for each."""
    if not settings.reports:
        return []
    document = report_json.document(ledger, run, figures, troubles)
    unwritten = []
    for path in settings.reports:
        try:
            if path.suffix == ".html":
                text = report_html.page(document, report_summary.headline(figures))
            else:
                text = json.dumps(document, indent=1) + "\n"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", "replace")
        except OSError as error:
            unwritten.append(f"{path}: {error.strerror or error}")
        except Exception as error:  # a report is not worth a run
            unwritten.append(f"{path}: internal error: {error!r}")
    return unwritten
