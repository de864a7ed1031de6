"""What it costs a test to await a job that has ended already."""

from __future__ import annotations

from dataclasses import replace

from .contenders import Contender, interleaved
from .lab import Lab, Run, Task

NAME = "finished"
TITLE = "Awaiting what has ended: 500 tests"
TESTS, LIMIT_MS = 500, 1.0
WITH, WITHOUT = "awaiting 10 ended jobs", "plain tests"


def run(lab: Lab) -> None:
    record = lab.record
    task = Task(lab.local, [f"true {n}" for n in range(10)], ordinary=TESTS)

    def take(name: str, done: Run) -> None:
        at = {stamp.name: stamp.monotonic for stamp in done.stamps}
        first, last = at["first"], at["last"]
        record.add(NAME, "local", name, "a test", "ms", (last - first) * 1000 / (TESTS - 1))

    plain = replace(task, awaits=False)
    interleaved(
        record,
        NAME,
        lab.repeats(9, 3),
        [
            Contender(WITH, lambda: take(WITH, lab.pytest("finished", task))),
            Contender(WITHOUT, lambda: take(WITHOUT, lab.pytest("finished", plain))),
        ],
    )
    more = record.median(NAME, "local", WITH, "a test") - record.median(
        NAME, "local", WITHOUT, "a test"
    )
    record.aim(NAME, f"under {LIMIT_MS:g} ms a test more", f"{more:.3f} ms", more < LIMIT_MS)
