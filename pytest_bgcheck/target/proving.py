"""Asks targets whether jobs still run: at once, and all targets at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from ..clocks import unix_s
from ..errors import BadReply, Gone, TargetError
from ..model import State, Tries
from .calls import QUESTION_CALL_S, Calls, is_full
from .records import Record, Records, Target, log_internal_error
from .threads import in_thread
from .transport import ask

PROOF_S = 30.0
"""How long it may take on all targets together."""

FIND_OUT_S = 10
"""How long a target may take to find out what became of a job whose guard is gone."""


class Proving:
    """The proofs of one run that jobs still run. Any thread may call."""

    def __init__(
        self,
        records: Records,
        calls: Calls,
    ) -> None:
        self._records = records
        self._calls = calls

    def prove(self, jobs: Iterable[Record]) -> dict[Record, str]:
        """Ask which of some jobs still run, and take note of the ends that are told.

        Returns, for those whose targets could not be asked within `PROOF_S`, why not. Then nothing
        is known of them; all others without a result run. If the run is ending meanwhile, nothing
        is known of any.
        """
        deadline_s = self._calls.now_s() + PROOF_S
        by_target: dict[Target, list[Record]] = {}
        for record in jobs:
            if record.runs:
                by_target.setdefault(record.target, []).append(record)
        unanswered = dict.fromkeys(by_target, f"no answer in {PROOF_S:.0f} s")
        left = set(by_target)
        for target, records in by_target.items():
            self._in_thread(target, records, deadline_s, unanswered, left)
        self._records.wait_for(lambda: not left or self._records.closing, (), PROOF_S)
        with self._records.changed:
            return {
                record: why
                for target, why in unanswered.items()
                for record in by_target[target]
                if record.result is None
            }

    def _in_thread(
        self,
        target: Target,
        records: Sequence[Record],
        deadline_s: float,
        unanswered: dict[Target, str],
        left: set[Target],
    ) -> None:
        def ask() -> None:
            self._ask(target, records, deadline_s, unanswered)

        in_thread(self._records, target, ask, lambda: records, over=lambda: left.discard(target))

    def _ask(
        self,
        target: Target,
        records: Sequence[Record],
        deadline_s: float,
        unanswered: dict[Target, str],
    ) -> None:
        """Ask one target until it has answered; until then say why not in ``unanswered``."""
        began_at = unix_s()
        for failures in itertools.count(1):
            try:
                while records:
                    records = self._ask_once(target, records, deadline_s)
                break
            except Gone as error:
                self._records.settle_all(records, State.LOST, f"the target is gone: {error}")
                break
            except Exception as error:
                expected = isinstance(error, TargetError)
                cause = str(error) if expected else log_internal_error(target, error)
            tries = Tries(failures, began_at, cause)
            with self._records.changed:
                unanswered[target] = tries.text(unix_s())
            pause_s = self._calls.pause_s(failures, deadline_s)
            if pause_s is None or self._records.closing:
                return
            self._records.note_tries(records, tries)
            self._records.pause(pause_s)
        with self._records.changed:
            del unanswered[target]

    def _ask_once(
        self, target: Target, records: Sequence[Record], deadline_s: float
    ) -> Sequence[Record]:
        """Make one call; return the jobs that are to be asked about again. Raises a TargetError."""
        left_s = max(0.1, deadline_s - self._calls.now_s())
        call = self._calls.wait(target, records, FIND_OUT_S, False, proof=True)
        reply = ask(target.transport, call, min(QUESTION_CALL_S, left_s))
        self._records.take_reply(target, records, reply)
        left = [record for record in records if record.result is None]
        if left and reply.refused and not is_full(reply):
            raise BadReply("; ".join(reply.refused.values()))
        return left if is_full(reply) else ()
