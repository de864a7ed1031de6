"""The playbook that this project began with, as it stands, beside its translation."""

from __future__ import annotations

from . import playbooks
from .contenders import Contender, interleaved
from .lab import Lab, Run, Task

NAME = "seed"
TITLE = "The seed's playbook and its translation"
SECONDS = 3
US, ANSIBLE = "pytest-bgcheck", "Ansible, as it stands (delay 10)"


def run(lab: Lab) -> None:
    record = lab.record
    with lab.scratch() as directory:
        checks = [directory / "checks.py", directory / "db.py"]
        for path in checks:
            path.write_text(f"#!/bin/sh\nexec sleep {SECONDS}\n")
            path.chmod(0o755)
        task = Task(lab.ssh, [str(path) for path in checks])
        play = playbooks.Play(delay_s=10, seed=True)

        def overhead(name: str, done: Run) -> None:
            record.add(NAME, "ssh", name, "wall", "s", done.usage.wall_s)
            record.add(NAME, "ssh", name, "overhead", "s", done.usage.wall_s - SECONDS)

        contenders = [
            Contender(US, lambda: overhead(US, lab.pytest("seed", task))),
            Contender(ANSIBLE, lambda: overhead(ANSIBLE, lab.ansible(play, task))),
        ]
        interleaved(record, NAME, lab.repeats(3, 2), contenders)
    ours = record.median(NAME, "ssh", US, "overhead")
    theirs = record.median(NAME, "ssh", ANSIBLE, "overhead")
    record.note(NAME, "The tasks are the seed's word for word, but for the paths of the checks.")
    record.aim(
        NAME,
        "overhead over 3 s at most 1/10 of Ansible's",
        f"{ours:.2f} s of {theirs:.2f} s: 1/{theirs / ours:.1f}",
        ours <= theirs / 10,
    )
