"""What a test holds: the handle of a job. Thin; the runner does the work."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeVar

from ..clocks import unix_s
from ..errors import Gone, NoSuchJob, StillRunning, TargetError, WrongUse
from ..model import Output, Result, State
from ..readers import read_seconds, read_seconds_or_0
from ..tasks import Probe, Service, Task, not_started_yet
from .output import NoLine, OutputWait, compiled, is_since_now
from .records import Record
from .runner import Runner
from .uses import Use, User
from .window_block import WindowBlock

ReplyT = TypeVar("ReplyT")


class Job:
    """One run of a check, a service or a probe on one host.

    ``rc``, ``stdout``, ``stderr``, ``succeeded``, ``failed``, ``duration`` and ``attempts`` are
    shortcuts to ``result()``, which waits for the job's end. ``stdout`` and ``stderr`` raise
    :class:`OutputCut` unless all of it is here; ``stdout_kept`` and ``stderr_kept`` are what was
    kept.

    Whoever reads a verdict (``rc``, ``succeeded``, ``failed``, a final ``state``, ``result()``)
    judges the job. The other attributes only use it.

    A service has, besides, ``ready``, ``wait_ready()`` and ``stop()``, a probe ``window()`` and
    ``stop()``. While such a job lives, what would wait for its end raises :class:`WrongUse`, but
    ``result(timeout=...)``.
    """

    def __init__(self, runner: Runner, record: Record, user: User) -> None:
        self._runner = runner
        self._record = record
        self._user = user

    def __repr__(self) -> str:
        return f"<Job {self.name!r} on {self.host}: {self._record.state_shown}>"

    @property
    def name(self) -> str:
        """The name of its check, service or probe."""
        return self._record.name

    @property
    def host(self) -> str:
        """The host as testinfra names it, as in ``ssh://web1``. Two of one name are told apart."""
        return self._record.target.label

    @property
    def id(self) -> str:
        """The id: its directory on the target, and ``PYTEST_BGCHECK_JOB`` in its processes."""
        return self._record.spec.id

    @property
    def state(self) -> State:
        """What is known now, without asking the target."""
        self._runner.look(self._record)
        state = self._record.state_shown
        self._user.note_use(self._record, Use.VERDICT if state.final else Use.HOLD)
        return state

    def done(self) -> bool:
        """Return whether the result is in, without asking the target."""
        self._runner.look(self._record)
        self._user.note_use(self._record, Use.HOLD)
        return self._record.result is not None

    def result(self, timeout: float | datetime.timedelta | None = None) -> Result:
        """Wait for the job to end and return its result, whatever it is.

        Without ``timeout`` (seconds) the wait's limit follows from the check's own. Raises
        :class:`StillRunning` when ``timeout`` is over; the job goes on.
        """
        __tracebackhide__ = True
        limit_s = None if timeout is None else read_seconds_or_0("timeout", timeout)
        return self._ended(Use.RESULT, limit_s)

    def _ended(self, use: Use, limit_s: float | None = None, ends: bool = False) -> Result:
        """Wait for its end. ``ends``: it is known to come."""
        __tracebackhide__ = True
        record = self._record
        ends = ends or limit_s is not None or record.ending_s is not None
        if record.ends_with_run and not ends:
            self._runner.look(record)
            if record.result is None:
                ready = record.state is record.spec.task.ready_state
                runs = "still runs" if ready else "is still starting"
                raise WrongUse(
                    f"{self._title} {runs}: tail() is its output so far, stop() ends it and returns"
                    " its result"
                )
        if not self._wait_until(lambda: record.result is not None, limit_s):
            raise StillRunning(
                f"{self._title} is still {record.state_shown} {self._after(limit_s)}"
            )
        assert record.result is not None
        self._user.note_use(record, use)
        return record.result

    def _wait_until(self, happened: Callable[[], bool], limit_s: float | None) -> bool:
        __tracebackhide__ = True
        self._user.note_use(self._record, Use.HOLD)
        self._runner.want(self._record)
        return self._user.wait_until(happened, self._record, limit_s)

    def _after(self, limit_s: float | None, why: str = "") -> str:
        """Return how long a wait took that was in vain, why it was, and what becomes of the job."""
        record = self._record
        why = record.tries.text(unix_s()) if record.tries is not None else why
        not_yet = not_started_yet(record.spec.task.after)
        goes_on = not_yet if record.waits_for_start else "it goes on"
        return f"after {limit_s:g} s of waiting{why and f': {why}'}; {goes_on}"

    @property
    def _title(self) -> str:
        return f"{self._record.spec.task.title} on {self.host}"

    # --- services and probes ------------------------------------------------------------------

    def _service(self, asked: str) -> Service:
        """Return its task. Raises WrongUse if it is no service."""
        __tracebackhide__ = True
        if self._record.service is None:
            raise self._has_no(asked, "service")
        return self._record.service

    def _probe(self, asked: str) -> Probe:
        """Return its task. Raises WrongUse if it is no probe."""
        __tracebackhide__ = True
        if self._record.probe is None:
            raise self._has_no(asked, "probe")
        return self._record.probe

    def _has_no(self, asked: str, kind: str) -> WrongUse:
        """Return the error of who asks a job of another kind for something."""
        has = "result() waits for its end, cancel() ends it"
        if self._record.ends_with_run:
            has = "stop() ends it, tail() is its output so far"
            has += ", window() asks what it sees" if self._record.probe is not None else ""
        return WrongUse(f"{self._title} is no {kind}, and has no {asked}: {has}")

    @property
    def ready(self) -> bool:
        """True if the service is ready, as far as is known now, without asking the target."""
        __tracebackhide__ = True
        self._service("ready")
        self._runner.look(self._record)
        self._user.note_use(self._record, Use.HOLD)
        return self._record.state is State.READY

    def wait_ready(self, timeout: float | datetime.timedelta | None = None) -> None:
        """Wait until the service is ready.

        Raises an AssertionError with its output if it ends before, or has ended since, and one that
        says what it waits for when ``timeout`` (seconds) is over; then the service goes on. Without
        ``timeout`` the wait's limit follows from the service's own ``ready_timeout``.
        """
        __tracebackhide__ = True
        service, record = self._service("wait_ready()"), self._record
        limit_s = None if timeout is None else read_seconds_or_0("timeout", timeout)
        if not self._wait_until(lambda: record.decided, limit_s):
            why = "it has not been seen to run"
            if service.ready_output is not None:
                why = f"no line of its output has matched {service.ready_output!r}"
            elif service.ready_argv:
                why = f"its ready command has not succeeded: {service.ready}"
            raise AssertionError(f"{self._title} not ready {self._after(limit_s, why)}")
        if record.result is not None:
            self._user.note_use(record, Use.VERDICT)
            raise AssertionError(self._user.failure(record))

    def window(self) -> WindowBlock:
        """Return a block that asks the probe what it sees in it: ``with vip.window() as seen:``.

        The window is opened when the block is entered, behind the probe's first sample, and closed
        when it is left. Then ``seen`` has what a :class:`Window` has, as ``max_outage_s``,
        ``available`` and ``outages``. Raises :class:`NotProven`, an AssertionError, if the window
        cannot be opened, or if nobody knows what was seen; an error that leaves the block stays.
        """
        __tracebackhide__ = True
        probe, record = self._probe("window()"), self._record

        def first_sample() -> bool:
            __tracebackhide__ = True
            return self._wait_until(lambda: record.decided, None)

        return WindowBlock(self._runner, record, probe, self._user, first_sample)

    def stop(self) -> Result:
        """End the service, or the probe, on its target: TERM, then KILL; wait for its end and
        return its result.

        Its state is ``stopped``, unless it has ended before. Raises a :class:`TargetError` if the
        target could not be asked. Judges nothing.
        """
        __tracebackhide__ = True
        if not self._record.ends_with_run:
            raise self._has_no("stop()", "service or probe")
        with contextlib.suppress(Gone):  # and the job with it, as its result says
            self.cancel()
        # Who tidies up looks at no result: a death before that is to be told all the same.
        return self._ended(Use.OUTPUT, ends=True)

    def cancel(self) -> None:
        """End the job on its target: TERM, then KILL. It is ``cancelled`` unless it ended before; a
        service or a probe is ``stopped``.

        Raises a :class:`TargetError` if the target could not be asked.
        """
        __tracebackhide__ = True
        self._ask(self._runner.cancel)

    def tail(self) -> Result:
        """Ask the target and return how the job stands: while it runs, its output so far.

        Then its ``state`` is not final, and it has neither ``succeeded`` nor ``failed``. Raises a
        :class:`TargetError` if the target could not be asked.
        """
        __tracebackhide__ = True
        result = self._ask(self._runner.tail)
        if result.state.final:
            self._user.note_use(self._record, Use.OUTPUT)
        return result

    def wait_for_output(
        self,
        regex: str | re.Pattern[str],
        timeout: float | datetime.timedelta | None = None,
        since: Literal["now"] | None = None,
    ) -> re.Match[str]:
        """Wait until the job has written a line that the regular expression is found in; return the
        match.

        Each complete line of standard output and of standard error is searched, decoded as UTF-8,
        without its end; the last line also without an end, once the job has ended. Lines that were
        written before count, unless ``since="now"``. Of a line of more than 1 MiB only the first
        MiB is searched.

        Raises an AssertionError with the output so far if no line matches within ``timeout``
        (seconds; None: as long as the job lives), or before the job has ended; the job goes on. If
        output was cut out on the target before it could be searched, that is said. A job that has
        not started yet is waited for within the timeout. Any thread may call.
        """
        __tracebackhide__ = True
        if self._record.probe is not None:
            raise WrongUse(
                f"{self._title} is a probe, whose output begins anew with each sample:"
                " wait_for_output() is for checks and services"
            )
        pattern, since_now = compiled(regex), is_since_now(since)
        limit_s = None if timeout is None else read_seconds("timeout", timeout)
        record = self._record
        wait = OutputWait(self._runner, record, pattern, limit_s, since_now, self._wait_until)
        found = wait.match()
        if isinstance(found, NoLine):
            # Who fails since it has ended before has told how it ended.
            self._user.note_use(record, Use.HOLD if found.result is None else Use.VERDICT)
            raise AssertionError(self._user.no_line(record, found))
        self._user.note_use(record, Use.OUTPUT)
        return found

    def _ask(self, question: Callable[[Record], ReplyT]) -> ReplyT:
        __tracebackhide__ = True
        self._user.note_use(self._record, Use.HOLD)
        try:
            return question(self._record)
        except TargetError as error:
            # Alone: its traceback and its cause show the request, which says nothing to a test.
            raise error.with_traceback(None) from None

    @property
    def rc(self) -> int | None:
        """The exit code, None unless the command ended by itself. Waits; judges the job."""
        __tracebackhide__ = True
        return self._ended(Use.VERDICT).rc

    @property
    def stdout(self) -> str:
        """Standard output as text. Waits. Raises :class:`OutputCut` unless all of it is here."""
        __tracebackhide__ = True
        return self._ended(Use.OUTPUT).stdout

    @property
    def stderr(self) -> str:
        """Standard error as text. Waits. Raises :class:`OutputCut` unless all of it is here."""
        __tracebackhide__ = True
        return self._ended(Use.OUTPUT).stderr

    @property
    def stdout_kept(self) -> Output:
        """What was kept of standard output. Waits."""
        __tracebackhide__ = True
        return self._ended(Use.OUTPUT).stdout_kept

    @property
    def stderr_kept(self) -> Output:
        """What was kept of standard error. Waits."""
        __tracebackhide__ = True
        return self._ended(Use.OUTPUT).stderr_kept

    @property
    def succeeded(self) -> bool:
        """True if its exit code is one that its check accepts. Waits; judges the job."""
        __tracebackhide__ = True
        return self._ended(Use.VERDICT).succeeded

    @property
    def failed(self) -> bool:
        """True if it did not succeed, whatever the reason. Waits; judges the job."""
        __tracebackhide__ = True
        return self._ended(Use.VERDICT).failed

    @property
    def duration(self) -> float | None:
        """Seconds that it took on the target, None if that is not known. Waits."""
        __tracebackhide__ = True
        return self._ended(Use.OUTPUT).duration

    @property
    def attempts(self) -> int:
        """How often its command was run, more than once with ``retry_every``. Waits."""
        __tracebackhide__ = True
        return self._ended(Use.OUTPUT).attempts


