"""Asks a target until it has answered; and all targets at the same time, each until it has."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ..clocks import unix_s
from ..errors import Gone, Refused, TargetError, Unreachable
from ..model import State, Tries
from .calls import Calls
from .records import Record, Records, Target, log_internal_error
from .threads import in_thread

AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT")

ANSWER_S = 30.0
"""For how long a target is asked what is to be known behind a test, or ahead of one."""


class Asking:
    """The questions of one run. Any thread may call."""

    def __init__(self, records: Records, calls: Calls) -> None:
        self._records = records
        self._calls = calls

    def until_answered(
        self,
        call: Callable[[], AnswerT],
        deadline_s: float,
        failed: Callable[[Tries, TargetError], None] = lambda tries, error: None,
        final: type[TargetError] = Refused,
    ) -> AnswerT:
        """Make a call, and again as long as it raises a TargetError, but not after a ``final`` one.

        Raises that, or the last one at the deadline (by the calls' clock), or once the run is
        ending. ``failed`` is told each error that is not final, and the calls in a row by then;
        what it raises ends the tries.
        """
        began_at = unix_s()
        for failures in itertools.count(1):
            try:
                return call()
            except final:
                raise
            except TargetError as error:
                failed(Tries(failures, began_at, str(error)), error)
                pause_s = self._calls.pause_s(failures, deadline_s)
                if pause_s is None or self._records.closing:
                    raise
                self._records.pause(pause_s)
        raise AssertionError  # pragma: no cover

    def ask_all(
        self,
        items: Iterable[ItemT],
        job: Callable[[ItemT], Record],
        ask: Callable[[Target, Sequence[ItemT], float], Sequence[ItemT]],
        within_s: float,
    ) -> dict[Target, str]:
        """Ask about some items, all targets at the same time, each until all of its are answered.

        ``job``: that of an item. ``ask`` gets a target, items and the seconds that are left. It
        makes one call, takes what it tells, and returns the items that are to be asked about again;
        it raises a TargetError if there was no answer. If the target is gone, its jobs are lost.

        Returns, for each target that has not answered ``within_s``, why not. If the run is ending
        meanwhile, it returns at once.
        """
        deadline_s = self._calls.now_s() + within_s
        by_target: dict[Target, list[ItemT]] = {}
        for item in items:
            by_target.setdefault(job(item).target, []).append(item)
        unanswered = dict.fromkeys(by_target, f"no answer in {within_s:.0f} s")
        left = set(by_target)
        for target, asked in by_target.items():
            self._in_thread(target, asked, job, ask, deadline_s, unanswered, left)
        self._records.wait_for(lambda: not left or self._records.closing, (), within_s)
        with self._records.changed:
            return dict(unanswered)

    def _in_thread(
        self,
        target: Target,
        items: Sequence[ItemT],
        job: Callable[[ItemT], Record],
        ask: Callable[[Target, Sequence[ItemT], float], Sequence[ItemT]],
        deadline_s: float,
        unanswered: dict[Target, str],
        left: set[Target],
    ) -> None:
        records = [job(item) for item in items]

        def call() -> None:
            nonlocal items
            while items:
                try:
                    items = ask(target, items, max(0.1, deadline_s - self._calls.now_s()))
                except TargetError:
                    raise
                except Exception as error:  # of ours, perhaps in what has just come
                    raise Unreachable(log_internal_error(target, error)) from error

        def failed(tries: Tries, error: TargetError) -> None:
            with self._records.changed:
                unanswered[target] = tries.text(unix_s())
            self._records.note_tries([job(item) for item in items], tries)

        def work() -> None:
            try:
                self.until_answered(call, deadline_s, failed, final=Gone)
            except Gone as error:
                self._records.settle_all(records, State.LOST, f"the target is gone: {error}")
            except TargetError:
                return
            with self._records.changed:
                del unanswered[target]

        in_thread(self._records, target, work, lambda: records, over=lambda: left.discard(target))
