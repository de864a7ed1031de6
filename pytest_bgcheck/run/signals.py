"""SIGTERM and SIGHUP end a run as Ctrl-C does, so that the targets are cleaned. While they are
cleaned, one more signal of the three cuts that short, but does not tear it apart.

Python's default for the two would end the process on the spot. A handler that the suite or the
caller (nohup) has set is left alone. Imports nothing of the package.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal."""


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)


_held = False
_interrupted = False


def interrupted() -> bool:
    """Return whether a signal has come while signals were `held`."""
    return _interrupted


def _note(number: int, frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True


@contextmanager
def held() -> Iterator[None]:
    """Raise nothing for a signal that would end the run: it is ending. See `interrupted`.

    Inside of another `held` it does nothing.
    """
    global _interrupted, _held
    if _held:
        yield
        return
    _held, _interrupted = True, False
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, *SIGNALS):
            if signal.getsignal(number) in (signal.default_int_handler, _raise):
                before[number] = signal.signal(number, _note)
    try:
        yield
    finally:
        _held = False
        for number, handler in before.items():
            signal.signal(number, handler)


_masks: dict[int, set[int]] = {}
"""The signals that were blocked before a fork, by the thread that forks."""


def _before_fork() -> None:
    if any(_is_ours(number) for number in SIGNALS):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        _masks[threading.get_ident()] = {int(number) for number in before}


def _after_fork() -> None:
    before = _masks.pop(threading.get_ident(), None)
    if before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _after_fork_in_child() -> None:
    for number in SIGNALS:
        if _is_ours(number):
            signal.signal(number, signal.SIG_DFL)
    _after_fork()


def _is_ours(number: signal.Signals) -> bool:
    return signal.getsignal(number) in (_raise, _note)


# A child has no run to end: who terminates a process of multiprocessing expects -SIGTERM of it. Nor
# may one be lost that comes at once: Python forgets, in a child, those that it has not handled yet.
os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)


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
