"""Asks probes what they see from one moment to another: the windows of tests.

What is not proven is told as such, with why: nothing is guessed of a time of which no prober has
told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..clocks import unix_s
from ..errors import BadReply
from ..windows import Window
from .asking import ANSWER_S, Asking
from .calls import QUESTION_CALL_S, Calls
from .proving import Proving
from .records import Record, Records, Target
from .replies import Reply
from .requests import Spec
from .transport import Call, ask

LAST_SAMPLE_S = 5
"""How long a prober may take, beyond the limit of a sample, to tell what it has seen."""

AT_ONCE = 100
"""The most windows in one call."""

UNREADABLE = "what its prober has written cannot be read"


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

    def __init__(self, records: Records, calls: Calls, asking: Asking, proving: Proving) -> None:
        self._records = records
        self._calls = calls
        self._asking = asking
        self._proving = proving

    def open(self, probes: Iterable[Record]) -> list[OpenWindow]:
        """Open a window of each of some probes, all targets at the same time, by a call each.

        It is not opened of a probe that does not run, and of one whose target has not answered
        within `ANSWER_S`.
        """
        windows = [OpenWindow(record, self._calls.window_id(), unix_s()) for record in probes]

        def question(target: Target, batch: Sequence[OpenWindow]) -> tuple[Call, float]:
            return self._calls.open(target, _named(batch)), QUESTION_CALL_S

        answers = self._ask(windows, question, ANSWER_S)
        return [
            replace(window, not_proven=answer) if isinstance(answer, str) else window
            for window, answer in zip(windows, answers, strict=True)
        ]

    def close(self, opened: Sequence[OpenWindow]) -> list[ClosedWindow]:
        """Close windows, all targets at the same time, by a call each, and return what was seen.

        A window that was not opened is told as not proven, without a call. A target may take as
        long as the sample that is under way there, beside `ANSWER_S`.
        """
        closed_at = unix_s()

        def question(target: Target, batch: Sequence[OpenWindow]) -> tuple[Call, float]:
            expire_s = _expire_s(batch)
            return self._calls.close(target, expire_s, _named(batch)), expire_s + QUESTION_CALL_S

        asked = [window for window in opened if not window.not_proven]
        answers = dict(
            zip(asked, self._ask(asked, question, ANSWER_S + _expire_s(asked)), strict=True)
        )
        result = []
        for window in opened:
            answer = answers.get(window, window.not_proven)
            if isinstance(answer, Window):
                result.append(ClosedWindow(window, closed_at, answer))
            else:
                result.append(ClosedWindow(window, closed_at, None, answer or UNREADABLE))
        return result

    def _ask(
        self,
        windows: Sequence[OpenWindow],
        question: Callable[[Target, Sequence[OpenWindow]], tuple[Call, float]],
        within_s: float,
    ) -> list[Window | str | None]:
        """Ask about windows; return of each what was seen, why that is not known, or None.

        ``question`` returns a call about some of a target, and how long it may take.
        """
        told: dict[str, Window | str | None] = {}

        def ask_once(
            target: Target, left: Sequence[OpenWindow], left_s: float
        ) -> Sequence[OpenWindow]:
            batch = left[:AT_ONCE]
            call, patience_s = question(target, batch)
            reply = ask(target.transport, call, min(patience_s, left_s))
            self._records.take_reply(target, [window.record for window in batch], reply)
            answers = _answers(reply, batch)
            with self._records.changed:
                told.update(answers)
            return left[AT_ONCE:]

        asked = [window for window in windows if window.record.runs]
        unanswered = self._asking.ask_all(asked, lambda window: window.record, ask_once, within_s)
        # A window is refused of a probe that has ended, and not all ends are heard by now.
        refused = [window.record for window in asked if isinstance(told.get(window.id), str)]
        if refused:
            self._proving.prove(refused)
        with self._records.changed:
            return [self._answer(window.id, window.record, told, unanswered) for window in windows]

    def _answer(
        self,
        id: str,
        record: Record,
        told: Mapping[str, Window | str | None],
        unanswered: Mapping[Target, str],
    ) -> Window | str | None:
        answer = told.get(id, "")
        if not isinstance(answer, str):
            return answer
        if record.result is not None:
            details = [f"it has ended: {record.result.state}", record.result.detail]
            return "; ".join(filter(None, details))
        if not record.runs:
            return "it has not started"
        return answer or unanswered.get(record.target, "") or "the run is ending"


def _named(windows: Iterable[OpenWindow]) -> list[tuple[Spec, str]]:
    return [(window.record.spec, window.id) for window in windows]


def _expire_s(windows: Iterable[OpenWindow]) -> int:
    """Return how long a target may take to tell what was seen."""
    limits = [window.record.probe.sample_timeout_s for window in windows if window.record.probe]
    return math.ceil(max(limits, default=0)) + LAST_SAMPLE_S


def _answers(reply: Reply, windows: Iterable[OpenWindow]) -> dict[str, Window | str | None]:
    """Return what a reply says of windows, by their ids. Raises BadReply."""
    answers: dict[str, Window | str | None] = {}
    if reply.gone:
        return answers  # and the probes are lost
    if "*" in reply.refused:
        raise BadReply(reply.refused["*"])
    for window in windows:
        probe = window.record.spec.id
        if (probe, window.id) in reply.opened:
            answers[window.id] = None
        elif (probe, window.id) in reply.windows:
            answers[window.id] = reply.windows[probe, window.id]
        elif probe in reply.refused:
            answers[window.id] = reply.refused[probe] or "refused"
        else:
            raise BadReply("a reply that leaves out windows")
    return answers
