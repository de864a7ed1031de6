"""A terminal for a run: a pseudo-tty, and what a screen would show of all that was written."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyte

DEADLINE_S = 120.0


@dataclass
class Shown:
    """What a terminal showed: all of it at the end, and every different screen in between."""

    rc: int
    final: list[str]
    screens: list[list[str]]
    written: bytes

    def ever(self, text: str) -> bool:
        return any(text in line for screen in self.screens for line in screen)


def run_on_tty(
    cwd: Path,
    *args: str,
    columns: int = 80,
    lines: int = 30,
    env: Mapping[str, str] | None = None,
    watch: Callable[[pyte.Screen], None] = lambda screen: None,
    press: Callable[[list[str]], bytes] | None = None,
) -> Shown:
    """Run pytest on a terminal of this size; ``watch`` sees each screen that differs.

    ``press`` gets the lines of each such screen, and returns what is typed then.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    # What runs the tests may have set these; they would count more than the terminal itself.
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *args],
        cwd=cwd,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        # So that Ctrl-C on it is a signal, for all processes of the run.
        preexec_fn=None if press is None else lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**own, "TERM": "xterm-256color", **(env or {})},
    )
    os.close(follower)
    screen = pyte.HistoryScreen(columns, lines, history=10_000)
    stream = pyte.ByteStream(screen)
    screens: list[list[str]] = []
    written = b""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        assert time.monotonic() < deadline, b"still running: " + written
        if not select.select([leader], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(leader, 4096)
        except OSError:  # Linux's way to say that nobody has it open any more
            data = b""
        if not data:
            break
        written += data
        # A screen after each escape or line: nothing that was ever shown is missed.
        for piece in data.replace(b"\x1b8", b"\x1b8\0").replace(b"\n", b"\n\0").split(b"\0"):
            stream.feed(piece)
            shown = [line.rstrip() for line in screen.display]
            if not screens or screens[-1] != shown:
                screens.append(shown)
                watch(screen)
                if press is not None:
                    os.write(leader, press(shown))
    os.close(leader)
    above = ["".join(row[x].data for x in range(columns)).rstrip() for row in screen.history.top]
    final = above + [line.rstrip() for line in screen.display]
    while final and not final[-1]:
        final.pop()
    return Shown(process.wait(DEADLINE_S), final, screens, written)
