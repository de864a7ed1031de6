"""Runs a server so that the CPU of all that it ever starts can be told, daemons included.

``python meter.py COMMAND...``: this process adopts every orphan among its descendants (a
subreaper: see prctl(2)) and reaps it, so their CPU is added up in it and nothing escapes the count
by its parent's end. Used as the ``runner`` of an SSHServer. Linux only; needs no root.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Count:
    """CPU seconds so far, and the processes that there are."""

    cpu_s: float
    processes: int


def count(meter: int) -> Count:
    """Return what the descendants of a meter, by its pid, have used, living or ended."""
    from support.machines.processes import tree

    cpu_s, processes = _reaped_s(meter), 0
    for process in tree(meter):
        if process.pid != meter:
            cpu_s += _own_s(process.pid) + _reaped_s(process.pid)
            processes += 1
    return Count(cpu_s, processes)


def _own_s(pid: int) -> float:
    """Return what a living process has used itself: in nanoseconds where the kernel tells."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return _ticks_s(pid, 11)


def _reaped_s(pid: int) -> float:
    """Return what the children that a process has reaped had used."""
    return _ticks_s(pid, 13)


def _ticks_s(pid: int, first: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[first : first + 2])) / os.sysconf("SC_CLK_TCK")


def _main(command: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = subprocess.Popen(command)
    while True:
        try:
            pid, _ = os.wait()
        except ChildProcessError:
            return
        if pid == server.pid:
            server.returncode = 0  # it was reaped here


if __name__ == "__main__":
    _main(sys.argv[1:])