class JobsOnHosts(Mapping[str, Job]):
    """The jobs of a task that is pinned to several hosts, by hostspec, in the declared order.

    ``[...]`` takes a hostspec as it was declared, or a job's ``host``. A hostspec that stands for
    several hosts gives each of them by its own name. A job that has several names counts once, by
    the first one.
    """

    def __init__(self, task: Task, jobs: Mapping[str, Job]) -> None:
        self._name, self._title = task.name, task.title
        self._jobs = jobs
        first_names: dict[Job, str] = {}
        for host, job in jobs.items():
            first_names.setdefault(job, host)
        self._names = list(first_names.values())

    def __repr__(self) -> str:
        return f"<Jobs {self._name!r} on {', '.join(self)}>"

    def __getitem__(self, host: str) -> Job:
        __tracebackhide__ = True
        if host in self._jobs:
            return self._jobs[host]
        labelled = [job for job in map(self._jobs.__getitem__, self) if job.host == host]
        if len(labelled) == 1:
            return labelled[0]
        raise NoSuchJob(f"{self._title} has no job on {host}; it has one on: {self._hosts}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getattr__(self, attribute: str) -> object:
        __tracebackhide__ = True
        if attribute.startswith("_") or not hasattr(Job, attribute):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
        raise AttributeError(
            f"{self._title} has a job on each of: {self._hosts}; name one, as in"
            f" {self._name}[{next(iter(self))!r}].{attribute}"
        )

    @property
    def _hosts(self) -> str:
        return ", ".join(self)
