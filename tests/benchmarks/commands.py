"""One run of a command, measured: wall, CPU with its children, peak memory of its whole tree."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.machines.processes import kill_tree, tree

LIMIT_S = 300.0
SAMPLE_S = 0.25


@dataclass(frozen=True)
class Usage:
    """What a command took. ``cpu_s`` counts itself and the children that it waited for;
    ``largest_mb`` is the largest single process, ``tree_mb`` the peak of all together, shared
    pages counted once (0 if it was not asked for)."""

    started: float
    wall_s: float
    cpu_s: float
    largest_mb: float
    tree_mb: float
    output: str


class Failed(Exception):
    """A contender did not do what it was asked to: no figure."""


def measured(
    argv: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    memory: bool = False,
    accepted: Container[int] = (0,),
) -> Usage:
    """Run a command to its end. Raises Failed unless its rc is ``accepted`` within LIMIT_S."""
    log = directory / "output"
    with log.open("wb") as output:
        started, begun = time.time(), time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        peak = _Peak(process.pid) if memory else None
        over = threading.Event()

        def end() -> None:
            over.set()
            kill_tree(process.pid)

        timer = threading.Timer(LIMIT_S, end)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.monotonic() - begun
        except BaseException:
            kill_tree(process.pid)
            process.wait()
            raise
        finally:
            timer.cancel()
            tree_mb = peak.stop() if peak is not None else 0.0
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(errors="replace")
    if process.returncode not in accepted:
        why = f"not done in {LIMIT_S:g} s" if over.is_set() else f"rc {process.returncode}"
        raise Failed(f"{why}: {' '.join(text.split())[-1500:]}")
    return Usage(started, wall_s, _cpu_s(usage), usage.ru_maxrss / 1024, tree_mb, text)


def _cpu_s(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


class _Peak:
    """Samples the memory of a process and all its descendants, in a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self._peak_mb = max(self._peak_mb, sum(_pss_mb(p.pid) for p in tree(self._pid)))

    def stop(self) -> float:
        self._done.set()
        self._thread.join()
        return self._peak_mb


def _pss_mb(pid: int) -> float:
    """Return a process' memory, where pages that n processes share count 1/n in each."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


class Busy:
    """Keeps every core busy inside a ``with`` block, by one endless loop for each."""

    def __enter__(self) -> None:
        loop = ("/bin/sh", "-c", "while :; do :; done")
        self._loops = [
            subprocess.Popen(loop, start_new_session=True) for _ in os.sched_getaffinity(0)
        ]

    def __exit__(self, *_: object) -> None:
        for loop in self._loops:
            loop.send_signal(signal.SIGKILL)
            loop.wait()
