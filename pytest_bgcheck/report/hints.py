"""What may be behind a bad end, for people: a line each. Pure; imports model and tasks."""

from __future__ import annotations

import re
import signal

from ..model import Result, State
from ..tasks import Service, Task

HINTS = {
    126: "126: the command was found but could not be executed; look at its mode, its #! line"
    " and whether its file system is mounted noexec",
    127: "127: a command was not found on the target; look at its PATH and at the #! line",
    137: "137: killed by SIGKILL, perhaps because the target ran out of memory",
    139: "139: killed by SIGSEGV: it crashed",
    143: "143: ended by SIGTERM, but not by this plugin",
    255: "255: often ssh's own exit code, if the command itself uses ssh",
}

BLOCK = 4096
"""Bytes of a buffer's smallest part: a program that buffers has written whole ones, or nothing."""

BUFFERED = (
    "what it has printed may still be in its buffer, as its output is no terminal: try"
    " stdbuf -oL COMMAND, python -u or PYTHONUNBUFFERED=1, grep --line-buffered"
)

STOPPED_BY = "stop() or cancel() of a test or a fixture has ended it, for all tests of the run"
OWN_SERVICE = "; a test that ends a service can have one of its own, by bgcheck.running(...)"

PORT_TAKEN = re.compile(rb"address (is )?already in use|EADDRINUSE", re.IGNORECASE)


def hint_for(rc: int) -> str:
    """Return what an exit code says by convention; empty if nothing."""
    if rc in HINTS:
        return HINTS[rc]
    try:
        name = signal.Signals(rc - 128).name
    except ValueError:
        return ""
    return f"{rc}: 128 + {rc - 128}, probably ended by the signal {name}"


def hints(task: Task, result: Result) -> list[str]:
    """Return what may be behind a job's end, a line for each guess."""
    if result.state is State.STOPPED:
        own = OWN_SERVICE if isinstance(task, Service) else ""
        return [] if result.detail else [STOPPED_BY + own]
    lines = [] if result.rc is None else [hint_for(result.rc)]
    if isinstance(task, Service) and result.failed:
        lines += [_ended_well(result), _buffered(task, result), _port_taken(result)]
    return [line for line in lines if line]


def _ended_well(result: Result) -> str:
    if result.rc != 0:
        return ""
    return (
        "0: its command has ended, and no process of it was found; let it stay in the foreground,"
        ' as by nginx -g "daemon off;" or sshd -D: a daemon is known by PYTEST_BGCHECK_JOB in its'
        " environment, which these two write over"
    )


def _buffered(task: Service, result: Result) -> str:
    """Return a hint where what the pattern waits for may have been in a buffer."""
    if task.ready_output is None or result.state is not State.NOT_READY or result.rc is not None:
        return ""
    size = result.stdout_kept.size
    return BUFFERED if size < BLOCK or whole_blocks(size) else ""


def whole_blocks(size: int) -> bool:
    """Return whether so many bytes are what a program writes that buffers its output."""
    return size % BLOCK == 0


def _port_taken(result: Result) -> str:
    for output in (result.stderr_kept, result.stdout_kept):
        if PORT_TAKEN.search(output.head) or PORT_TAKEN.search(output.tail):
            return "its port is taken: another process on the target listens there already"
    return ""
