"""The end of a run on its targets: all jobs ended, all files removed, all connections closed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ..clocks import sleep
from ..errors import BadReply, Gone, Refused, TargetError, Unreachable
from ..events import SHOWN
from ..ledger import RUN_ENDED
from ..model import Result, State
from ..originals import threading
from . import recovery
from .calls import Calls, is_full
from .records import Record, Records, Target, log_internal_error
from .replies import Report
from .transport import ask

SETTLE_S = 3.0
"""How long the end of a run waits for starts that are under way, when no test needs them."""

CLEAN_S = 9.0
"""How long the end of a run may take on all its targets together."""

CLEAN_TURN_S = 2.0
"""How long a host waits for its turn among ``forks``: those that do not answer delay no others."""

INTERRUPT_S = 0.1
"""How soon the end is cut short by an interrupt."""

PROOF_S = 2
"""How long a target may take to find out what became of a job whose guard is gone."""

HANG_UP_S = 3.0
"""How long connections may take to end after an interrupt."""


class Cleaner:
    """Ends a run on its targets."""

    def __init__(
        self,
        records: Records,
        calls: Calls,
    ) -> None:
        self._records = records
        self._calls = calls
        self._no_test_waits = False

    def settle_starts(self, targets: Iterable[Target]) -> None:
        """Wait until the starts that are under way are answered, or tried no more.

        As soon as no test waits for a job (`no_test_waits`), wait for `SETTLE_S` only, so that what
        a host has just begun is there to be cleaned.
        """
        waited = list(targets)

        def settled() -> bool:
            return self._records.closing or not any(target.starting for target in waited)

        with self._records.changed:
            self._records.changed.wait_for(lambda: self._no_test_waits or settled())
            self._records.changed.wait_for(settled, SETTLE_S)

    def no_test_waits(self) -> None:
        """Take note that no test of the run waits for a job any more."""
        with self._records.changed:
            self._no_test_waits = True
            self._records.changed.notify_all()

    def stop(self, targets: Iterable[Target]) -> None:
        """Wait for nothing any more: end the calls that are under way to some targets.

        The jobs that still run there count as cancelled here, but on the targets they go on."""
        self._records.close()
        stopped = set(targets)
        for target in stopped:
            _close_transport(target)
        self._records.cancel_all(r for r in self._records.values() if r.target in stopped)

    def close(
        self,
        targets: Iterable[Target],
        *,
        keep: bool = False,
        within_s: float | None = None,
        ask_about: Iterable[Record] = (),
        interrupted: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """End all jobs and remove all files, unless ``keep``; and end all connections.

        Takes ``within_s`` seconds (None: `CLEAN_S`) and a moment at the most. As soon as
        ``interrupted()``, no answer is waited for any more. Jobs that still ran are cancelled; a
        target is asked before about those of ``ask_about``, for they may have just ended. Services
        and probes among these that then still live are stopped.

        Returns what did not work, a line for each target, with what may be left there. Raises
        nothing.
        """
        asked: dict[Target, list[Record]] = {}
        for record in ask_about:
            asked.setdefault(record.target, []).append(record)
        self._records.close()
        deadline = self._calls.now_s() + (CLEAN_S if within_s is None else within_s)
        troubles: dict[Target, str] = {}
        threads = {}
        targets = list(targets)
        asked = {target: asked.get(target, []) for target in targets}
        for target in targets:
            arguments = (target, keep, deadline, troubles, asked)
            thread = threading.Thread(target=self._clean, args=arguments, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads
                troubles[target] = f"{error}; {self._left_on(target)} may be left there"
                self._has_asked(target, asked)
            else:
                threads[target] = thread
        for thread in threads.values():
            while thread.is_alive() and self._calls.now_s() < deadline + 0.5 and not interrupted():
                thread.join(INTERRUPT_S)
        late = [target for target, thread in threads.items() if thread.is_alive()]
        why = "interrupted" if interrupted() else "no answer in time"
        for target in late:
            troubles[target] = f"{why}; {self._left_on(target)} may be left there"
        if late and interrupted():
            self._hang_up(late)
        self._records.cancel_all(self._records.values())
        return [f"{target.label}: {trouble}" for target, trouble in list(troubles.items())]

    def _left_on(self, target: Target) -> str:
        """Return what may be left on a target that has not answered, for people."""
        jobs = sum(r.target is target and r.result is None for r in self._records.values())
        directory = self._calls.run_directory(target)
        if not jobs:
            return directory
        return f"{jobs} {'job' if jobs == 1 else 'jobs'} (up to the time limit) and {directory}"

    def _hang_up(self, targets: Iterable[Target]) -> None:
        """End the connections to targets whose answers are not waited for any more."""
        threads = [
            threading.Thread(target=_close_transport, args=(t,), daemon=True) for t in targets
        ]
        for thread in threads:
            thread.start()
        deadline = self._calls.now_s() + HANG_UP_S
        for thread in threads:
            thread.join(max(0.0, deadline - self._calls.now_s()))

    def _clean(
        self,
        target: Target,
        keep: bool,
        deadline: float,
        troubles: dict[Target, str],
        asked: dict[Target, list[Record]],
    ) -> None:
        """Clean one target. ``asked``: the jobs that are to be asked about, by target; who has
        asked removes its own."""

        def left_s() -> float:
            return max(0.1, deadline - self._calls.now_s())

        calls, changed = self._calls, self._records.changed
        try:
            with changed:
                changed.wait_for(lambda: target.starting == 0, left_s() / 2)
            known = target.directory is not None
            if not known and not target.start_requested:
                return
            self._ask_all_last(target, asked, left_s() / 3)
            for failures in itertools.count(1):
                try:
                    with calls.turn(CLEAN_TURN_S):
                        reply = ask(target.transport, calls.clean(target, keep), left_s())
                    break
                except (Unreachable, BadReply):
                    pause_s = self._calls.pause_s(failures, deadline)
                    if pause_s is None or (not known and failures >= recovery.CLEAN_TRIES):
                        raise
                    sleep(pause_s)
            left = [f"{reply.left} processes could not be killed"] if reply.left else []
            left += [reply.refused["*"]] if "*" in reply.refused else []
            if left:
                troubles[target] = "; ".join(left)
        except Gone:
            pass  # the target, and everything on it
        except TargetError as error:
            # Who was never let in has left nothing. But the answer to a start may have been lost.
            if target.directory is not None or not isinstance(error, Refused):
                troubles[target] = f"{error}; {self._left_on(target)} may be left there"
        except Exception as error:
            said = log_internal_error(target, error)
            troubles[target] = f"{said}; {self._left_on(target)} may be left there"
        finally:
            self._has_asked(target, asked)
            _close_transport(target)

    def _ask_all_last(
        self, target: Target, asked: dict[Target, list[Record]], patience_s: float
    ) -> None:
        """Ask how jobs of a target stand, and wait while others are asked about theirs that live
        until the run's end.

        Two targets may be one computer, under two names: to clean one would end what the other is
        about to prove.
        """

        def last_asked() -> bool:
            return not any(r.ends_with_run for records in asked.values() for r in records)

        deadline = self._calls.now_s() + patience_s
        self._ask_last(target, [r for r in asked[target] if not r.state.final], patience_s)
        self._has_asked(target, asked)
        with self._records.changed:
            self._records.changed.wait_for(last_asked, max(0.0, deadline - self._calls.now_s()))

    def _has_asked(self, target: Target, asked: dict[Target, list[Record]]) -> None:
        with self._records.changed:
            asked.pop(target, None)
            self._records.changed.notify_all()

    def _ask_last(self, target: Target, records: Sequence[Record], patience_s: float) -> None:
        """Ask how jobs stand that nobody waits for any more: once, but about those that live until
        the run's end as often as there is no answer."""
        running = [record for record in records if record.runs]
        alive = any(record.ends_with_run for record in running)
        deadline = self._calls.now_s() + patience_s
        failures = 0
        while running and target.directory is not None:
            expire_s = PROOF_S if alive else 0
            try:
                call = self._calls.wait(target, running, expire_s, False, alive, at_end=True)
                with self._calls.turn(CLEAN_TURN_S):
                    left_s = max(0.1, deadline - self._calls.now_s())
                    reply = ask(target.transport, call, left_s)
            except Exception as error:  # the target is to be cleaned all the same
                failures += 1
                expected = isinstance(error, TargetError)
                why = str(error) if expected else log_internal_error(target, error)
                pause_s = self._calls.pause_s(failures, deadline)
                if not alive or pause_s is None or isinstance(error, Gone):
                    self._end_unproven(running, f"its target could not be asked: {why}")
                    return
                sleep(pause_s)
                continue
            self._records.take_reply(target, running, reply)
            running = [record for record in running if record.result is None]
            if is_full(reply):
                continue  # there was no room for all
            if reply.refused:
                self._end_unproven(running, "; ".join(reply.refused.values()))
            else:
                self._note_stopped(target, [r for r in running if r.ends_with_run], deadline)
            return

    def _note_stopped(self, target: Target, alive: Sequence[Record], deadline: float) -> None:
        """Note that the run ends services and probes that have lived until now, with the tail of
        what they have written, and what they have seen."""
        if not alive:
            return
        reports: dict[str, Report] = {}
        try:
            call = self._calls.tails(target, alive, 2 * SHOWN)
            reply = ask(target.transport, call, max(0.1, deadline - self._calls.now_s()))
            reports = {report.id: report for report in reply.reports}
        except Exception as error:  # that they have lived is proven, and they are to be ended
            if not isinstance(error, TargetError):
                log_internal_error(target, error)
        for record in alive:
            report = reports.get(record.spec.id)
            stopped = Result(State.STOPPED, ready_s=record.ready_s)
            if report is not None and not report.gone:
                stopped = report.result or replace(
                    stopped,
                    duration=report.running_s,
                    attempts=1,
                    stdout_kept=report.stdout,
                    stderr_kept=report.stderr,
                    window=report.window,
                )
            self._records.settle(record, stopped)

    def _end_unproven(self, records: Iterable[Record], why: str) -> None:
        """Note that the run ends jobs of which nobody knows how they stand."""
        for record in records:
            state = State.UNREACHABLE if record.ends_with_run else State.CANCELLED
            self._records.settle_all([record], state, f"{RUN_ENDED}, and {why}")


def _close_transport(target: Target) -> None:
    try:
        target.transport.close()
    except Exception as error:  # the others must be let go of too
        log_internal_error(target, error)
