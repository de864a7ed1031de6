"""SIGTERM and SIGHUP end a run as Ctrl-C does, so that the targets are cleaned.

Python's default would end the process on the spot. A handler that the suite or the caller (nohup)
has set is left alone. Imports nothing of the package.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal."""


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)


class Termination:
    """The handlers, from `install` to `restore`."""

    def __init__(self) -> None:
        self._installed: list[signal.Signals] = []

    def install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _raise)
                self._installed.append(number)

    def restore(self) -> None:
        for number in self._installed:
            if signal.getsignal(number) is _raise:
                signal.signal(number, signal.SIG_DFL)
        self._installed.clear()
