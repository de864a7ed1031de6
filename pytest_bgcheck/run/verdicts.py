"""One test's wait for its jobs, and its verdict on each: the test fails unless all are good.

`awaiting` decides when a test waits, `around` asks services and probes around its body. Imported on
first use.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import pytest

from ..clocks import monotonic_s, unix_s
from ..compat.pytest import is_unittest
from ..events import WaitBegan, WaitEnded
from ..ledger import RUN_ENDED
from ..marks import Awaited, awaits
from ..report import text
from ..report.item import PREFIX, properties, sections
from ..target.records import Record
from ..target.uses import Use
from . import lookup
from .session import Session
from .standing import ended_s, verdict

TOO_LATE = (
    "the test's body has added the mark, or requested the probe, and that is too late: a window is"
    " opened before the body, so do it in the set-up"
)


@dataclass(frozen=True)
class AwaitedJobs:
    """What a test has awaited by its marks.

    ``began_s``: when its call began, by the monotonic clock. ``marks``: what they say of each name.
    ``running``: the services and probes among the jobs, each with its name. ``waited_s``: how long
    the test has waited for each of these, by key.
    """

    began_s: float
    marks: Mapping[str, Awaited] = field(default_factory=dict)
    running: Mapping[Record, str] = field(default_factory=dict)
    waited_s: Mapping[str, float] = field(default_factory=dict)


def await_item(
    session: Session, item: pytest.Item, already: AwaitedJobs, has_run: bool
) -> AwaitedJobs:
    """Wait for the jobs that an item awaits by now; fail the test unless all are good.

    Returns all. Those that were ``already`` awaited in the same way are left out. ``has_run``: the
    test's body is over, too late for a probe. Raises WrongUse.
    """
    __tracebackhide__ = True
    checks = session.collection.checks_of(item, session.requested_fixtures.of(item))
    names = [name for name, mark in checks.awaited.items() if already.marks.get(name) != mark]
    jobs = {name: lookup.awaited(session, item, checks, name) for name in names}
    if not jobs:
        if not checks.awaited and _must_await(item):
            pytest.fail(text.AWAITS_NOTHING, pytrace=False)
        return already
    if has_run:
        _refuse_late_probes(session, jobs, already.running)
    wait = _Wait(session, jobs, checks.awaited, already.began_s)
    wait.wait(item)
    running = {
        record: name for name, records in jobs.items() for record in records if record.ends_with_run
    }
    return AwaitedJobs(
        already.began_s,
        checks.awaited,
        {**already.running, **running},
        {**already.waited_s, **wait.waited_for_s(running)},
    )


def _refuse_late_probes(
    session: Session, jobs: Mapping[str, Sequence[Record]], already: Container[Record]
) -> None:
    """Fail a test whose body is over, if it awaits a probe that it did not await before."""
    __tracebackhide__ = True
    for record in (record for records in jobs.values() for record in records):
        if record.probe is not None and record not in already:
            session.judging.note_window(record.key)
            task, host = record.spec.task, record.target.label
            pytest.fail(f"{task.title} on {host}: {TOO_LATE}", pytrace=False)


def _must_await(item: pytest.Item) -> bool:
    """Return whether a mark is meant for this very test, and not for others of its class.

    That of a TestCase is: its methods take no fixtures, so that none can request what others do.
    """
    nodes = [item, item.parent] if is_unittest(item) else [item]
    marks = (mark for node in nodes if node for mark in node.own_markers)
    return any(mark.name == "bgcheck" and awaits(mark) for mark in marks)


class _Wait:
    """A test's wait for some jobs, by name; ``awaited``: what its marks say of each;
    ``test_began_s``: when its call began, by the monotonic clock."""

    def __init__(
        self,
        session: Session,
        jobs: Mapping[str, list[Record]],
        awaited: Mapping[str, Awaited],
        test_began_s: float,
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._awaited = awaited
        self._test_began_s = test_began_s
        self._began_at = unix_s()
        self._began_s = monotonic_s()

    def wait(self, item: pytest.Item) -> None:
        __tracebackhide__ = True
        session, test, worker = self._session, item.nodeid, self._session.link.worker
        records = [record for records in self._jobs.values() for record in records]
        keys = [record.key for record in records]
        for record in records:
            session.note_use(record, Use.HOLD)
            session.runner.want(record)
        session.link.tell(WaitBegan(worker, test, tuple(keys), self._began_at))
        try:
            self._until_good_or_bad()
        except pytest.fail.Exception as error:
            for record in records:
                if record.probe is not None:  # the test fails before it has a window
                    session.judging.note_window(record.key)
            if not error.pytrace:
                raise  # it is our own
            # pytest-timeout's, by a signal: it says nothing of what was awaited.
            verdicts = list(self._verdicts(unix_s()).values())
            bad = [v for v in verdicts if not v.good] or verdicts
            rest = [v for v in verdicts if v not in bad]
            said = text.cut_short(error.msg, text.failure(bad, rest))
            raise pytest.fail.Exception(said, pytrace=False) from None
        finally:
            over_at = unix_s()
            waited = {key: self._waited_s(key, over_at) for key in keys}
            session.link.tell(WaitEnded(worker, test, over_at, waited))
            session.link.wait_is_over()
            self._tell_report(item, over_at)

    def _until_good_or_bad(self) -> None:
        """Wait until all jobs of all names are good, or those of one name are not."""
        __tracebackhide__ = True
        session = self._session
        limits_s = {
            name: math.inf if awaited.timeout_s is None else self._began_s + awaited.timeout_s
            for name, awaited in self._awaited.items()
        }

        def decided(name: str) -> bool:
            return all(record.decided for record in self._jobs[name])

        left = set(self._jobs)
        ready: list[Record] = []
        while left:
            soonest_s = min(limits_s[name] for name in left)
            wake_s = min(soonest_s, monotonic_s() + session.link.idle())
            patience_s = None if wake_s == math.inf else max(0.0, wake_s - monotonic_s())
            session.runner.wait_for(
                lambda left=left, ready=ready: (  # type: ignore[misc]
                    any(map(decided, left)) or any(record.result is not None for record in ready)
                ),
                [record for name in left for record in self._jobs[name]],
                patience_s,
            )
            now_s = monotonic_s()
            verdicts = self._verdicts(unix_s())
            over = [name for name in self._jobs if decided(name) or limits_s[name] <= now_s]
            looked_at = [record for name in over for record in self._jobs[name]]
            bad = {record: verdicts[record] for record in looked_at if not verdicts[record].good}
            if bad:
                self._fail(bad, [v for record, v in verdicts.items() if record not in bad])
            left = {name for name in left if not decided(name)}
            # Those that are to run may end while the test waits for its other jobs.
            ready = [r for name in self._jobs if decided(name) for r in self._jobs[name]]
            ready = [record for record in ready if record.result is None]

    def _fail(self, bad: Mapping[Record, text.Verdict], rest: Sequence[text.Verdict]) -> NoReturn:
        __tracebackhide__ = True
        verdicts = list(bad.values())
        if all(v.result is not None and v.result.detail == RUN_ENDED for v in verdicts):
            # Nothing has failed: -x or Ctrl-C has ended the wait before the jobs' end.
            pytest.skip("the run was stopped while this test waited")
        note_judged(self._session, bad)
        pytest.fail(text.failure(verdicts, rest), pytrace=False)

    def _tell_report(self, item: pytest.Item, over_at: float) -> None:
        """Say in the test's own report what its jobs did."""
        verdicts = self._verdicts(over_at)
        tell_properties(self._session, item, {r.key: v for r, v in verdicts.items()})
        for title, content in sections(list(verdicts.values())):
            item.add_report_section("call", title, content)

    def _verdicts(self, now: float) -> dict[Record, text.Verdict]:
        return {
            record: self._verdict(record, self._awaited[name], now)
            for name, records in self._jobs.items()
            for record in records
        }

    def _verdict(self, record: Record, awaited: Awaited, now: float) -> text.Verdict:
        before_s = self._session.judging.waited_s.get(record.key, 0.0)
        waited_s = before_s + self._waited_s(record.key, now)
        said = verdict(record, awaited, waited_s, now, self._session.settings.keep)
        heard_at = self._session.ended_at.get(record.key)
        return replace(said, ended_s=ended_s(record, heard_at, self._test_began_s))

    def waited_for_s(self, records: Iterable[Record]) -> dict[str, float]:
        """Return how long the test has waited for some of the jobs by now, by their keys."""
        now = unix_s()
        return {record.key: self._waited_s(record.key, now) for record in records}

    def _waited_s(self, key: str, now: float) -> float:
        """Return how long the test has waited for a job: until its end, or until it was ready, as
        which a probe's first sample counts."""
        ended_at, ready_at = self._session.ended_at, self._session.ready_at
        until = min(now, ended_at.get(key, now), ready_at.get(key, now))
        return max(0.0, until - self._began_at)


def note_judged(session: Session, records: Iterable[Record]) -> None:
    """Note that a test fails, perhaps as expected, for the ends of the services and probes among
    some jobs.

    A check that a test awaits is judged whatever becomes of it.
    """
    for record in records:
        if record.result is not None and record.ends_with_run:
            session.judging.note_verdict(record.key)


TOLD: pytest.StashKey[dict[str, text.Verdict]] = pytest.StashKey()
"""The verdicts that an item's properties tell, by the jobs' keys."""


def tell_properties(
    session: Session, item: pytest.Item, verdicts: Mapping[str, text.Verdict]
) -> None:
    """Say in an item's properties how jobs stand, by their keys, beside what these say already."""
    told = item.stash.setdefault(TOLD, {})
    told.update(verdicts)
    if session.settings.junit_properties:
        others = [p for p in item.user_properties if not p[0].startswith(PREFIX)]
        item.user_properties[:] = [*others, *properties(list(told.values()))]


def forget_properties(item: pytest.Item) -> None:
    """Take back what an item's properties tell of jobs: it is run once more."""
    if item.stash.get(TOLD, None):
        del item.stash[TOLD]
        others = [p for p in item.user_properties if not p[0].startswith(PREFIX)]
        item.user_properties[:] = others
