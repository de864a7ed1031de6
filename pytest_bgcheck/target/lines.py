"""Looks for a line that matches, in what a job writes. Pure: it is fed with what a target tells.

Only complete lines are searched, without their ends ("\\n" or "\\r\\n"), decoded as UTF-8 with
replacement. What was cut out on the target is counted, and a line that is torn by that is not
searched: half of it could match where the whole does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..model import Output, Result
from .replies import Grown

LONGEST_LINE = 1 << 20
"""Bytes of a line that are kept. Of a longer one the beginning is searched as soon as it is here,
and the rest is not looked at."""

SHOWN = 16_000
"""Bytes of the end of a stream that are kept for people: a failure shows 4,000 characters."""


@dataclass
class _Stream:
    """A stream as far as it was read. ``position`` None: nobody has told yet where it stands.
    ``begin``: from where on it counts.

    ``line`` is the beginning of the line that is not complete yet. ``done``: it was searched, or is
    not to be. ``unseen`` counts the bytes that were cut out ahead of ``position``.
    """

    position: int | None = 0
    begin: int = 0
    attempt: int = 0
    line: bytearray = field(default_factory=bytearray)
    done: bool = False
    unseen: int = 0
    tail: bytes = b""


class LineSearch:
    """The search for the first line that a pattern is found in, in both streams of one job.

    ``since_now``: the first that is told of each stream is where it stands; what lies ahead of that
    does not count. ``match`` is what was found.
    """

    def __init__(self, pattern: re.Pattern[str], since_now: bool = False) -> None:
        self._pattern = pattern
        first = None if since_now else 0
        self._streams = {"out": _Stream(first), "err": _Stream(first)}
        self.match: re.Match[str] | None = None

    @property
    def size(self) -> int:
        """How many bytes were looked at or are known to be cut out, of both streams."""
        return sum(stream.position or 0 for stream in self._streams.values())

    @property
    def unseen(self) -> int:
        """How many bytes were cut out before they could be looked at."""
        return sum(stream.unseen for stream in self._streams.values())

    def output(self, stream: str) -> Output:
        """Return what counts of a stream ("out" or "err"), as far as it was read: its end."""
        read = self._streams[stream]
        return Output((read.position or 0) - read.begin, b"", read.tail)

    def take(self, grown: Grown) -> bool:
        """Look at what was written; return whether there is a match. Then nothing more is taken."""
        if self.match is None:
            self._take(self._streams[grown.stream], grown)
        return self.match is not None

    def _take(self, stream: _Stream, grown: Grown) -> None:
        if stream.position is None:
            stream.position = stream.begin = grown.start
        elif stream.attempt not in (0, grown.attempt):
            self._end_output(stream)  # that attempt is over
            self._begin_anew(stream)
        elif grown.data and grown.start < stream.position:
            self._begin_anew(stream)  # its program has emptied it
        stream.attempt = grown.attempt
        if not grown.data or self.match is not None:
            return
        assert stream.position is not None
        if grown.start > stream.position:
            stream.unseen += grown.start - stream.position
            stream.line.clear()
            stream.done = True  # what comes is the rest of a line, unless a new one begins here
        stream.position = grown.end
        stream.tail = (stream.tail + grown.data)[-SHOWN:]
        *ended, rest = grown.data.split(b"\n")
        for part in ended:
            self._add(stream, part)
            self._end_line(stream)
            if self.match is not None:
                return
        self._add(stream, rest)

    def take_result(self, result: Result) -> None:
        """Look at what was kept of the output of a job that has ended, behind what was read."""
        for name, kept in (("out", result.stdout_kept), ("err", result.stderr_kept)):
            stream = self._streams[name]
            if stream.position is None:
                continue
            attempt = result.attempts or stream.attempt or 1
            position = stream.position if stream.attempt in (0, attempt) else 0
            for start, data in ((0, kept.head), (kept.size - len(kept.tail), kept.tail)):
                if start + len(data) > position:
                    skipped = max(0, position - start)
                    self.take(Grown("", name, attempt, start + skipped, data[skipped:]))

    def end(self) -> None:
        """Look at the last lines, which have no end: nothing more will be written."""
        for stream in self._streams.values():
            self._end_output(stream)

    def _end_output(self, stream: _Stream) -> None:
        if self.match is None and stream.line:
            self._end_line(stream)

    def _begin_anew(self, stream: _Stream) -> None:
        stream.position, stream.begin, stream.done, stream.tail = 0, 0, False, b""
        stream.line.clear()

    def _add(self, stream: _Stream, part: bytes) -> None:
        """Add to the line that is not complete, and search it if it is too long to be kept."""
        if stream.done:
            return
        stream.line += part[: LONGEST_LINE - len(stream.line)]
        if len(stream.line) >= LONGEST_LINE:
            self._search(stream)
            stream.line.clear()
            stream.done = True

    def _end_line(self, stream: _Stream) -> None:
        if not stream.done:
            self._search(stream)
        stream.line.clear()
        stream.done = False

    def _search(self, stream: _Stream) -> None:
        text = bytes(stream.line).removesuffix(b"\r").decode("utf-8", "replace")
        self.match = self._pattern.search(text)
