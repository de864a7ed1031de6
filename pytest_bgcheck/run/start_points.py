"""Jobs that are held back until a fixture has been set up (``after=``).

A job is not held back any more once its fixture has been set up with success, by whichever process
of the run. That process says so before it starts the job: if it dies, the others can. Several may
ask for the same start, for the target starts a job once.

No test waits in vain. One that waits for nothing but jobs that are held back says so
(`WaitsForStartPoint`). In the only process of a run, nobody can set a fixture up while that test
waits: the answer is at once that the job is never started. With workers, the controller gives that
answer when none of them can do it any more (`pytest_bgcheck.workers.held_back`). It is final: a
fixture that is set up later starts nothing. A wait that ends otherwise, as by its own time-out,
first makes sure that this answer is not under way (`GoesOn`).

Imported on first use.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Protocol

import pytest

from .. import log
from ..clocks import monotonic_s
from ..compat.pytest import running_item
from ..errors import WrongUse
from ..events import StartPointFailed, StartPointReached, job_key
from ..model import Result, State
from ..plan import PlannedJob
from ..suite.start_points import (
    keys_of_set_up,
    start_point_keys,
    start_points,
    wrong_start_point,
)
from ..target.hosts import HostRef
from ..target.records import Record, Target
from ..target.requests import Spec
from ..target.runner import Runner
from ..tasks import Task
from .judging import Judging, running_test
from .link import Link
from .messages import (
    GoesOn,
    InternalError,
    MayGoOn,
    NeverStarted,
    StartPointMessage,
    WaitsForStartPoint,
)

ANSWER_S = 10.0
"""How long a wait that is over waits for `MayGoOn`: a controller that is gone must not hold it."""


class Jobs(Protocol):
    """What is needed here of the session."""

    config: pytest.Config
    link: Link
    runner: Runner
    judging: Judging

    def plan(self, jobs: Iterable[PlannedJob[HostRef]]) -> list[tuple[Spec, Target]]:
        """Tell of planned jobs, and return what is to be submitted."""

    def submit(self, specs: Sequence[tuple[Spec, Target]]) -> list[Record]:
        """Start jobs, except those that are held back."""

    def release(self, records: Sequence[Record]) -> None:
        """Start jobs that were held back."""

    def hear_from_children(self) -> None:
        """Hear what forked children have said so far."""


class StartPoints:
    """Which jobs of a session are held back, and for which fixtures.

    A plugin of its own, registered once a check has a start point. Any thread may call.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._names: set[str] = set()
        self._planned: dict[tuple[Task, HostRef], tuple[PlannedJob[HostRef], set[str]]] = {}
        self._fixtures: dict[str, set[str]] = {}  # by the job's key
        self._reached: set[str] = set()
        self._never_started: dict[str, str] = {}
        self._numbers = itertools.count()
        self._may_go_on: set[int] = set()
        self._first_looks: dict[tuple[str, str], float] = {}
        self._thread = threading.get_ident()

    # --- what is held back --------------------------------------------------------------------

    def note_plan(self, jobs: Iterable[PlannedJob[HostRef]], items: Iterable[pytest.Item]) -> None:
        """Find the fixtures behind which planned jobs start; ``items``: all tests."""
        behind = [job for job in jobs if job.task.after is not None]
        by_test = {item.nodeid: item for item in items} if behind else {}
        for job in behind:
            wanting = [by_test[test] for test in (*job.awaited_by, *job.requested_by)]
            fixtures = start_point_keys(job.task, job.host, wanting)
            self._planned[job.task, job.host] = job, fixtures

    def watch(self, checks: Iterable[Task]) -> None:
        """Hear from now on of the fixtures that these checks name."""
        names = {task.after for task in checks if task.after is not None}
        if names and not self._names:
            self._jobs.config.pluginmanager.register(self, "bgcheck-start-points")
        self._names |= names

    def note_job(self, key: str, task: Task, ref: HostRef, declared: bool) -> None:
        """Find the fixtures behind which a job starts. Raises WrongUse if there are none."""
        if task.after is None:
            return
        if (task, ref) in self._planned:
            fixtures = self._planned[task, ref][1]
        else:
            # It is found only now: what counts is what the test sees that runs.
            item = self._jobs.judging.item
            wanting = [] if item is None else [item]
            wrong = wrong_start_point(task, wanting)
            if wrong:
                raise WrongUse(wrong)
            self.watch([task])
            fixtures = start_point_keys(task, ref, wanting, declared)
            for definition in start_points(task, wanting):
                if definition.cached_result is not None and definition.cached_result[2] is None:
                    for fixture in keys_of_set_up(definition, item):
                        self._reach(fixture)  # it is set up already
        known = self._fixtures.setdefault(key, set())
        if not fixtures <= known:
            known |= fixtures
            for fixture in fixtures & self._reached:
                self._jobs.link.tell(StartPointReached(fixture, (key,)))

    def holds(self, spec: Spec, target: Target) -> bool:
        """Return whether a job is not to be started yet, or never."""
        if spec.task.after is None:
            return False
        key = job_key(spec.id, target.key)
        if key in self._never_started:
            return True
        return not self._is_reached(key) and spec.id not in target.started_elsewhere

    def _is_reached(self, key: str) -> bool:
        return not self._reached.isdisjoint(self._fixtures.get(key, ()))

    def look_again(self) -> None:
        """Do what is due for the jobs that are held back: a word of another process may have come
        in between."""
        held_back = [r for r in self._jobs.runner.records.values() if r.waits_for_start]
        for record in held_back:
            detail = self._never_started.get(record.key)
            if detail is not None:
                result = Result(State.NOT_STARTED, detail=detail)
                self._jobs.runner.records.settle(record, result)
        reached = [r for r in held_back if r.waits_for_start and self._is_reached(r.key)]
        if reached:
            self._jobs.release(reached)

    # --- fixtures -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        __tracebackhide__ = True
        if fixturedef.argname not in self._names:
            return (yield)
        fixtures = keys_of_set_up(fixturedef, running_item(request))
        try:
            value = yield
        except BaseException as error:
            self._note_failure(fixtures, error)
            raise
        try:
            for fixture in fixtures:
                self._reach(fixture)
        except Exception as error:  # the fixture has been set up all the same
            line = log.internal_error(f"starting jobs behind {fixturedef.argname!r}", error)
            self._jobs.link.tell(InternalError(line))
        return value

    def _reach(self, fixture: str) -> None:
        """A fixture has been set up: start what was held back for it, if it is the first time."""
        if fixture in self._reached:
            return
        self._reached.add(fixture)
        specs = self._jobs.plan(job for job, behind in self._planned.values() if fixture in behind)
        keys = [key for key in self._keys_behind(fixture) if key not in self._never_started]
        self._jobs.link.tell(StartPointReached(fixture, tuple(keys)))
        self._jobs.submit(specs)
        self.look_again()

    def _note_failure(self, fixtures: Iterable[str], error: BaseException) -> None:
        reason = pytest.ExceptionInfo.from_exception(error).exconly().partition("\n")[0]
        for fixture in fixtures:
            self._jobs.plan(job for job, behind in self._planned.values() if fixture in behind)
            self._jobs.link.tell(StartPointFailed(tuple(self._keys_behind(fixture)), reason))

    def _keys_behind(self, fixture: str) -> list[str]:
        return [key for key, fixtures in list(self._fixtures.items()) if fixture in fixtures]

    # --- waiting ------------------------------------------------------------------------------

    def wait_for(
        self, ready: Callable[[], bool], records: Sequence[Record], timeout_s: float | None
    ) -> bool:
        """Wait as `Runner.wait_for`; if nobody can start the jobs, they end as not started."""
        wait = self._jobs.runner.records.wait_for
        end_s = math.inf if timeout_s is None else monotonic_s() + timeout_s

        def left_s() -> float | None:
            return None if end_s == math.inf else max(0.0, end_s - monotonic_s())

        def only_held_back() -> bool:
            left = [record for record in records if record.result is None]
            return bool(left) and all(record.held_back for record in left)

        patience_end_s = self._patience_end_s(records)
        self._jobs.hear_from_children()
        while True:
            self.look_again()
            if not wait(lambda: ready() or only_held_back(), records, left_s()):
                return False
            if wait(ready, records, 0):
                return True
            patience_s = min(patience_end_s, end_s) - monotonic_s()
            if patience_s > 0:
                wait(lambda: ready() or not only_held_back(), records, patience_s)
            else:
                with self._telling(records, only_held_back):
                    wait(lambda: ready() or not only_held_back(), records, left_s())
            if left_s() == 0:
                return wait(ready, records, 0)

    @contextlib.contextmanager
    def _telling(
        self, records: Sequence[Record], only_held_back: Callable[[], bool]
    ) -> Generator[None, None, None]:
        """Tell the run that a test waits for jobs that are held back, and that it goes on."""
        tell, known = self._jobs.link.tell, self._jobs.runner.records
        number = next(self._numbers)
        jobs = {r.key: tuple(self._fixtures[r.key]) for r in records if r.waits_for_start}
        tell(WaitsForStartPoint(number, running_test()[0], jobs))
        try:
            yield
        finally:
            tell(GoesOn(number))
            if only_held_back():
                answered = self._may_go_on.__contains__
                with known.changed:
                    known.changed.wait_for(lambda: answered(number) or known.closing, ANSWER_S)

    def _patience_end_s(self, records: Sequence[Record]) -> float:
        """Return until when a wait says nothing of its jobs that are held back.

        A thread may wait while the tests' own one sets fixtures up: it has waited when one that
        looks again and again would have.
        """
        if threading.get_ident() == self._thread or running_test()[1] != "setup":
            return -math.inf
        return max((self._looked_enough_s(r) for r in records if r.held_back), default=-math.inf)

    def _looked_enough_s(self, record: Record) -> float:
        """Return when a test that looks at a job since its first look has waited for it."""
        looker = record.key, running_test()[0]
        return self._first_looks.setdefault(looker, monotonic_s()) + record.timeout_s

    def look(self, record: Record) -> None:
        """Somebody looks at a job that is held back, perhaps again and again until it has ended.

        Nobody sets a fixture up meanwhile, as far as this process goes. So who still looks when the
        job could have run and ended has waited for it.
        """
        self.look_again()
        if self._looked_enough_s(record) < monotonic_s():
            self._jobs.runner.wait_for(lambda: not record.waits_for_start, [record], None)

    def hear(self, message: StartPointMessage) -> None:
        """Hear what the run says, from any thread."""
        records = self._jobs.runner.records
        match message:
            case StartPointReached():
                self._reached.add(message.fixture)
                self.look_again()
            case NeverStarted():
                self._never_started.update(message.details)
                self.look_again()
            case MayGoOn():
                with records.changed:
                    self._may_go_on.add(message.number)
                    records.changed.notify_all()
