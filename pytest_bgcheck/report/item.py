"""What an awaiting test's own report says of its jobs: properties and sections.

Both are pytest's own ways, so they reach an xdist controller, JUnit files and other reporters.
Pure; imports only events, probe_text, tasks, text and words.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..events import SHOWN
from ..tasks import Probe
from .probe_text import floored
from .text import Verdict, shown_whole
from .words import printable

PREFIX = "bgcheck."


def properties(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """Return name and value of each fact of each job: ``bgcheck.1.check``, ``bgcheck.1.host``...

    Of a service the first one is ``bgcheck.1.service``, of a probe ``bgcheck.1.probe``; that has
    facts of its window besides, seconds and percent: empty where they are not known, as
    ``not_proven`` says.

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
        if isinstance(verdict.task, Probe) and (verdict.window or verdict.not_proven):
            values |= _of_window(verdict)
        facts += [(f"{PREFIX}{number}.{name}", value) for name, value in values.items()]
    return facts


def _of_window(verdict: Verdict) -> dict[str, str]:
    window = verdict.window
    if window is None:
        facts = dict.fromkeys(("max_outage", "available", "samples", "bad", "window"), "")
        return {**facts, "not_proven": verdict.not_proven}
    proven = not window.why_not_proven
    return {
        "max_outage": _seconds(window.longest_outage_s if proven else None),
        "available": f"{floored(window.available, 3):.3f}" if proven else "",
        "samples": str(window.samples),
        "bad": str(window.bad),
        "window": _seconds(window.length),
        "not_proven": verdict.why_not_proven,
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
