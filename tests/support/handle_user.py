"""A user of handles, outside of a session."""

import threading
from collections.abc import Callable

from pytest_bgcheck.report.no_line import no_line
from pytest_bgcheck.target.output import NoLine
from pytest_bgcheck.target.records import Record
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.uses import Use
from pytest_bgcheck.target.watching import ClosedWindow


class HandleUser:
    """Keeps what it is told: the ``uses``, the ``windows``, and the blocks ``never_entered``.

    ``longest_s``: how long it waits for what takes as long as the job.
    """

    runs_tests = True

    def __init__(self, runner: Runner, longest_s: float | None = None) -> None:
        self.runner = runner
        self.uses: list[Use] = []
        self.windows: list[ClosedWindow] = []
        self.never_entered: list[str] = []
        self._longest_s = longest_s
        self._lock = threading.Lock()

    def note_use(self, record: Record, use: Use) -> None:
        with self._lock:
            self.uses.append(use)

    def wait_until(
        self, happened: Callable[[], bool], record: Record, limit_s: float | None
    ) -> bool:
        longest_s = self._longest_s if limit_s is None else limit_s
        return self.runner.wait_for(happened, [record], longest_s)

    def failure(self, record: Record) -> str:
        return f"the failure of {record.name}"

    def no_line(self, record: Record, found: NoLine) -> str:
        return no_line(record.spec.task, record.target.label, found)

    def note_window(self, closed: ClosedWindow) -> None:
        with self._lock:
            self.windows.append(closed)

    def if_never_entered(self, said: str) -> Callable[[], None]:
        return lambda: self.never_entered.append(said)

    def ends_run(self, error: BaseException) -> bool:
        return isinstance(error, KeyboardInterrupt)
