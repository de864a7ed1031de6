"""Starts jobs: those of one target in a thread, so that only who asks for a result waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..clocks import unix_s
from ..errors import BadReply, Refused, TargetError
from ..model import State, Tries
from . import recovery, replies
from .asking import Asking
from .calls import Calls
from .commands import make_commands
from .records import Record, Records, Target
from .threads import in_thread
from .transport import Call, ask
from .waiting import Waiting

START_TURN_S = 10.0
"""How long a host waits for its turn among ``forks``: those that do not answer delay no others."""


class Starting:
    """Starts the jobs of one run. The methods may be called from any thread."""

    def __init__(
        self,
        records: Records,
        calls: Calls,
        asking: Asking,
        waiting: Waiting,
    ) -> None:
        self._records = records
        self._calls = calls
        self._asking = asking
        self._waiting = waiting
        self._unreachable: dict[str, str] = {}

    def in_background(self, target: Target, records: Sequence[Record]) -> None:
        """Start some jobs of a target, which counts this start in ``starting`` already."""

        def over() -> None:
            target.starting -= 1

        in_thread(
            self._records, target, lambda: self._start(target, records), lambda: records, over=over
        )

    def _start(self, target: Target, records: Sequence[Record]) -> None:
        """Start some jobs, first those that need no function to make their command."""
        self._start_all(target, [r for r in records if r.spec.task.has_command])
        rest = [r for r in records if not r.spec.task.has_command and r.state is State.PENDING]
        if target.identity not in self._unreachable:
            rest, attached = make_commands(self._records, target, rest)
            self._waiting.ensure(target, attached)
        self._start_all(target, rest)

    def _start_all(self, target: Target, records: Sequence[Record]) -> None:
        for call, batch in self._calls.starts(target, records):
            if not self._start_batch(target, call, batch):
                rest = [r for r in records if r.state is State.PENDING]
                if self._records.closing:  # which has cut the tries short: it proves nothing
                    self._records.cancel_all(rest)
                else:
                    self._records.settle_all(rest, State.UNREACHABLE, target.last_error)
                break

    def _start_batch(self, target: Target, call: Call, records: Sequence[Record]) -> bool:
        """Ask for the start of some jobs until it is answered. Return False if it never was."""
        if target.identity in self._unreachable:
            given_up = self._unreachable[target.identity]
            target.last_error = f"this host was given up before: {given_up}"
            return False
        longest = max([r.timeout_s for r in records], default=recovery.START_PATIENCE_S)
        deadline_s = recovery.start_deadline(self._calls.now_s(), longest)

        def start() -> replies.Reply:
            with self._calls.turn(START_TURN_S):
                patience_s = recovery.start_patience(self._calls.now_s(), deadline_s, len(records))
                reply = ask(target.transport, call, patience_s)
            self._calls.check_start(target, records, reply)
            return reply

        try:
            reply = self._repeat(start, records, deadline_s)
        except Refused as error:
            target.last_error = str(error)
            self._records.settle_all(records, State.NOT_STARTED, str(error))
            return True
        except TargetError as error:
            tries = next((record.tries for record in records if record.tries is not None), None)
            target.last_error = tries.text(unix_s()) if tries else str(error)
            if not self._records.closing and target.directory is None:
                # No later job is tried there, nor one as another user.
                self._unreachable.setdefault(target.identity, target.last_error)
            return False
        self._records.take_start(target, records, reply, self._calls.now_s())
        self._waiting.ensure(target, [r for r in records if r.result is None])
        return True

    def _repeat(
        self, call: Callable[[], replies.Reply], records: Sequence[Record], deadline_s: float
    ) -> replies.Reply:
        """Repeat a call about some jobs until it gives a reply.

        Raises the last TargetError at the deadline.
        """
        foreign = 0

        def failed(tries: Tries, error: TargetError) -> None:
            nonlocal foreign
            self._records.note_tries(records, tries)
            foreign = foreign + 1 if isinstance(error, BadReply) else 0
            if foreign >= recovery.FOREIGN_ANSWERS:
                raise Refused(f"the answers do not come from /bin/sh: {error}") from error

        return self._asking.until_answered(call, deadline_s, failed)
