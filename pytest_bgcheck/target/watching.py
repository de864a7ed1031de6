"""Asks probes what they see from one moment to another: the windows of tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..windows import Window
from .calls import Calls
from .records import Record, Records


@dataclass(frozen=True)
class OpenWindow:
    """A window that a probe's target was asked to open. ``id``: what the target knows it by.

    ``opened_at``: when that was asked, in seconds since the epoch. ``not_proven``: why it was not
    opened; else empty.
    """

    record: Record
    id: str
    opened_at: float
    not_proven: str = ""


@dataclass(frozen=True)
class ClosedWindow:
    """What became of a window. ``window`` None: nobody knows, and ``not_proven`` says why."""

    opened: OpenWindow
    closed_at: float
    window: Window | None = None
    not_proven: str = ""


class Watching:
    """The windows of one run. Any thread may call."""

    def __init__(self, records: Records, calls: Calls) -> None:
        self._records = records
        self._calls = calls

    def open(self, probes: Iterable[Record]) -> list[OpenWindow]:
        """Open a window of each of some probes, all targets at the same time, by a call each."""
        raise NotImplementedError

    def close(self, opened: Sequence[OpenWindow]) -> list[ClosedWindow]:
        """Close windows, all targets at the same time, by a call each, and return what was seen.

        A window that was not opened is told as not proven, without a call.
        """
        raise NotImplementedError
