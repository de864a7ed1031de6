"""What waiting costs the target, and the line to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from support.machines.machine import wait_until
from support.machines.processes import all_processes, tree

from .commands import Failed
from .contenders import Contender, interleaved
from .lab import Lab, Run, Task
from .playbooks import AS_IT_STANDS

NAME = "target"
TITLE = "On the target and on the line: 20 jobs on one ssh host"
US, ANSIBLE = "pytest-bgcheck", AS_IT_STANDS.name
JOBS = 20
CPU, PROCESSES = "CPU of a waiting job", "processes of a waiting job"
SENT, RECEIVED, BYTES = "sent", "received", "sent and received"


def run(lab: Lab) -> None:
    record = lab.record
    window_s = lab.repeats(10, 4)
    waiting = [
        Contender(
            US, lambda: _waiting(lab, US, window_s, 6, lambda t: lab.pytest("background", t))
        ),
        Contender(ANSIBLE, lambda: _waiting(lab, ANSIBLE, window_s, 30, _ansible(lab)), 1),
    ]
    interleaved(record, NAME, lab.repeats(2), waiting)
    _bytes(lab)
    record.note(
        NAME,
        "CPU and processes are those of sshd's sessions and all that descends from them, less the"
        " checks' own, divided by the jobs. Bytes are those of the TCP connections, encrypted.",
    )
    cpu = record.median(NAME, "ssh", US, CPU)
    record.aim(NAME, "0 CPU while waiting", f"{cpu / 10:.2g} % of a core for a job", cpu == 0)
    processes = record.median(NAME, "ssh", US, PROCESSES)
    record.aim(NAME, "at most 3 processes a job", f"{processes:.2g}", processes <= 3)
    kilobytes = record.median(NAME, "ssh", US, BYTES)
    record.aim(NAME, "under 20 kB for 20 jobs", f"{kilobytes:.1f} kB", kilobytes < 20)


def _ansible(lab: Lab) -> Callable[[Task], Run]:
    return lambda task: lab.ansible(AS_IT_STANDS, task)


def _waiting(
    lab: Lab, name: str, window_s: float, start_s: float, do: Callable[[Task], Run]
) -> None:
    """Look at the target while all jobs wait, ``start_s`` being enough to start them."""
    # The number tells these sleeps from all others.
    word = f"{start_s + window_s + 3:.0f}.{time.monotonic_ns() % 10**6:06d}"
    task = Task(lab.ssh, [f"exec sleep {word}"] * JOBS)
    failure: list[Failed] = []

    def work() -> None:
        try:
            do(task)
        except Failed as error:
            failure.append(error)

    before = lab.count_there()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        # The check becomes the sleep: one process, whose name and parent tell it.
        if not wait_until(lambda: _sleeps(lab, word) >= JOBS, 60, poll_s=0.1):
            raise Failed(f"{_sleeps(lab, word)} of {JOBS} jobs wait")
        time.sleep(1)
        first = lab.count_there()
        time.sleep(window_s)
        last = lab.count_there()
        checks = _sleeps(lab, word)
    finally:
        thread.join()
    if failure:
        raise failure[0]
    cpu_ms = (last.cpu_s - first.cpu_s) * 1000 / window_s / JOBS
    lab.record.add(NAME, "ssh", name, CPU, "ms/s", cpu_ms)
    own = (last.processes - before.processes - checks) / JOBS
    lab.record.add(NAME, "ssh", name, PROCESSES, "", own)


def _sleeps(lab: Lab, word: str) -> int:
    ours = {process.pid for process in tree(lab.server.pid)}
    return sum(p.pid in ours and p.name == "sleep" and _has(p.pid, word) for p in all_processes())


def _has(pid: int, word: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return word.encode() in file.read()
    except OSError:
        return False


def _bytes(lab: Lab) -> None:
    with lab.line() as (line, target):
        task = Task(target, ["sleep 2"] * JOBS)

        def counted(name: str, do: Callable[[], Run]) -> None:
            sent_before, received_before = line.sent, line.received
            connections = len(line.connected)
            do()
            sent = (line.sent - sent_before) / 1000
            received = (line.received - received_before) / 1000
            record = lab.record
            record.add(NAME, "ssh", name, BYTES, "kB", sent + received)
            record.add(NAME, "ssh", name, SENT, "kB", sent)
            record.add(NAME, "ssh", name, RECEIVED, "kB", received)
            record.add(NAME, "ssh", name, "connections", "", len(line.connected) - connections)

        contenders = [
            Contender(US, lambda: counted(US, lambda: lab.pytest("background", task))),
            Contender(ANSIBLE, lambda: counted(ANSIBLE, lambda: _ansible(lab)(task)), 1),
        ]
        interleaved(lab.record, NAME, lab.repeats(2), contenders)
