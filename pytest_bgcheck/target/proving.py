"""Asks targets whether jobs still run: at once, and all targets at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import BadReply
from .asking import ANSWER_S, Asking
from .calls import QUESTION_CALL_S, Calls, is_full
from .records import Record, Records, Target
from .transport import ask

FIND_OUT_S = 10
"""How long a target may take to find out what became of a job whose guard is gone."""


class Proving:
    """The proofs of one run that jobs still run. Any thread may call."""

    def __init__(self, records: Records, calls: Calls, asking: Asking) -> None:
        self._records = records
        self._calls = calls
        self._asking = asking

    def prove(self, jobs: Iterable[Record]) -> dict[Record, str]:
        """Ask which of some jobs still run, and take note of the ends that are told.

        Returns, for those whose targets could not be asked within `ANSWER_S`, why not. Then nothing
        is known of them; all others without a result run. If the run is ending meanwhile, nothing
        is known of any.
        """
        asked = [record for record in jobs if record.runs]
        unanswered = self._asking.ask_all(asked, lambda record: record, self._ask, ANSWER_S)
        with self._records.changed:
            return {
                record: unanswered[record.target]
                for record in asked
                if record.target in unanswered and record.result is None
            }

    def _ask(self, target: Target, records: Sequence[Record], left_s: float) -> Sequence[Record]:
        """Make one call; return the jobs that are to be asked about again. Raises a TargetError."""
        call = self._calls.wait(target, records, FIND_OUT_S, False, proof=True)
        reply = ask(target.transport, call, min(QUESTION_CALL_S, left_s))
        self._records.take_reply(target, records, reply)
        left = [record for record in records if record.result is None]
        if left and reply.refused and not is_full(reply):
            raise BadReply("; ".join(reply.refused.values()))
        return left if is_full(reply) else ()
