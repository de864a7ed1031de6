"""Reads what jobs of a target write while they write it, in a thread, until somebody has enough.

By one call that streams, or, where a transport does not, by one call after the other, each of which
waits on the target until there is something to tell. A call that breaks off is made again, from
where the last one came to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..clocks import unix_s
from ..errors import Gone, NoAnswer, Refused, TargetError, Unreachable
from ..model import Tries
from ..originals import threading
from . import recovery
from .calls import QUESTION_CALL_S, Calls
from .records import Record, Records, Target, log_internal_error
from .replies import Grown, Reply
from .requests import Place
from .transport import Call, Enough, ask, ask_stream

Take = Callable[[Grown], bool]
"""Takes what a job has written; returns True if that is enough."""


class Following:
    """What some jobs of one target write, which ``take`` gets in a thread, in its order.

    Each change of what is here is told by the records' condition. ``over``: nothing more comes,
    since all jobs have ended and all that they wrote was taken, or since somebody has enough.
    ``stopped``: nothing more comes, for whatever reason. ``tries``: the calls in a row that were
    not answered.
    """

    def __init__(
        self,
        records: Records,
        calls: Calls,
        jobs: Sequence[Record],
        take: Take,
        since_now: bool,
        deadline_s: float,
    ) -> None:
        self.over = self.stopped = False
        self.tries: Tries | None = None
        self._records, self._calls = records, calls
        self._target: Target = jobs[0].target
        self._specs = {record.spec.id: record.spec for record in jobs}
        first = None if since_now else 0
        self._places = {id: Place(first, first) for id in self._specs}
        self._take = take
        self._deadline_s = deadline_s
        self._ended = False
        self._under_way: Call | None = None
        self._taking = threading.Lock()
        self._in_thread(self._read, self._stop)

    def end(self) -> None:
        """Have enough. When this returns nothing is taken any more. The call ends by itself, or as
        soon as its target hears of it; that is not waited for."""
        with self._taking:
            self._ended = True
            call = self._under_way
        with self._records.changed:
            self._records.changed.notify_all()
        # A call that streams sees it within a second, when its target next shows that it lives.
        if call is not None and not self._ends_with_its_reader:
            self._in_thread(lambda: self._unfollow(call), lambda: None)

    @property
    def _ends_with_its_reader(self) -> bool:
        transport = self._target.transport
        return transport.streams and transport.ends_calls

    # --- the thread ---------------------------------------------------------------------------

    def _in_thread(self, work: Callable[[], None], over: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                failed(error)
            finally:
                over()

        def failed(error: Exception) -> None:
            self._note(1, unix_s(), log_internal_error(self._target, error))

        try:
            threading.Thread(target=guarded, name="bgcheck follow", daemon=True).start()
        except RuntimeError as error:  # no more threads
            failed(error)
            over()

    def _stop(self) -> None:
        with self._records.changed:
            self.stopped = True
            self._records.changed.notify_all()

    def _note(self, failures: int, began_at: float, cause: str) -> None:
        with self._records.changed:
            self.tries = Tries(failures, began_at, cause)
            self._records.changed.notify_all()

    @property
    def _goes_on(self) -> bool:
        return not (self.over or self._ended or self._records.closing)

    def _read(self) -> None:
        failures, silent_since = 0, 0.0
        while self._goes_on and self._calls.now_s() < self._deadline_s:
            began_at = unix_s()
            try:
                self._read_once()
            except TargetError as error:
                failures += 1
                if failures == 1:
                    silent_since = began_at if isinstance(error, NoAnswer) else unix_s()
                self._note(failures, silent_since, str(error))
                pause_s = self._calls.pause_s(failures, self._deadline_s)
                if isinstance(error, Refused) or pause_s is None:
                    return
                self._records.pause(pause_s, lambda: self._ended)
            else:
                failures = 0

    def _read_once(self) -> None:
        """Make one call, and take what it tells."""
        target, transport = self._target, self._target.transport
        places = [(self._specs[id], place) for id, place in self._places.items()]
        left_s = max(0.0, self._deadline_s - self._calls.now_s())
        expire_s = max(1, math.ceil(min(left_s, recovery.AWAIT_CALL_S)))
        call = self._calls.follow(target, places, expire_s, transport.streams)
        patience_s = expire_s + recovery.AWAIT_SLACK_S
        self._under_way = call
        whole = True
        try:
            if transport.streams:
                whole = ask_stream(
                    transport, call, patience_s, self._take_reply, wanted=lambda: self._goes_on
                )
            else:
                self._take_reply(ask(transport, call, patience_s))
        finally:
            with self._taking:
                self._under_way = None
                ended = self._ended
        if not whole and not ended and not transport.ends_calls:
            self._unfollow(call)

    def _take_reply(self, reply: Reply) -> None:
        if reply.gone:
            raise Gone("the run's directory on the target is gone")
        if reply.refused:
            raise Unreachable("; ".join(reply.refused.values()))
        with self._taking:
            if self._ended:
                return
            enough = [self._take_grown(grown) for grown in reply.grown]
        with self._records.changed:
            self.tries = None
            for id in reply.over:
                self._places.pop(id, None)
            self.over = any(enough) or not self._places
            self._records.changed.notify_all()
        if any(enough) and self._target.transport.streams:
            raise Enough

    def _take_grown(self, grown: Grown) -> bool:
        place = self._places.get(grown.id)
        if place is None:
            return False
        if place.attempt not in (0, grown.attempt):
            place = Place()
        name = "stdout" if grown.stream == "out" else "stderr"
        if grown.data or getattr(place, name) is None:
            place = replace(place, **{name: grown.end})
        self._places[grown.id] = replace(place, attempt=grown.attempt)
        return self._take(grown)

    def _unfollow(self, call: Call) -> None:
        """End a call on its target, which does not notice that nobody reads it any more."""
        try:
            ask(self._target.transport, self._calls.unfollow(self._target, call), QUESTION_CALL_S)
        except TargetError:
            pass  # it ends by itself, when its time is over


class Follower:
    """Follows jobs of a run."""

    def __init__(
        self,
        records: Records,
        calls: Calls,
    ) -> None:
        self._records, self._calls = records, calls

    def follow(
        self, jobs: Sequence[Record], take: Take, since_now: bool, deadline_s: float
    ) -> Following:
        """Have what jobs of one target write taken in a thread, until all have ended, ``take`` has
        enough, or the deadline is over. See `Following`.

        ``since_now``: what is there already does not count.
        """
        return Following(self._records, self._calls, jobs, take, since_now, deadline_s)
