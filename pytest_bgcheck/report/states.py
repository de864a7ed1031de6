"""How each state of a job looks in the reports: one table for all of them. Imports only model."""

from __future__ import annotations

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
