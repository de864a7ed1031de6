"""From a check's end to the first line of the test that awaits it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from .commands import Busy
from .contenders import Contender, interleaved
from .lab import Lab, Run, Target, Task
from .playbooks import BEST, Play

NAME = "wakeup"
TITLE = "Wake-up: from the check's end to the test's first line"
US = "pytest-bgcheck"

NOW = "echo ${EPOCHREALTIME:-$(date +%s.%N)}"
"""The moment, as the check's last act: by the shell where it can (busybox' date cannot)."""


def run(lab: Lab) -> None:
    record = lab.record
    targets = {
        "local": lab.local,
        "docker": lab.docker,
        "ssh": lab.ssh,
        "ssh, shared connection": lab.shared,
    }
    lab.pytest("one_true", Task(lab.shared, []))  # makes the shared connection
    for busy in (False, True):
        contenders = []
        for case, target in targets.items():
            contenders.append(_ours(lab, case, target, busy))
            if not busy and target in (lab.local, lab.shared):
                contenders += [_polling(lab, case, target, s) for s in (0.1, 1.0)]
        if not busy:
            contenders.append(_ansible(lab, BEST))
        with Busy() if busy else nullcontext():
            interleaved(record, NAME, lab.repeats(1 if busy else 3), contenders)
    for case, limit_ms in (("local", 3), ("ssh, shared connection", 10), ("docker", 80)):
        median = record.median(NAME, f"{case}, idle", US, "wake-up")
        record.aim(NAME, f"p50, {case}: at most {limit_ms} ms", f"{median:.1f} ms",
                   median <= limit_ms)  # fmt: skip
    for series in [s for s in record.series if s.bench == NAME and s.measure == "wake-up"]:
        p99 = series.percentile(99)
        record.add(NAME, series.case, series.contender, "wake-up, p99", "ms", p99)
    record.note(
        NAME,
        "The median of a wake-up is its p50. A check's last act is to print the time; the shell's"
        " and the supervisor's end come after it. Ansible's first line is that of the task after"
        " async_status. Busy: an endless loop for each core.",
    )


def _staggered(number: int, first_s: float, apart_s: float) -> list[str]:
    return [f"sleep {first_s + n * apart_s:.2f}; {NOW}" for n in range(number)]


def _take(lab: Lab, case: str, contender: str, done: Run) -> None:
    """Add each wake-up: of a test that was waiting already when its check ended."""
    said = {stamp.name: stamp.output for stamp in done.stamps}
    before = 0.0
    for stamp in sorted(done.stamps, key=lambda stamp: stamp.time):
        kind, _, number = stamp.name.partition("_")
        if kind == "check":
            ended = float(said.get(f"output_{number}", stamp.output))
            # Else it waited for the test before it, whose check had been held up.
            if ended > before:
                wait_ms = (stamp.time - ended) * 1000
                lab.record.add(NAME, case, contender, "wake-up", "ms", wait_ms)
        before = stamp.time


def _ours(lab: Lab, case: str, target: Target, busy: bool) -> Contender:
    case = f"{case}, {'busy' if busy else 'idle'}"
    # They must all have been started before the first one ends.
    task = Task(target, _staggered(lab.repeats(30, 15), 4.0 if busy else 2.0, 0.15))
    return Contender(US, lambda: _take(lab, case, US, lab.pytest("background", task)))


def _polling(lab: Lab, case: str, target: Target, poll_s: float) -> Contender:
    # Further apart than a poll takes: else one wait would be counted twice.
    task = Task(target, _staggered(lab.repeats(12, 4), 2.0, 1.17), poll_s=poll_s)
    name = f"poll {poll_s:g} s"
    return Contender(
        name, lambda: _take(lab, f"{case}, idle", name, lab.pytest("polling", task)), 1
    )


def _ansible(lab: Lab, play: Play) -> Contender:
    play = replace(play, moments=True)
    # It starts one after the other, each in about a second.
    task = Task(lab.shared, _staggered(5, 8.0, 1.17))
    return Contender(
        play.name,
        lambda: _take(
            lab, "ssh, shared connection, idle", play.name, lab.ansible(play, task, warm=True)
        ),
        1,
    )
