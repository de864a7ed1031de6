"""A wait for a line of a job's output, as `Job.wait_for_output` does it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from ..clocks import monotonic_s, unix_s
from ..errors import WrongUse
from ..model import Output, Result, State, Tries
from .lines import LineSearch
from .records import Record
from .replies import Grown
from .runner import Runner

REST_S = 2.0
"""How long a job's end may be known without that the last of its output comes. Then what was kept
of it is looked at."""


@dataclass(frozen=True)
class NoLine:
    """A wait for a line that was in vain.

    ``limit_s``: how long it may have taken, None: as long as the job lives. ``result``: the job has
    ended; None: it goes on. ``stdout`` and ``stderr``: its output; if it goes on, the ends of that
    so far, and only since the wait began if ``since_now``. ``unseen``: bytes that were cut out
    before they were looked at. ``unanswered``: why its target does not answer, and since when;
    empty if it does.
    """

    pattern: str
    limit_s: float | None
    result: Result | None
    stdout: Output
    stderr: Output
    unseen: int
    unanswered: str
    held_back: bool
    since_now: bool


def compiled(regex: object) -> re.Pattern[str]:
    """Return a regular expression that was given as a str or compiled. Raises WrongUse."""
    if isinstance(regex, re.Pattern):
        if isinstance(regex.pattern, str):
            return regex
        raise WrongUse(f"regex must be a pattern for str, not for bytes: {regex.pattern!r}")
    if not isinstance(regex, str):
        raise WrongUse(f"regex must be a string or a compiled pattern, not {type(regex).__name__}")
    try:
        return re.compile(regex)
    except re.error as error:
        raise WrongUse(f"regex {regex!r} is no regular expression: {error}") from None


def is_since_now(since: object) -> bool:
    """Return whether only what comes from now on counts. Raises WrongUse."""
    if since is None or since == "now":
        return since is not None
    raise WrongUse(f"since must be 'now' or None, not {since!r}")


WaitUntil = Callable[[Callable[[], bool], "float | None"], bool]
"""Waits until something has happened; returns False if the limit (seconds, None: none) was over."""


class OutputWait:
    """One wait for a line of a job's output; ``wait`` is how its caller waits."""

    def __init__(
        self, runner: Runner, record: Record, pattern: re.Pattern[str], limit_s: float | None,
        since_now: bool, wait: WaitUntil,
    ) -> None:  # fmt: skip
        self._runner, self._record, self._wait = runner, record, wait
        self._pattern, self._limit_s = pattern, limit_s
        self._until_s = math.inf if limit_s is None else monotonic_s() + limit_s
        self._pending = record.state is State.PENDING
        self._since_now = since_now
        self._search = LineSearch(pattern, since_now)
        self._handed: list[Grown] = []
        self._left = False
        self._tries: Tries | None = None

    def match(self) -> re.Match[str] | NoLine:
        """Wait, and return the match; or what there is to say, if the job has ended, or the time is
        over, without one."""
        __tracebackhide__ = True
        record, search = self._record, self._search
        told = False
        if self._wait_until(lambda: record.state is not State.PENDING):
            if self._since_now and self._pending and record.started_here:
                # All that it has written it wrote since the wait began.
                self._since_now = False
                search = self._search = LineSearch(self._pattern)
            if record.result is None:
                told = self._follow()
        if search.match is None:
            # Of a job that ends while its target cannot be asked, the result has its last output.
            if record.result is not None and not told:
                search.take_result(record.result)
            if record.result is not None or told:
                search.end()
        if search.match is None and told:
            self._wait_until(lambda: record.result is not None)  # it has ended, and will be told
        return search.match or self._no_line()

    def _follow(self) -> bool:
        """Read what the job writes, until a line matches; return whether all was, to its end."""
        __tracebackhide__ = True
        record, search = self._record, self._search
        following = self._runner.follow([record], self._hand_over, self._since_now, self._until_s)

        def is_over() -> bool:
            self._take_handed()
            return following.over or following.stopped

        try:
            if self._wait_until(lambda: is_over() or record.result is not None):
                size = -1
                while not is_over() and search.size > size:
                    size = search.size
                    self._wait_until(is_over, REST_S)
                if not following.over:
                    self._wait_until(lambda: record.result is not None)
            told = following.over and search.match is None
        finally:
            changed = self._runner.records.changed
            with changed:
                self._left = True
                changed.notify_all()
            following.end()
            self._tries = following.tries
        return told

    def _hand_over(self, grown: Grown) -> bool:
        """Have what was written searched by the thread that waits; return whether there is a match.

        Not here: no other thread runs while a regular expression is searched for. One that takes
        for ever can be interrupted in the main thread, as Ctrl-C and pytest-timeout do it.
        """
        changed = self._runner.records.changed
        with changed:
            self._handed.append(grown)
            changed.notify_all()
            changed.wait_for(lambda: not self._handed or self._left)
            return self._search.match is not None

    def _take_handed(self) -> None:
        """Search what was handed over."""
        changed = self._runner.records.changed
        with changed:
            while self._handed:
                self._search.take(self._handed[0])
                self._handed.pop(0)
                changed.notify_all()

    def _wait_until(self, happened: Callable[[], bool], most_s: float = math.inf) -> bool:
        __tracebackhide__ = True
        left_s = min(most_s, max(0.0, self._until_s - monotonic_s()))
        return self._wait(happened, None if left_s == math.inf else left_s)

    def _no_line(self) -> NoLine:
        record, search = self._record, self._search
        stdout, stderr = search.output("out"), search.output("err")
        if record.result is not None:
            stdout, stderr = record.result.stdout_kept, record.result.stderr_kept
        tries = self._tries or record.tries
        unanswered = tries.text(unix_s()) if tries is not None else ""
        return NoLine(
            self._pattern.pattern, self._limit_s, record.result, stdout, stderr, search.unseen,
            unanswered, record.waits_for_start, self._since_now,
        )  # fmt: skip
