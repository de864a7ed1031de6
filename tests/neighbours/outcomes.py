"""Runs pytest in an environment, and says how each test ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RECORDER = Path(__file__).with_name("recorder")


@dataclass(frozen=True)
class Ended:
    """How a test ended: its outcomes in words, one for each time it was run, and its failures."""

    outcomes: tuple[str, ...]
    text: str = ""


@dataclass
class Run:
    """A run of pytest. ``status``: None if it did not end in time, and was killed."""

    status: int | None
    output: str
    tests: Mapping[str, Ended] = field(default_factory=dict)


def run(
    python: Path,
    directory: Path,
    args: Sequence[str],
    environment: Mapping[str, str],
    limit_s: float,
) -> Run:
    """Run pytest in a directory, within a limit."""
    recorded = directory / "outcomes.jsonl"
    recorded.unlink(missing_ok=True)
    own = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "PYTHONPATH": str(RECORDER),
        "OUTCOMES": str(recorded),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "120",
        **environment,
    }
    for name in ("CI", "GITHUB_ACTIONS", "BUILD_NUMBER"):  # these change what plugins print
        own.pop(name, None)
    log = directory / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", "pytest", "-p", "record_outcomes", *args],
            cwd=directory,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            # Also what a run that has ended has left.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    lines = recorded.read_text().splitlines() if recorded.exists() else []
    return Run(status, log.read_text(errors="replace"), ended(map(json.loads, lines)))


def ended(reports: Iterable[Mapping[str, str]]) -> dict[str, Ended]:
    """Return how each test ended, by its id, from the reports of its phases in their order."""
    outcomes: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for report in reports:
        test, when, outcome = report["test"], report["when"], report["outcome"]
        words = outcomes.setdefault(test, [])
        if when == "call":
            words.append(outcome)
        elif when == "setup" and outcome != "passed":
            words.append("error in set-up" if outcome == "failed" else outcome)
        elif outcome == "failed":
            words.append(f"error in {when}")
        if outcome in ("failed", "rerun"):
            texts[test] = texts.get(test, "") + report["text"] + "\n"
    return {test: Ended(tuple(words), texts.get(test, "")) for test, words in outcomes.items()}
