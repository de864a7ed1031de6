"""Write the reports of a run to files. What cannot be written is reported, no more."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from ..ledger import Ledger
from ..log import internal_error
from ..options import Settings
from . import document, github, html, summary
from .figures import Figures, Run


def on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def write_all(
    settings: Settings, ledger: Ledger, run: Run, figures: Figures, not_cleaned_up: Sequence[str]
) -> list[str]:
    """Write all reports that the settings ask for; return why some were not, a line for each."""
    unwritten = []
    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary and settings.github_summary and figures.jobs:
        text = github.markdown(figures)
        try:
            # A step has one such file for all that runs in it.
            with open(step_summary, "a", encoding="utf-8", errors="replace") as file:
                file.write(text + "\n")
        except OSError as error:
            unwritten.append(f"{step_summary}: {error.strerror or error}")
    if not settings.reports:
        return unwritten
    plain = document.document(ledger, run, figures, not_cleaned_up)
    for path in settings.reports:
        try:
            if path.suffix == ".html":
                text = html.page(plain, summary.headline(figures))
            else:
                text = json.dumps(plain, indent=1) + "\n"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", "replace")
        except OSError as error:
            unwritten.append(f"{path}: {error.strerror or error}")
        except Exception as error:  # a report is not worth a run
            unwritten.append(f"{path}: {internal_error(f'the report {path}', error)}")
    return unwritten
