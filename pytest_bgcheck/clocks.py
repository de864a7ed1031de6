"""The clocks of a run, which tests cannot move. No other room reads one; a test holds it.

Tests freeze the time or travel in it while jobs run and threads wait. freezegun replaces each
reference to a clock that is a module's attribute, under whatever name; time-machine changes what
``time.time`` itself returns. Neither reaches the monotonic clock behind an object of another kind,
and from that both clocks here are read.
"""

from __future__ import annotations

import time
from functools import partial

monotonic_s = partial(time.monotonic)
"""Return seconds from some moment on: for how long something takes, and until when it may."""

sleep = partial(time.sleep)

_ZERO_AT = time.time() - time.monotonic()


def unix_s() -> float:
    """Return the seconds since 1970: for when something was. A step of the computer's clock during
    the run does not show, so that no span of the run is longer or shorter by it."""
    return _ZERO_AT + monotonic_s()
