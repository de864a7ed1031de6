"""The processes of this computer, from /proc, so that a machine ends its own and no others.

A process is known by its pid *and* its start time: a pid alone may have been given to somebody
else since.
"""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .machine import wait_until


@dataclass(frozen=True)
class Process:
    """One process as it was when /proc was read; ``started`` is in clock ticks since boot."""

    pid: int
    parent: int
    started: int
    state: str
    name: str

    @property
    def has_ended(self) -> bool:
        """Whether it was but a zombie when /proc was read."""
        return self.state in "ZX"

    def is_running(self) -> bool:
        """Ask /proc again whether this very process has not ended."""
        now = find(self.pid)
        return now is not None and now.started == self.started and not now.has_ended

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal, unless it has ended; that it ends meanwhile is no error."""
        if self.is_running():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)


def find(pid: int) -> Process | None:
    """Return the process with this pid, if there is one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:  # also ProcessLookupError: it ended while we read
        return None
    # The name is in parentheses and may hold spaces and parentheses itself.
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(pid, int(fields[1]), int(fields[19]), fields[0], name)


def all_processes() -> list[Process]:
    """Return every process that has not ended; zombies, which nobody may ever reap, have."""
    found = map(find, [int(name) for name in os.listdir("/proc") if name.isdigit()])
    return [process for process in found if process is not None and not process.has_ended]


def tree(*roots: int) -> list[Process]:
    """Return the processes with these pids and all that descend from them, parents first."""
    processes = all_processes()
    found = [process for process in processes if process.pid in roots]
    seen = {process.pid for process in found}
    for parent in found:  # grows while it is walked
        children = [p for p in processes if p.parent == parent.pid and p.pid not in seen]
        seen.update(child.pid for child in children)
        found += children
    return found


def freeze(*roots: int, only: Callable[[Process], bool] = lambda _: True) -> list[Process]:
    """SIGSTOP these processes and their descendants, also those forked meanwhile; return them."""
    frozen: dict[int, Process] = {}
    while new := [p for p in tree(*roots) if only(p) and p.pid not in frozen]:
        for process in new:
            process.send(signal.SIGSTOP)
            frozen[process.pid] = process
    return list(frozen.values())


def kill(processes: Iterable[Process], timeout_s: float = 10) -> None:
    """SIGKILL these processes and wait for their end; RuntimeError if one lives on."""
    victims = list(processes)
    for process in victims:
        process.send(signal.SIGKILL)
    if not wait_until(lambda: not any(p.is_running() for p in victims), timeout_s):
        raise RuntimeError(f"still there: {[p for p in victims if p.is_running()]}")


def kill_tree(*roots: int) -> None:
    """SIGKILL these processes and all their descendants, and wait for their end."""
    # Frozen first: killed one by one, a parent could fork a child which then has no ancestor.
    kill(freeze(*roots))


def with_uid(uid: int) -> list[Process]:
    """Return the processes whose real uid is this."""
    return [p for p in all_processes() if _real_uid(p.pid) == uid]


def with_root(directory: Path) -> list[Process]:
    """Return the processes that run chrooted in this directory."""
    return [p for p in all_processes() if _link(p.pid, "root") == str(directory.resolve())]


def with_argument(text: str) -> list[Process]:
    """Return the processes whose command line contains the text."""
    return [p for p in all_processes() if text in _arguments(p.pid)]


def _real_uid(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return None
    line = next(line for line in status.splitlines() if line.startswith("Uid:"))
    return int(line.split()[1])


def _link(pid: int, name: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return None


def _arguments(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
