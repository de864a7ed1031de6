"""What a test holds: the handle of a job. Thin; the runner does the work."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from ..clocks import unix_s
from ..errors import StillRunning, TargetError
from ..model import Output, Result, State
from ..readers import read_seconds_or_0
from .records import Record
from .runner import Runner

ReplyT = TypeVar("ReplyT")


class Job:
    """One run of a check on one host.

    ``rc``, ``stdout``, ``stderr``, ``succeeded``, ``failed`` and ``duration`` are shortcuts to
    ``result()``, which waits for the job's end. ``stdout`` and ``stderr`` raise :class:`OutputCut`
    unless all of it is here; ``stdout_kept`` and ``stderr_kept`` are what was kept.

    Whoever reads a verdict (``rc``, ``succeeded``, ``failed``, a final ``state``, ``result()``)
    judges the job. The other attributes only use it.
    """

    def __init__(
        self, runner: Runner, record: Record, on_use: Callable[[Record, bool], None]
    ) -> None:
        """``on_use`` is told of each use of the handle; True: the job's verdict was read."""
        self._runner = runner
        self._record = record
        self._on_use = on_use

    def __repr__(self) -> str:
        return f"<Job {self.name!r} on {self.host}: {self._record.state}>"

    @property
    def name(self) -> str:
        """The name of its check."""
        return self._record.name

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
        self._runner.resume(self._record.target)
        state = self._record.state
        self._on_use(self._record, state.final)
        return state

    def done(self) -> bool:
        """Return whether the result is in, without asking the target."""
        self._runner.resume(self._record.target)
        self._on_use(self._record, False)
        return self._record.result is not None

    def result(self, timeout: float | datetime.timedelta | None = None) -> Result:
        """Wait for the job to end and return its result, whatever it is.

        Without ``timeout`` (seconds) the wait's limit follows from the check's own. Raises
        :class:`StillRunning` when ``timeout`` is over; the job goes on.
        """
        __tracebackhide__ = True
        result = self._ended(timeout)
        self._on_use(self._record, True)
        return result

    def _ended(self, timeout: float | datetime.timedelta | None = None) -> Result:
        __tracebackhide__ = True
        limit = None if timeout is None else read_seconds_or_0("timeout", timeout)
        record = self._record
        self._on_use(record, False)
        self._runner.want(record)
        if not self._runner.wait_for(lambda: record.result is not None, [record.target], limit):
            said = f": {record.tries.text(unix_s())}" if record.tries is not None else ""
            raise StillRunning(
                f"background check {self.name!r} on {self.host} is still {record.state} after"
                f" {limit:g} s of waiting{said}; it goes on"
            )
        assert record.result is not None
        return record.result

    def cancel(self) -> None:
        """End the job on its target: TERM, then KILL. It is ``cancelled`` unless it ended before.

        Raises a :class:`TargetError` if the target could not be asked.
        """
        __tracebackhide__ = True
        self._ask(self._runner.cancel)

    def tail(self) -> Result:
        """Ask the target and return how the job stands: while it runs, its output so far.

        Raises a :class:`TargetError` if the target could not be asked.
        """
        __tracebackhide__ = True
        return self._ask(self._runner.tail)

    def _ask(self, question: Callable[[Record], ReplyT]) -> ReplyT:
        __tracebackhide__ = True
        self._on_use(self._record, False)
        try:
            return question(self._record)
        except TargetError as error:
            # Alone: its traceback and its cause show the request, which says nothing to a test.
            raise error.with_traceback(None) from None

    @property
    def rc(self) -> int | None:
        """The exit code, None unless the command ended by itself. Waits; judges the job."""
        return self.result().rc

    @property
    def stdout(self) -> str:
        """Standard output as text. Waits. Raises :class:`OutputCut` unless all of it is here."""
        __tracebackhide__ = True
        return self._ended().stdout

    @property
    def stderr(self) -> str:
        """Standard error as text. Waits. Raises :class:`OutputCut` unless all of it is here."""
        __tracebackhide__ = True
        return self._ended().stderr

    @property
    def stdout_kept(self) -> Output:
        """What was kept of standard output. Waits."""
        return self._ended().stdout_kept

    @property
    def stderr_kept(self) -> Output:
        """What was kept of standard error. Waits."""
        return self._ended().stderr_kept

    @property
    def succeeded(self) -> bool:
        """True if its exit code is one that its check accepts. Waits; judges the job."""
        return self.result().succeeded

    @property
    def failed(self) -> bool:
        """True if it did not succeed, whatever the reason. Waits; judges the job."""
        return self.result().failed

    @property
    def duration(self) -> float | None:
        """Seconds that it took on the target, None if that is not known. Waits."""
        return self._ended().duration


class JobsOnHosts(Mapping[str, Job]):
    """The jobs of a check that is pinned to several hosts, by hostspec, in the declared order.

    ``[...]`` takes a hostspec as it was declared, or a job's ``host``. A hostspec that stands for
    several hosts gives each of them by its own name.
    """

    def __init__(self, name: str, jobs: Mapping[str, Job]) -> None:
        self._name = name
        self._jobs = jobs

    def __repr__(self) -> str:
        return f"<Jobs {self._name!r} on {', '.join(self)}>"

    def __getitem__(self, host: str) -> Job:
        __tracebackhide__ = True
        labelled = [job for job in self._jobs.values() if job.host == host]
        if host in self._jobs:
            return self._jobs[host]
        if len(labelled) == 1:
            return labelled[0]
        raise KeyError(
            f"background check {self._name!r} has no job on {host}; it has one on: {self._hosts}"
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    def __getattr__(self, attribute: str) -> object:
        __tracebackhide__ = True
        if attribute.startswith("_") or not hasattr(Job, attribute):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
        raise AttributeError(
            f"background check {self._name!r} has a job on each of: {self._hosts}; name one, as in"
            f" {self._name}[{next(iter(self))!r}].{attribute}"
        )

    @property
    def _hosts(self) -> str:
        return ", ".join(self)
