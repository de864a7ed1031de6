"""How each state of a job, and each verdict on a window, looks in the reports.

Imports only model.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from ..model import State


@dataclass(frozen=True)
class Look:
    """``kind`` is the class by which the page's style colours a job, ``symbol`` stands before its
    name, ``legend`` is what the page's legend says of all states of this look."""

    kind: str
    symbol: str
    legend: str


GOOD = Look("ok", "✓", "succeeded")
BAD = Look("bad", "✗", "did not succeed")
NEUTRAL = Look("other", "–", "cancelled")

LOOKS: Mapping[State, Look] = {
    State.PENDING: NEUTRAL,
    State.RUNNING: NEUTRAL,
    State.SUCCEEDED: GOOD,
    State.FAILED: BAD,
    State.TIMED_OUT: BAD,
    State.LOST: BAD,
    State.UNREACHABLE: BAD,
    State.NOT_STARTED: BAD,
    State.CANCELLED: NEUTRAL,
    State.STARTING: NEUTRAL,
    State.READY: NEUTRAL,
    State.STOPPED: GOOD,
    State.DIED: BAD,
    State.NOT_READY: BAD,
}

LEGEND = (GOOD, BAD, NEUTRAL)


class Seen(str, enum.Enum):
    """The verdict on a window: what a probe saw, beside what the test's mark allows."""

    WITHIN = "within limits"
    BEYOND = "beyond limits"
    NOT_PROVEN = "not proven"
    NO_LIMITS = "without limits"
    """It was asked for through the probe's handle: the test judges what it reads."""

    def __str__(self) -> str:
        return self.value

    @property
    def good(self) -> bool:
        """True if no test fails for it."""
        return self in (Seen.WITHIN, Seen.NO_LIMITS)


WINDOW_LOOKS: Mapping[Seen, Look] = {
    Seen.WITHIN: Look("ok", "✓", "within"),
    Seen.BEYOND: Look("bad", "✗", "beyond"),
    Seen.NOT_PROVEN: Look("near", "?", "unproven"),
    Seen.NO_LIMITS: Look("other", "·", "unlimited"),
}
"""The page's style draws a window by what stands in the place of the legend."""
