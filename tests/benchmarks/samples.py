"""What taking samples costs the target, beside what the samples' own commands cost."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from functools import partial
from pathlib import Path

from support.machines.machine import wait_until
from support.machines.planted import PlantedService
from support.machines.requirements import tool

from .commands import Failed
from .contenders import Contender, interleaved
from .lab import Lab, Run, Task

NAME = "samples"
TITLE = "What samples cost the target: probes on one ssh host"
US, OWN = "pytest-bgcheck", "the samples' own commands"
PROBES = 4
EVERY_S = (0.2, 1.0)
CPU = "CPU of one sample"
PROCESSES = "processes of a probe between two samples"


def run(lab: Lab) -> None:
    tool("curl", "curl")
    with PlantedService() as service:
        commands = {
            "true": "true",
            "curl": f"curl -fsS -o /dev/null http://127.0.0.1:{service.port}/",
        }
        contenders = []
        for name, command in commands.items():
            contenders.append(Contender(OWN, partial(_own, lab, name, command)))
            for every_s in EVERY_S:
                contenders.append(Contender(US, partial(_ours, lab, name, command, every_s)))
        interleaved(lab.record, NAME, lab.repeats(3), contenders)
    for name in commands:
        own_ms = lab.record.median(NAME, name, OWN, CPU)
        told = []
        for every_s in EVERY_S:
            all_ms = lab.record.median(NAME, f"{name}, every {every_s:g} s", US, CPU)
            of_a_core = (all_ms - own_ms) / every_s / 10
            told.append(
                f"{all_ms - own_ms:.1f} ms each {every_s:g} s ({of_a_core:.2g} % of a core)"
            )
        lab.record.note(
            NAME,
            f"A sample by `{name}` costs {own_ms:.1f} ms of CPU itself, and prober and guard"
            f" {'; '.join(told)} beside it.",
        )
    lab.record.note(
        NAME,
        "The CPU is that of sshd and all that descends from its sessions, divided by the samples"
        " that were taken; the samples' own is that of the shell that runs the command.",
    )


def _own(lab: Lab, name: str, command: str) -> None:
    """Measure the command itself, as a prober has it run: by a shell."""
    times = 100
    begun = os.times()
    for _ in range(times):
        subprocess.run(("/bin/sh", "-c", command), check=True)
    ended = os.times()
    used_s = ended.children_user - begun.children_user
    used_s += ended.children_system - begun.children_system
    lab.record.add(NAME, name, OWN, CPU, "ms", used_s * 1000 / times)


def _ours(lab: Lab, name: str, command: str, every_s: float) -> None:
    """Look at the target while probes take samples there."""
    body_s = lab.repeats(20, 8)
    task = Task(lab.ssh, [command] * PROBES, every_s=every_s, body_s=body_s)
    done: list[Run] = []
    failure: list[Failed] = []

    def work() -> None:
        try:
            done.append(lab.pytest("samples", task))
        except Failed as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    before = lab.idle_count_there()
    thread.start()
    try:
        found = wait_until(lambda: bool(_began(lab)) or not thread.is_alive(), 60, poll_s=0.1)
        if not found or not thread.is_alive():
            raise Failed("the probes were not watched") if not failure else failure[0]
        time.sleep(1)
        first, begun = lab.count_there(), time.monotonic()
        time.sleep(body_s - 3)
        last, ended = lab.count_there(), time.monotonic()
        # Now and then there is one of a sample, and while it starts its launcher's.
        fewest = min(lab.count_there().processes for _ in range(10))
    finally:
        thread.join()
    if failure:
        raise failure[0]
    rates = [float(stamp.output) for stamp in done[0].stamps if stamp.name == "window"]
    cpu_ms = (last.cpu_s - first.cpu_s) * 1000 / (ended - begun) / sum(rates)
    case = f"{name}, every {every_s:g} s"
    lab.record.add(NAME, case, US, CPU, "ms", cpu_ms)
    lab.record.add(NAME, case, US, "from sample to sample", "s", *(1 / rate for rate in rates))
    lab.record.add(NAME, case, US, PROCESSES, "", (fewest - before.processes) / PROBES)


def _began(lab: Lab) -> list[Path]:
    """Return the files of stamps in which the one of the body's beginning stands."""
    return [p for p in lab.directory.glob("*/stamps") if '"begin"' in p.read_text()]
