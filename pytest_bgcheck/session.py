"""What one pytest session knows: its declared checks, its plan, its jobs.

Between the hooks (plugin) and the threads (runner): it turns items and declarations into jobs, and
jobs into verdicts. Imported on first use.
"""

from __future__ import annotations

import datetime
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from . import hosts, plan, protocol, report, transport
from .declaration import Declaration, declaration_of, declarations
from .errors import BgcheckError, WrongUse
from .hosts import HostRef
from .job import Job
from .model import Check
from .runner import Runner, Target
from .settings import Awaited, Settings, make_check, read_marks

CACHE = "bgcheck/durations"


@dataclass(frozen=True)
class ItemWants:
    """What a test item wants: checks by name, with the hosts that are known before it runs."""

    awaited: Mapping[str, Awaited]
    checks: Mapping[str, tuple[Check, tuple[HostRef, ...]]]
    requested: frozenset[str]


WANTS: pytest.StashKey[ItemWants] = pytest.StashKey()


class Session:
    """The plugin's state of a pytest session."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.runner = Runner(secrets.token_hex(6), base=settings.dir, forks=settings.forks)
        self.jobs: dict[str, list[Job]] = {}
        self.planned: list[plan.PlannedJob[HostRef]] = []
        self.troubles: list[str] = []
        self.started = False
        self._declared: dict[tuple[Declaration, str], Check] = {}
        self._called: dict[tuple[str, str], Check] = {}
        self._targets: dict[tuple[HostRef, bool | None, str | None], Target] = {}
        self._module_hosts: dict[object, list[HostRef]] = {}
        self._unsilence: Callable[[], None] | None = None

    # --- before the run -----------------------------------------------------------------------

    def look_at(self, items: Sequence[pytest.Item]) -> None:
        """Find out what the items want, or raise pytest.UsageError that names all that is wrong."""
        problems: list[str] = []
        for space, name, declaration in declarations(self.config, items):
            try:
                if isinstance(space, type):
                    raise WrongUse(
                        f"{declaration.place(name)}: it must be declared at module level, not in"
                        f" the class {space.__name__}"
                    )
                check = self._check(declaration, name)
                _check_size(check, declaration.place(name))
            except WrongUse as error:
                problems.append(str(error))
        for item in items:
            if problems:
                break
            try:
                item.stash[WANTS] = self._wants(item)
            except WrongUse as error:
                problems.append(f"{item.nodeid}: {error}")
        if problems:
            raise pytest.UsageError("\n".join(dict.fromkeys(problems)))

    def _check(self, declaration: Declaration, name: str) -> Check:
        key = declaration, name
        if key not in self._declared:
            self._declared[key] = declaration.check(name, self.settings.timeout_s)
        return self._declared[key]

    def _wants(self, item: pytest.Item) -> ItemWants:
        names = getattr(item, "fixturenames", ())
        found = {name: self._declaration(item, name) for name in names}
        requested = {name: check for name, check in found.items() if check is not None}
        awaited = read_marks(item.iter_markers("bgcheck"), requested)
        checks: dict[str, tuple[Check, tuple[HostRef, ...]]] = {}
        for name in [*awaited, *requested]:
            check = requested.get(name) or self._declaration(item, name)
            if check is not None and name not in checks:
                checks[name] = check, tuple(self._hosts(item, check))
        return ItemWants(awaited, checks, frozenset(requested))

    def _declaration(self, item: pytest.Item, name: str) -> Check | None:
        """Return the nearest check of a name, as an item sees it."""
        definitions = item.session._fixturemanager.getfixturedefs(name, item)
        declaration = declaration_of(definitions[-1].func) if definitions else None
        return None if declaration is None else self._check(declaration, name)

    def _hosts(self, item: pytest.Item, check: Check) -> list[HostRef]:
        """Return the hosts of a check for an item; none if only its set-up will tell."""
        if check.host is not None:
            return [hosts.pinned(check.host, self.config)]
        own = self._own_host(item)
        if own is not None:
            return [own]
        if "host" in getattr(item, "fixturenames", ()):
            return []  # the suite overrides testinfra's fixture: known when it was set up
        parent = item.getparent(pytest.Module)
        module = getattr(item, "module", getattr(parent, "obj", None))
        if module not in self._module_hosts:
            self._module_hosts[module] = hosts.of_module(module, self.config)
        return self._module_hosts[module]

    def _own_host(self, item: pytest.Item) -> HostRef | None:
        callspec = getattr(item, "callspec", None)
        host = None if callspec is None else callspec.params.get("_testinfra_host")
        if host is None:
            host = getattr(item, "funcargs", {}).get("host")
        return None if host is None else hosts.host_ref(host)

    def in_order(self, items: Sequence[pytest.Item]) -> list[pytest.Item]:
        """Return the items with those that await behind the others."""
        known: dict[str, list[float]] = self._cache_get()

        def expected_s(item: pytest.Item) -> float | None:
            wants = item.stash[WANTS]
            if not wants.awaited:
                return None
            times = [0.0]
            for name in wants.awaited:
                check, refs = wants.checks.get(name, (None, ()))
                if check is not None:
                    for ref in refs or [None]:
                        label = "" if ref is None else ref.label
                        past = known.get(f"{check.name} on {label}")
                        times.append(sum(past) / len(past) if past else check.timeout_s)
            return max(times)

        return plan.waiting_last(items, expected_s)

    def make_plan(self, items: Iterable[pytest.Item]) -> None:
        wants = []
        for item in items:
            item_wants = item.stash[WANTS]
            for name, (check, refs) in item_wants.checks.items():
                awaits = name in item_wants.awaited
                wants += [plan.Want(item.nodeid, check, ref, awaits) for ref in refs]
        self.planned = plan.jobs(wants)

    def start_planned(self) -> None:
        self.started = True
        self._unsilence = transport.silence()
        self._submit([(job.check, job.host) for job in self.planned])

    def _submit(self, wanted: Sequence[tuple[Check, HostRef]]) -> list[Job]:
        targets = [(check, self._target(check, ref)) for check, ref in wanted]
        result = []
        for record in self.runner.submit(targets):
            jobs = self.jobs.setdefault(record.spec.check.name, [])
            job = next((job for job in jobs if job._record is record), None)
            if job is None:
                job = Job(self.runner, record)
                jobs.append(job)
            result.append(job)
        return result

    def _target(self, check: Check, ref: HostRef) -> Target:
        key = (ref, check.sudo, check.sudo_user)
        if key not in self._targets:
            self._targets[key] = Target(
                ref.label,
                ref.identity,
                transport.HostTransport(ref.backend, check.sudo, check.sudo_user),
            )
        return self._targets[key]

    # --- while it runs ------------------------------------------------------------------------

    def declared(self, declaration: Declaration, name: str, host: Any) -> Job:
        """Return the job of a declared check on a host; start it if that was not planned."""
        check = self._check(declaration, name)
        if check.host is not None:
            ref = hosts.pinned(check.host, self.config)
        else:
            ref = hosts.host_ref(host)
        return self._job(check, ref)

    def _job(self, check: Check, ref: HostRef) -> Job:
        if not self.started:
            raise BgcheckError("no background check is started in this mode of pytest")
        return self._submit([(check, ref)])[0]

    def start(self, check: Check, host: Any) -> Job:
        """Start a check that is not declared, once for its name and host."""
        ref = self._ref(check.host if host is None else host)
        known = self._called.setdefault((check.name, ref.identity), check)
        different = check.differences(known)
        if different:
            raise WrongUse(
                f"background check {check.name!r} was started on {ref.label} already,"
                f" with another {', '.join(different)}"
            )
        _check_size(check, f"background check {check.name!r}")
        return self._job(check, ref)

    def _ref(self, host: Any) -> HostRef:
        if host is None:
            return hosts.resolve(["local://"], self.config)[0]
        return hosts.pinned(host, self.config) if isinstance(host, str) else hosts.host_ref(host)

    def find(self, name: str, host: str | None = None) -> Job:
        """Return a job by name, and by host where several have it. Raises KeyError."""
        jobs = self.jobs.get(name, [])
        if not jobs:
            raise KeyError(report.unknown(name, self.jobs))
        if host is not None:
            identity = self._ref(host).identity
            jobs = [job for job in jobs if job._record.target.identity == identity]
        if len(jobs) != 1:
            places = ", ".join(sorted({job.host for job in self.jobs[name]}))
            raise KeyError(f"background check {name!r} has a job on each of: {places}")
        return jobs[0]

    def await_item(self, item: pytest.Item) -> None:
        """Wait for the jobs that an item awaits; fail the test unless all are good."""
        __tracebackhide__ = True
        wants = item.stash[WANTS]
        begun = time.monotonic()
        units = {name: self._awaited_jobs(item, wants, name) for name in wants.awaited}
        records = [job._record for jobs in units.values() for job in jobs]
        for record in records:
            record.awaited = True
        limits = {
            name: None if awaited.timeout_s is None else begun + awaited.timeout_s
            for name, awaited in wants.awaited.items()
        }
        left = set(units)
        while left:
            soonest = min((limits[name] or float("inf") for name in left), default=float("inf"))
            patience = None if soonest == float("inf") else max(0.0, soonest - time.monotonic())
            waiting = [units[name] for name in left]
            self.runner.wait_for(
                lambda waiting=waiting: any(all(j.done() for j in jobs) for jobs in waiting),  # type: ignore[misc]
                {record.target for record in records if record.result is None},
                patience,
            )
            now = time.monotonic()
            over = {name for name in left if (limits[name] or float("inf")) <= now}
            ended = {name for name in left if all(job.done() for job in units[name])}
            bad = []
            for name in (n for n in units if n in ended or n in over):
                verdicts = [self._verdict(j, wants.awaited[name], now - begun) for j in units[name]]
                bad += [verdict for verdict in verdicts if not verdict.good]
            if bad:
                others = [
                    self._verdict(job, wants.awaited[name], now - begun)
                    for name in units
                    for job in units[name]
                ]
                rest = [v for v in others if v not in bad]
                pytest.fail(report.failure(bad, rest), pytrace=False)
            left -= ended

    def _awaited_jobs(self, item: pytest.Item, wants: ItemWants, name: str) -> list[Job]:
        __tracebackhide__ = True
        if name in wants.checks:
            check, refs = wants.checks[name]
            own = self._own_host(item)
            if not refs and own is None:
                pytest.fail(f"the host of background check {name!r} is not known", pytrace=False)
            return [self._job(check, ref) for ref in refs or [own] if ref is not None]
        jobs = self.jobs.get(name, [])
        own = self._own_host(item)
        here = [job for job in jobs if own and job._record.target.identity == own.identity]
        if not jobs:
            known = {*self.jobs, *(name for _, name in self._declared)}
            pytest.fail(report.unknown(name, known), pytrace=False)
        return here or jobs

    def _verdict(self, job: Job, awaited: Awaited, waited_s: float) -> report.Verdict:
        record = job._record
        check = record.spec.check
        accepted = check.rc if awaited.rc is None else (awaited.rc or None)
        kept = ""
        if self.settings.keep and record.target.directory:
            kept = f"{record.target.path}/{job.id}/ on {job.host}"
        return report.Verdict(
            check, job.host, record.state, record.result, accepted, waited_s, kept
        )

    # --- the end ------------------------------------------------------------------------------

    def unawaited(self) -> list[str]:
        """Return a line for each job that was started and that no test awaited."""
        return [
            report.unawaited(r.spec.check, r.target.label, r.state, r.result)
            for r in self.runner.records.values()
            if not r.awaited
        ]

    def close(self) -> None:
        """End all jobs and leave nothing on the targets."""
        if self.started:
            self.troubles = self.runner.close(self._targets.values(), keep=self.settings.keep)
            if self._unsilence is not None:
                self._unsilence()

    def remember(self) -> None:
        """Keep each job's duration for the order of the next run."""
        known = self._cache_get()
        for record in self.runner.records.values():
            result = record.result
            if result is not None and result.duration is not None and result.rc is not None:
                key = f"{record.spec.check.name} on {record.target.label}"
                known[key] = [*known.get(key, []), result.duration][-3:]
        cache = getattr(self.config, "cache", None)
        if cache is not None and known:
            cache.set(CACHE, known)

    def _cache_get(self) -> dict[str, list[float]]:
        cache = getattr(self.config, "cache", None)
        return {} if cache is None else dict(cache.get(CACHE, {}))

    def kept(self) -> list[str]:
        """Return where files were left, a line for each target."""
        return [
            f"{target.label}: {target.path}"
            for target in self._targets.values()
            if target.directory
        ]


