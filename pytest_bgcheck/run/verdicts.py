"""One test's wait for its checks, and its verdict on each: the test fails unless all are good.

`awaiting` decides when a test waits. Imported on first use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from ..clocks import monotonic_s, unix_s
from ..compat.pytest import is_unittest
from ..events import WaitBegan, WaitEnded
from ..ledger import RUN_ENDED
from ..marks import Awaited, awaits
from ..report import text
from ..report.item import PREFIX, properties, sections
from ..target.job import Use
from ..target.records import Record
from . import lookup
from .session import Session
from .standing import verdict


def await_item(
    session: Session, item: pytest.Item, already: Mapping[str, Awaited]
) -> Mapping[str, Awaited]:
    """Wait for the jobs that an item awaits by now; fail the test unless all are good.

    Returns all, by name. Those that were ``already`` awaited in the same way are left out. Raises
    WrongUse.
    """
    __tracebackhide__ = True
    checks = session.collection.checks_of(item, session.requested_fixtures.of(item))
    names = [name for name, awaited in checks.awaited.items() if already.get(name) != awaited]
    jobs = {name: lookup.awaited(session, item, checks, name) for name in names}
    if jobs:
        _Wait(session, jobs, checks.awaited).wait(item)
    elif not checks.awaited and _must_await(item):
        pytest.fail(text.AWAITS_NOTHING, pytrace=False)
    return checks.awaited


def _must_await(item: pytest.Item) -> bool:
    """Return whether a mark is meant for this very test, and not for others of its class.

    That of a TestCase is: its methods take no fixtures, so that none can request what others do.
    """
    nodes = [item, item.parent] if is_unittest(item) else [item]
    marks = (mark for node in nodes if node for mark in node.own_markers)
    return any(mark.name == "bgcheck" and awaits(mark) for mark in marks)


class _Wait:
    """A test's wait for some jobs, by name; ``awaited``: what its marks say of each."""

    def __init__(
        self, session: Session, jobs: Mapping[str, list[Record]], awaited: Mapping[str, Awaited]
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._awaited = awaited
        self._began_at = unix_s()

    def wait(self, item: pytest.Item) -> None:
        __tracebackhide__ = True
        session, test, worker = self._session, item.nodeid, self._session.link.worker
        keys = []
        for record in (record for records in self._jobs.values() for record in records):
            session.note_use(record, Use.HOLD)
            session.runner.want(record)
            keys.append(record.key)
        session.link.tell(WaitBegan(worker, test, tuple(keys), self._began_at))
        try:
            self._until_good_or_bad()
        except pytest.fail.Exception as error:
            if not error.pytrace:
                raise  # it is our own
            # pytest-timeout's, by a signal: it says nothing of what was awaited.
            verdicts = [v for vs in self._verdicts(unix_s()).values() for v in vs]
            bad = [v for v in verdicts if not v.good] or verdicts
            rest = [v for v in verdicts if v not in bad]
            said = text.cut_short(error.msg, text.failure(bad, rest))
            raise pytest.fail.Exception(said, pytrace=False) from None
        finally:
            over_at = unix_s()
            waited = {key: self._waited_s(key, over_at) for key in keys}
            session.link.tell(WaitEnded(worker, test, over_at, waited))
            self._tell_report(item, over_at)

    def _until_good_or_bad(self) -> None:
        """Wait until all jobs of all names are good, or those of one name are not."""
        __tracebackhide__ = True
        session = self._session
        begun_s = monotonic_s()
        limits_s = {
            name: math.inf if awaited.timeout_s is None else begun_s + awaited.timeout_s
            for name, awaited in self._awaited.items()
        }

        def ended(name: str) -> bool:
            return all(record.result is not None for record in self._jobs[name])

        left = set(self._jobs)
        while left:
            soonest_s = min(limits_s[name] for name in left)
            wake_s = min(soonest_s, monotonic_s() + session.link.idle())
            patience_s = None if wake_s == math.inf else max(0.0, wake_s - monotonic_s())
            session.runner.wait_for(
                lambda left=left: any(map(ended, left)),  # type: ignore[misc]
                [record for name in left for record in self._jobs[name]],
                patience_s,
            )
            now_s = monotonic_s()
            verdicts = self._verdicts(unix_s())
            over = [name for name in self._jobs if ended(name) or limits_s[name] <= now_s]
            bad = [v for name in over for v in verdicts[name] if not v.good]
            if bad:
                if all(v.result is not None and v.result.detail == RUN_ENDED for v in bad):
                    # Nothing has failed: -x or Ctrl-C has ended the wait before the jobs' end.
                    pytest.skip("the run was stopped while this test awaited its checks")
                rest = [v for vs in verdicts.values() for v in vs if v not in bad]
                pytest.fail(text.failure(bad, rest), pytrace=False)
            left = {name for name in left if not ended(name)}

    def _tell_report(self, item: pytest.Item, over_at: float) -> None:
        """Say in the test's own report what its checks did."""
        verdicts = {
            record.key: self._verdict(record, self._awaited[name], over_at)
            for name, records in self._jobs.items()
            for record in records
        }
        tell_properties(self._session, item, verdicts)
        for title, content in sections(list(verdicts.values())):
            item.add_report_section("call", title, content)

    def _verdicts(self, now: float) -> dict[str, list[text.Verdict]]:
        return {
            name: [self._verdict(record, self._awaited[name], now) for record in records]
            for name, records in self._jobs.items()
        }

    def _verdict(self, record: Record, awaited: Awaited, now: float) -> text.Verdict:
        before_s = self._session.judging.waited_s.get(record.key, 0.0)
        waited_s = before_s + self._waited_s(record.key, now)
        return verdict(record, awaited, waited_s, now, self._session.settings.keep)

    def _waited_s(self, key: str, now: float) -> float:
        """Return how long the test has waited for a job: until its end, if it has ended."""
        return max(0.0, min(now, self._session.ended_at.get(key, now)) - self._began_at)


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
