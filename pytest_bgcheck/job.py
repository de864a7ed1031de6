"""The handle of a job: what a test holds. Thin; the runner does the work."""

from __future__ import annotations

import datetime

from .errors import StillRunning
from .model import Result, State
from .runner import Record, Runner
from .settings import duration


class Job:
    """One run of a check on one host.

    ``rc``, ``stdout``, ``stderr``, ``succeeded``, ``failed`` and ``duration`` are shortcuts to
    ``result()``, which waits for the job's end.
    """

    def __init__(self, runner: Runner, record: Record) -> None:
        self._runner = runner
        self._record = record

    def __repr__(self) -> str:
        return f"<Job {self.name!r} on {self.host}: {self.state}>"

    @property
    def name(self) -> str:
        return self._record.spec.check.name

    @property
    def host(self) -> str:
        """The host as testinfra names it, as in ``ssh://web1``."""
        return self._record.target.label

    @property
    def id(self) -> str:
        """The id: its directory on the target, and ``PYTEST_BGCHECK_JOB`` in its processes."""
        return self._record.spec.id

    @property
    def state(self) -> State:
        """What is known now, without asking the target."""
        return self._record.state

    def done(self) -> bool:
        """Return whether the result is in, without asking the target."""
        return self._record.result is not None

    def result(self, timeout: float | datetime.timedelta | None = None) -> Result:
        """Wait for the job to end and return its result, whatever it is.

        Without ``timeout`` (seconds) the wait's limit follows from the check's own. Raises
        :class:`StillRunning` when ``timeout`` is over; the job goes on.
        """
        limit = None if timeout is None else duration("timeout", timeout, above=None)
        record = self._record
        record.awaited = True
        if not self._runner.wait_for(lambda: record.result is not None, [record.target], limit):
            raise StillRunning(
                f"background check {self.name!r} on {self.host} is {self.state} after {limit:g} s"
            )
        assert record.result is not None
        return record.result

    def cancel(self) -> None:
        """End the job on its target: TERM, then KILL. It is ``cancelled`` unless it ended before.

        Raises a :class:`TargetError` if the target could not be asked.
        """
        self._runner.cancel(self._record)

    def tail(self) -> Result:
        """Ask the target and return how the job stands: while it runs, its output so far.

        Raises a :class:`TargetError` if the target could not be asked.
        """
        return self._runner.look(self._record)

    @property
    def rc(self) -> int | None:
        return self.result().rc

    @property
    def stdout(self) -> str:
        return self.result().stdout

    @property
    def stderr(self) -> str:
        return self.result().stderr

    @property
    def succeeded(self) -> bool:
        return self.result().succeeded

    @property
    def failed(self) -> bool:
        return self.result().failed

    @property
    def duration(self) -> float | None:
        return self.result().duration