def _check_size(check: Check, place: str) -> None:
    try:
        protocol.check_size(protocol.Spec("", check))
    except WrongUse as error:
        raise WrongUse(f"{place}: {error}") from None


class Bgcheck:
    """The value of the ``bgcheck`` fixture: starts jobs that are not declared, and finds jobs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def start(
        self,
        command: str | Sequence[str | os.PathLike[str]] | None = None,
        *,
        name: str,
        host: Any = None,
        script: str | os.PathLike[str] | None = None,
        args: Sequence[str] | None = None,
        timeout: float | datetime.timedelta | None = None,
        rc: int | Iterable[int] | None = None,
        retry_every: float | datetime.timedelta | None = None,
        grace: float | datetime.timedelta | None = None,
        sudo: bool | None = None,
        sudo_user: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        output_limit: int | None = None,
    ) -> Job:
        """Start a job in the background and return its handle at once.

        ``host`` is a hostspec or a testinfra Host, by default the local one; the other arguments
        are those of :func:`background_check`. The same name on the same host again gives the same
        job. Raises :class:`WrongUse` for wrong arguments, and where they differ from those of the
        job that is there.
        """
        given = {
            "script": script,
            "args": args,
            "timeout": timeout,
            "rc": rc,
            "retry_every": retry_every,
            "grace": grace,
            "sudo": sudo,
            "sudo_user": sudo_user,
            "env": env,
            "cwd": cwd,
            "output_limit": output_limit,
        }
        try:
            check = make_check(
                name, command, given, timeout_s=self._session.settings.timeout_s, directory=Path()
            )
        except WrongUse as error:
            raise WrongUse(f"background check {name!r}: {error}") from None
        return self._session.start(check, host)

    def __getitem__(self, key: str | tuple[str, str]) -> Job:
        """Return the job of a name, or of a name and a hostspec.

        Raises KeyError, which names the known checks or, where several hosts have one of that
        name, the hosts.
        """
        name, host = (key, None) if isinstance(key, str) else key
        return self._session.find(name, host)


def describe(planned: Sequence[plan.PlannedJob[HostRef]]) -> list[str]:
    """Return the plan as a tree: hosts, checks with their limits, the tests that await each."""
    lines: list[str] = []
    for label in dict.fromkeys(job.host.label for job in planned):
        lines.append(f"<Host {label}>")
        for job in (job for job in planned if job.host.label == label):
            limits = f"timeout={job.check.timeout_s:g}"
            if job.check.rc != {0}:
                limits += f" rc={','.join(map(str, sorted(job.check.rc)))}"
            lines.append(
                f"  <Check {job.check.name}> {limits}: {report.one_line(job.check.command)}"
            )
            lines += [f"    awaited by {test}" for test in job.awaited_by]
            lines += [f"    requested by {test}" for test in job.requested_by]
    return lines
