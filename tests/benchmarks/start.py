"""From ``pytest`` to the first job running, and what the first ordinary test waits for it."""

from __future__ import annotations

from dataclasses import replace

from .contenders import Contender, interleaved
from .lab import Lab, Run, Task
from .playbooks import BEST
from .wakeup import NOW

NAME = "start"
TITLE = "Start: from the command to the first of 20 jobs running"
CASE = "ssh"
US, WITHOUT, XDIST = "pytest-bgcheck", "pytest without checks", "pytest -n 20 that blocks"
FIRST, ALL, ORDINARY = "to the first job", "to the last job", "to the first ordinary test"
CONNECTIONS = "connections until the first job runs"


def run(lab: Lab) -> None:
    record = lab.record
    with lab.line() as (line, target):
        task = Task(target, [NOW] * 20, ordinary=5)

        def take(name: str, done: Run) -> None:
            started = done.usage.started
            begun = [float(stamp.output) for stamp in done.stamps if stamp.output.strip()]
            if begun:
                record.add(NAME, CASE, name, FIRST, "s", min(begun) - started)
                record.add(NAME, CASE, name, ALL, "s", max(begun) - started)
                until = sum(started <= moment <= min(begun) for moment in line.connected)
                record.add(NAME, CASE, name, CONNECTIONS, "", until)
            ordinary = [stamp.time for stamp in done.stamps if stamp.name == "ordinary"]
            if ordinary:
                record.add(NAME, CASE, name, ORDINARY, "s", min(ordinary) - started)

        nothing = replace(task, commands=[])
        play = replace(BEST, moments=True)
        ansible = play.name
        interleaved(
            record,
            NAME,
            lab.repeats(9, 3),
            [
                Contender(US, lambda: take(US, lab.pytest("background", task))),
                Contender(WITHOUT, lambda: take(WITHOUT, lab.pytest("background", nothing))),
                Contender(
                    XDIST, lambda: take(XDIST, lab.pytest("blocking", task, "-n20")), lab.repeats(2)
                ),
                Contender(ansible, lambda: take(ansible, lab.ansible(play, task)), 1),
            ],
        )
    connections = record.median(NAME, CASE, US, CONNECTIONS)
    record.aim(NAME, "one handshake until the first job runs", f"{connections:g}", connections == 1)
    ours, plain = (record.median(NAME, CASE, who, ORDINARY) for who in (US, WITHOUT))
    least = record.find(NAME, CASE, WITHOUT, ORDINARY)
    assert least is not None
    spread_ms = (least.percentile(75) - least.percentile(25)) * 1000
    delay_ms = (ours - plain) * 1000
    record.aim(
        NAME,
        "no delay of the first ordinary test",
        f"{delay_ms:.0f} ms; half of the runs without checks lie within {spread_ms:.0f} ms",
        delay_ms <= spread_ms,
    )
