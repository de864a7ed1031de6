"""What an awaiting test's own report says of its jobs: properties and sections.

Both are pytest's own ways, so they reach an xdist controller, JUnit files and other reporters.
Pure; imports only events, text, windows and words.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..events import SHOWN
from ..windows import Window
from .text import Verdict, shown_whole
from .words import printable

PREFIX = "bgcheck."


def properties(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """Return name and value of each fact of each job: ``bgcheck.1.check``, ``bgcheck.1.host``...

    Of a service the first one is ``bgcheck.1.service``, of a probe ``bgcheck.1.probe``; that has
    facts of its window besides: seconds and percent, empty where they are not proven.

    A name stands once in a test: many readers of JUnit files keep only the last of several.
    """
    facts = []
    for number, verdict in enumerate(verdicts, 1):
        result = verdict.result
        rc = result.rc if result is not None else None
        duration = result.duration if result is not None else None
        values = {
            verdict.task.kind: verdict.task.name,
            "host": verdict.host,
            "state": str(verdict.state_shown),
            "rc": "" if rc is None else str(rc),
            "duration": _seconds(duration),
            "waited": _seconds(verdict.waited_s),
        }
        if verdict.window is not None:
            values |= _of_window(verdict.window)
        facts += [(f"{PREFIX}{number}.{name}", value) for name, value in values.items()]
    return facts


def _of_window(window: Window) -> dict[str, str]:
    proven = not window.why_not_proven
    return {
        "max_outage": _seconds(window.longest_outage_s if proven else None),
        "available": _seconds(window.available_at_most if proven else None),
        "samples": str(window.samples),
        "window": _seconds(window.length),
    }


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def sections(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """Return title and text of each stream that holds anything.

    pytest takes what begins with stdout or stderr for captured output: it is in a JUnit file
    exactly if ``junit_logging`` wants that. What the test's failure shows whole is left out.
    """
    result = []
    for verdict in verdicts:
        if verdict.result is None:
            continue
        for name, output in (
            ("stdout", verdict.result.stdout_kept),
            ("stderr", verdict.result.stderr_kept),
            ("stdout of the ready command", verdict.result.look_kept),
        ):
            if output.size and (verdict.good or not shown_whole(output)):
                text = printable(output.shortened(SHOWN).text())
                result.append((f"{name} of {verdict.task.name} on {verdict.host}", text))
    return result
