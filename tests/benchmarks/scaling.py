"""What it takes to run ten times, and a hundred times, as many jobs: on one host, on many."""

from __future__ import annotations

from collections.abc import Callable

from .contenders import Contender, interleaved
from .lab import Lab, Run, Target, Task
from .playbooks import BEST

NAME = "scaling"
TITLE = "Scaling: jobs of 1 s"
US, XDIST, ANSIBLE = "pytest-bgcheck", "pytest -n 20 that blocks", f"{BEST.name}, forks 100"
LARGEST_MB = 120
JOBS, HOSTS = "jobs on one host", "hosts with 10 jobs each"
MEASURES = ("wall", "CPU here", "CPU there", "memory here")


def run(lab: Lab) -> None:
    record = lab.record
    jobs = (10, 100) if lab.quick else (10, 100, 1000)
    largest, most = (10, 0) if lab.quick else (100, 10)  # for the peers
    for number in jobs:
        _compare(lab, _case(number, JOBS), lab.ssh, number, number <= largest)
    hosts = (1, 10) if lab.quick else (1, 10, 100)
    for number in hosts:
        with lab.hosts(number) as target:
            _compare(lab, _case(number, HOSTS), target, 10, number <= most)
    record.note(
        NAME,
        "Memory here is the peak of all processes together, shared pages counted once. CPU there is"
        " that of sshd and all that descends from its sessions. The hosts are addresses of loopback"
        " in front of one sshd, so all of them share this computer's cores with the contender. The"
        " peers were left out of sizes which take them minutes: of the largest, and Ansible of 100"
        " jobs too.",
    )
    for unit, sizes in ((JOBS, jobs), (HOSTS, hosts)):
        cases = [_case(n, unit) for n in sizes]
        ratios = {
            measure: record.median(NAME, cases[-1], US, measure)
            / record.median(NAME, cases[-2], US, measure)
            for measure in MEASURES
        }
        told = ", ".join(f"{measure} x {ratio:.1f}" for measure, ratio in ratios.items())
        record.aim(
            NAME,
            f"{sizes[-2]} to {sizes[-1]} {unit}: grows at most linearly",
            told,
            max(ratios.values()) <= sizes[-1] / sizes[-2],
        )
    process_mb = record.median(NAME, _case(jobs[-1], JOBS), US, "largest process")
    record.aim(
        NAME,
        f"{jobs[-1]} jobs in one process under {LARGEST_MB} MB",
        f"{process_mb:.0f} MB",
        process_mb < LARGEST_MB,
    )


def _case(number: int, unit: str) -> str:
    return f"{number} {unit}"


def _compare(lab: Lab, case: str, target: Target, number: int, peers: bool) -> None:
    task = Task(target, ["sleep 1"] * number, memory=True)

    def contender(name: str, do: Callable[[], Run], rounds: int) -> Contender:
        def once() -> None:
            before = lab.idle_count_there()
            usage = do().usage
            there_s = lab.count_there().cpu_s - before.cpu_s
            for measure, unit, value in (
                ("wall", "s", usage.wall_s),
                ("CPU here", "s", usage.cpu_s),
                ("CPU there", "s", there_s),
                ("memory here", "MB", usage.tree_mb),
                ("largest process", "MB", usage.largest_mb),
            ):
                lab.record.add(NAME, case, name, measure, unit, value)

        return Contender(name, once, rounds)

    contenders = [
        contender(
            US, lambda: lab.pytest("background", task), lab.repeats(2 if number < 1000 else 1)
        )
    ]
    if peers:
        contenders.append(contender(XDIST, lambda: lab.pytest("blocking", task, "-n20"), 1))
    if peers and number < 100:
        contenders.append(contender(ANSIBLE, lambda: lab.ansible(BEST, task), 1))
    interleaved(lab.record, NAME, lab.repeats(2), contenders)
