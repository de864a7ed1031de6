"""The clocks of a run, which tests cannot move. No other room reads one; a test holds it.

Tests freeze the time or travel in it while jobs run and threads wait. freezegun replaces each
reference to a clock that is a module's attribute, under whatever name; time-machine changes what
``time.time`` itself returns, and from 2.13 to 2.16 ``time.monotonic`` too, by which the standard
library measures time-outs. Neither moves the computer's own monotonic clock, and from that both
clocks here are read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

monotonic_s = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""Return seconds from some moment on: for how long something takes, and until when it may."""

sleep = partial(time.sleep)

_ZERO_AT = time.time() - monotonic_s()


def unix_s() -> float:
    """Return the seconds since 1970: for when something was. A step of the computer's clock during
    the run does not show, so that no span of the run is longer or shorter by it."""
    return _ZERO_AT + monotonic_s()


ReadyT = TypeVar("ReadyT")


class Condition(threading.Condition):
    """A condition whose time-outs no test can move."""

    def wait_for(self, predicate: Callable[[], ReadyT], timeout: float | None = None) -> ReadyT:
        deadline_s = None if timeout is None else monotonic_s() + timeout
        while not (ready := predicate()):
            left_s = None if deadline_s is None else deadline_s - monotonic_s()
            if left_s is not None and left_s <= 0:
                break
            self.wait(left_s)
        return ready
