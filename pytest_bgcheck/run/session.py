"""The jobs of one pytest session: which there are, and what was used of them.

Stands between the hooks (plugin) and the threads (runner), and turns declarations and hosts into
jobs. Inside of the run a job is the runner's record; a test gets a handle of it. Imported on first
use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import pytest

from ..clocks import unix_s
from ..errors import WrongUse
from ..events import (
    JobEnded,
    JobPlanned,
    JobReady,
    JobStarted,
    JobWanted,
    TargetTried,
    WindowClosed,
    job_key,
)
from ..ledger import RUN_ENDED
from ..model import Result, State, Tries
from ..options import Settings, keeps_order
from ..originals import secrets
from ..plan import PlannedJob
from ..report import text, tree
from ..report.no_line import no_line
from ..suite.collection import Collection, check_size, planned_jobs
from ..suite.declaration import Declaration
from ..suite.fixtures import RequestedFixtures
from ..suite.made_commands import with_command
from ..suite.order import waiting_last
from ..target import connection, hosts
from ..target.address import TargetAddress
from ..target.host_transport import HostTransport
from ..target.hosts import HostRef
from ..target.job import Job, JobsOnHosts
from ..target.output import NoLine
from ..target.records import OTHER_TERMS, Record, Target
from ..target.requests import Spec
from ..target.runner import Runner
from ..target.uses import Use
from ..target.watching import ClosedWindow
from ..tasks import Task
from .handle_wait import wait_until
from .judging import Judging
from .link import Link
from .messages import InternalError, JobsOnTarget, NewOrder, StartPointMessage, TargetUsed
from .never_entered import NeverEntered
from .new_order import new_order
from .outcomes import TrueTimes
from .standing import verdict
from .start_points import StartPoints


class Session:
    """The plugin's state of a pytest session.

    ``planned``: what the collected items want. ``new_order``: of the items, if it is another.
    ``started``: jobs are started when they are wanted;
    False in modes that run no test. ``ended_at``: when each job's end was known here, by key;
    ``ready_at``: when that a service is ready.
    ``undeclared``: the jobs that were started by calls, by name.
    """

    def __init__(self, session: pytest.Session, settings: Settings, link: Link) -> None:
        self.pytest_session = session
        self.config = config = session.config
        self.settings = settings
        self.link = link
        self.collection = Collection(config, settings.timeouts_s)
        self.requested_fixtures = RequestedFixtures()
        self.start_points = StartPoints(self)
        self.runner = Runner(
            link.run_id,
            base=settings.dir,
            forks=settings.forks,
            on_start=self._on_start,
            on_ready=self._on_ready,
            on_end=self._on_end,
            on_want=lambda record: self.link.tell(JobWanted(record.key)),
            on_tries=self._on_tries,
            on_unexpected=lambda line: self.link.tell(InternalError(line)),
            held_back=self.start_points,
        )
        self.judging = Judging(lambda event: self.link.tell(event))
        self._never_entered = NeverEntered(self.judging)
        self.planned: list[PlannedJob[HostRef]] = []
        self.labels = hosts.Labels()
        self.new_order: NewOrder | None = None
        self.started = False
        self.ended_at: dict[str, float] = {}
        self.ready_at: dict[str, float] = {}
        self.on_fork: Callable[[], None] = lambda: None
        self.hear_from_children: Callable[[], None] = lambda: None
        self.restore_log: Callable[[], None] = lambda: None
        self.undeclared: dict[str, list[Record]] = {}
        self._undeclared_checks: dict[tuple[str, str], Task] = {}
        self._handles: dict[Record, Job] = {}
        self._targets: dict[tuple[HostRef, bool | None, str | None], Target] = {}
        self._unused: dict[Target, TargetAddress] = {}
        self._told_keys: set[str] = set()
        self._elsewhere: dict[str, list[JobsOnTarget]] = {}
        self._started_hosts: set[HostRef] = set()
        self._lock = threading.Lock()
        self._in_child = False

    def _on_start(self, record: Record) -> None:
        target, spec = record.target, record.spec
        assert target.directory is not None
        task = spec.task
        command = "" if task.make_command is None or not task.has_command else task.command
        commands = {spec.id: command} if command else {}
        self.link.tell(JobsOnTarget(target.key, target.directory, {spec.id: spec.terms}, commands))
        self.link.tell(JobStarted(record.key, self.link.worker, unix_s(), command))

    def _on_ready(self, record: Record) -> None:
        assert record.ready_s is not None
        now = self.ready_at[record.key] = unix_s()
        self.link.tell(JobReady(record.key, record.ready_s, now))

    def _on_tries(self, records: Sequence[Record], tries: Tries | None) -> None:
        keys = tuple(record.key for record in records)
        self.link.tell(TargetTried(self.link.worker, keys, tries))

    def _on_end(self, record: Record) -> None:
        assert record.result is not None
        # That this session has ended, or that it asked wrongly, is not the job's end.
        # Nor that a forked child cannot start it.
        this_session_only = record.result.detail in (RUN_ENDED, OTHER_TERMS)
        if not this_session_only and not (self._in_child and record.held_back):
            now = self.ended_at[record.key] = unix_s()
            limit = record.spec.task.output_limit
            self.link.tell(JobEnded.of(record.key, record.result, now, limit))

    def order_items(self, items: list[pytest.Item]) -> None:
        """Have the items that await run behind the others, unless the order is to be kept."""
        if self.settings.order == "last" and not keeps_order(self.config):
            order = waiting_last(items, self.link.durations)
            if order.behind:
                self.new_order = new_order(items, order)
                self.link.tell(self.new_order)
                items[:] = [items[n] for n in order.tests]

    def make_plan(self, items: Sequence[pytest.Item]) -> None:
        self.planned = planned_jobs(items)
        for job in self.planned:
            self.labels.of(job.host)  # all are known before the first is named
        self.start_points.note_plan(self.planned, items)

    def start_planned(self) -> None:
        """Start this session's share of the planned jobs: all jobs of a host, by one call.

        Another session's share is started here only where a test wants a job of it before.
        """
        self.started = True
        self.config.pluginmanager.register(self.judging, "bgcheck-judging")
        self.config.pluginmanager.register(self._never_entered, "bgcheck-never-entered")
        self.config.pluginmanager.register(TrueTimes(), "bgcheck-true-times")
        self.restore_log = connection.silence()
        self.start_points.watch(self.collection.checks())
        self.link.listen(self)
        refs = list(dict.fromkeys(job.host for job in self.planned))
        self._start_on(refs[self.link.index :: self.link.count])

    def start_named(self, name: str) -> None:
        """Start the planned jobs of a name, on all hosts, unless they were started before."""
        if self.started:
            named = [job for job in self.planned if job.task.name == name]
            self._start_on(job.host for job in named)
            self.submit(self.plan(named))  # also those that are held back

    def _start_on(self, refs: Iterable[HostRef]) -> None:
        """Start, or attach to, the planned jobs of some hosts that are not held back."""
        new = set(refs) - self._started_hosts
        self._started_hosts |= new
        specs = self.plan(job for job in self.planned if job.host in new)
        self.submit([job for job in specs if not self.start_points.holds(*job)])

    def plan(self, jobs: Iterable[PlannedJob[HostRef]]) -> list[tuple[Spec, Target]]:
        """Tell of planned jobs, and return what is to be submitted."""
        specs = []
        for job in jobs:
            spec, target = self._spec(job.task, job.host, declared=True)
            specs.append((spec, target))
            # Also the tests that are to await it: they may end before they do.
            for test in [*job.requested_by, *job.awaited_by]:
                self.judging.note_request(job_key(spec.id, target.key), test)
        return specs

    def _spec(
        self, task: Task, ref: HostRef, declared: bool, alone: bool = False
    ) -> tuple[Spec, Target]:
        """Return a task on a host as a job of this run, and tell of it, if it is new.

        ``alone``: no other call, here or in another process, means this job.
        """
        target = self._target(ref, task.sudo, task.sudo_user)
        # A job that a call starts is known by its command, once a function has made that; a
        # declared one by where its function stands, so that any worker can await it.
        terms = task.terms(self.link.salt) if declared or task.has_command else ""
        if alone:
            id = task.id_on(ref.name, self.link.run_id, secrets.token_hex(8), self.runner.owner)
        else:
            id = task.id_on(ref.name, self.link.run_id, terms if declared else "")
        key = job_key(id, target.key)
        self.start_points.note_job(key, task, ref, declared)
        if key not in self._told_keys:
            self._told_keys.add(key)
            self.link.tell(JobPlanned.of(id, target.key, task, target.label, unix_s()))
        return Spec(id, task, terms), target

    def submit(self, specs: Sequence[tuple[Spec, Target]]) -> list[Record]:
        """Return the records of jobs; start those that are new, and not held back."""
        self._tell_used(t for spec, t in specs if not self.start_points.holds(spec, t))
        records = self.runner.submit(specs)
        # Perhaps a start point was reached in between.
        self._tell_used(record.target for record in records if not record.held_back)
        if any(record.waits_for_start for record in records):
            self.start_points.look_again()
        return records

    def release(self, records: Sequence[Record]) -> None:
        """Start jobs that were held back."""
        self._tell_used(record.target for record in records)
        self.runner.release(records)

    def _tell_used(self, targets: Iterable[Target]) -> None:
        for target in targets:
            address = self._unused.pop(target, None)
            if address is not None:
                self.link.tell(TargetUsed(address))

    def _target(self, ref: HostRef, sudo: bool | None, sudo_user: str | None) -> Target:
        login = (ref, sudo, sudo_user)
        with self._lock:
            target = self._targets.get(login)
            if target is None:
                transport = HostTransport(ref.backend, sudo, sudo_user, self._in_child)
                address = hosts.address_of(ref, sudo, sudo_user)
                target = Target(self.labels.of(ref), ref.identity, transport, address.key)
                target.with_command = lambda spec: self._with_command(spec, ref)
                self._targets[login] = target
                self._unused[target] = address
                for jobs in self._elsewhere.get(address.key, ()):
                    self.runner.started_elsewhere(target, jobs.directory, jobs.terms, jobs.commands)
        return target

    def _with_command(self, spec: Spec, ref: HostRef) -> Spec:
        """Return a job's Spec with the command that a function makes. Raises WrongUse."""
        with hosts.own_host(ref) as host:
            task = with_command(spec.task, host)
        return Spec(spec.id, task, spec.terms or task.terms(self.link.salt))

    def started_elsewhere(self, jobs: JobsOnTarget) -> None:
        """Take note of jobs that another session has started on a target."""
        with self._lock:
            self._elsewhere.setdefault(jobs.target, []).append(jobs)
            for target in self._targets.values():
                if target.key == jobs.target:
                    self.runner.started_elsewhere(target, jobs.directory, jobs.terms, jobs.commands)

    def hear(self, message: StartPointMessage) -> None:
        """Hear what becomes of jobs that are held back, from any thread."""
        self.start_points.hear(message)

    def plan_lines(self) -> list[str]:
        """Return the plan as a tree, for people."""
        durations = self.link.durations
        declared = self.collection.checks()
        return tree.tree(self.planned, declared, durations, self.labels.of)

    # --- while it runs ------------------------------------------------------------------------

    def declared(self, declaration: Declaration, name: str, host: object) -> Job | JobsOnHosts:
        """Return a declared check's job on a host, or its jobs if it is pinned to several; start
        what was not planned.
        """
        task = self.collection.check_of(declaration, name)
        if task.host is None:
            return self.handle(self.record(task, hosts.ref_of_fixture(host)))
        refs = self.collection.pinned_hosts(task.host)
        jobs = {spec: self.handle(self.record(task, ref)) for spec, ref in refs.items()}
        return jobs[task.host] if isinstance(task.host, str) else JobsOnHosts(task, jobs)

    def handle(self, record: Record) -> Job:
        """Return a job as tests see it: the same object each time."""
        self.note_use(record, Use.HOLD)
        if record not in self._handles:
            self._handles[record] = Job(self.runner, record, self)
        return self._handles[record]

    def note_use(self, record: Record, use: Use) -> None:
        """Take note of what a test does with a job."""
        if self.started:
            self.judging.note_use(record.key, use)

    def wait_until(
        self, happened: Callable[[], bool], record: Record, limit_s: float | None
    ) -> bool:
        """Wait for a job by its handle. See `pytest_bgcheck.run.handle_wait`."""
        __tracebackhide__ = True
        return wait_until(happened, record, limit_s, self.runner, self.link, self.judging)

    def failure(self, record: Record) -> str:
        """Return the failure of a job that is used by its handle."""
        waited_s = self.judging.waited_s.get(record.key)
        return text.failure([verdict(record, None, waited_s, unix_s(), self.settings.keep)])

    def no_line(self, record: Record, found: NoLine) -> str:
        """Return the failure of a wait for a line of a job's output."""
        return no_line(record.spec.task, record.target.label, found)

    @property
    def runs_tests(self) -> bool:
        return self.started

    def note_window(self, closed: ClosedWindow) -> None:
        """Tell of a window that a test has asked for through a handle."""
        window, opened = closed.window, closed.opened
        self.link.tell(
            WindowClosed(
                opened.record.key,
                self.judging.test,
                self.link.worker,
                opened.opened_at,
                closed.closed_at,
                window,
                not_proven=closed.not_proven if window is None else window.why_not_proven,
            )
        )

    def if_never_entered(self, said: str) -> Callable[[], None]:
        """Return what says that a block of the test that runs can be entered no more."""
        test = self.judging.test
        return lambda: self._never_entered.note(said, test)

    def ends_run(self, error: BaseException) -> bool:
        """Return whether what leaves a block ends the run."""
        return isinstance(error, (KeyboardInterrupt, SystemExit, pytest.exit.Exception))

    def record(self, task: Task, ref: HostRef, declared: bool = True) -> Record:
        """Return the job of a check on a host; start it unless it is known."""
        if not self.started:
            return self._not_started(task, ref)
        # A test wants one; the host's other jobs come with the same call.
        self._start_on([ref])
        return self.submit([self._spec(task, ref, declared)])[0]

    def start_alone(self, task: Task, ref: HostRef) -> Record:
        """Start a job that no other call can mean, and return it."""
        if not self.started:
            return self._not_started(task, ref)
        return self.submit([self._spec(task, ref, declared=False, alone=True)])[0]

    def _not_started(self, task: Task, ref: HostRef) -> Record:
        """Return a job for a mode of pytest that sets fixtures up and runs no test."""
        transport = HostTransport(ref.backend, task.sudo, task.sudo_user)
        detail = "pytest was asked to show something, not to run tests"
        result = Result(State.NOT_STARTED, detail=detail)
        target = Target(ref.label, ref.identity, transport)
        return Record(Spec("", task), target, result.state, result)

    def start(self, task: Task, host: object) -> Job:
        """Start a job that is not declared, once for its name and host."""
        __tracebackhide__ = True
        try:
            ref = self.named_host(host)
        except WrongUse as error:
            raise WrongUse(f"{task.title}: {error}") from None
        known = self._undeclared_checks.setdefault((task.name, ref.identity), task)
        different = task.differences(known)
        if different:
            raise WrongUse(
                f"{task.title} was already started on {self.labels.of(ref)}"
                f" with another {', '.join(different)}"
            )
        check_size(task, task.title)
        record = self.record(task, ref, declared=False)
        records = self.undeclared.setdefault(task.name, [])
        if record not in records:
            records.append(record)
        return self.handle(record)

    def named_host(self, host: object) -> HostRef:
        """Return the host that a call names: None is the local one."""
        if host is None:
            return hosts.resolve(["local://"], self.config)[0]
        return hosts.pinned(host, self.config) if isinstance(host, str) else hosts.host_ref(host)

    def tell_used_jobs(self, item: pytest.Item) -> None:
        """Tell which jobs an item has used by fixtures, whichever test these were set up for."""
        self.judging.note_test(item.nodeid, self.requested_fixtures.definitions(item))

    # --- forked children ----------------------------------------------------------------------

    def go_on_in_child(self, link: Link) -> None:
        """Be the session of a forked child. See `pytest_bgcheck.run.forked`."""
        self.on_fork()
        self.link = link
        self._lock = threading.Lock()
        self._in_child = True
        for (ref, sudo, sudo_user), target in self._targets.items():
            target.transport = HostTransport(ref.backend, sudo, sudo_user, abrupt=True)
        self.runner.go_on_in_child()

    def used_elsewhere(self, address: TargetAddress) -> None:
        """Take note that another process of the run may have left files on a target."""
        ref = hosts.host_at(address)
        target = self._target(ref, address.sudo, address.sudo_user)
        target.start_requested = True
        self._tell_used([target])

    # --- the end ------------------------------------------------------------------------------

    @property
    def interrupted(self) -> bool:
        """True once the run has been interrupted: what is left of its fixtures ends."""
        return self.pytest_session.exitstatus == pytest.ExitCode.INTERRUPTED

    def targets(self) -> list[Target]:
        with self._lock:
            return list(self._targets.values())

    def stop(self) -> None:
        """Stop waiting for jobs, and run no further test: the run is being stopped."""
        if self.started:
            self.pytest_session.shouldstop = "the run is being stopped"
            self.runner.stop(self.targets())

    def tests_are_over(self) -> None:
        """Note that no worker has a test left: starts are waited for only for a moment."""
        self.runner.no_test_waits()
