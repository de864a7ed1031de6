"""What reports of failed tests say of the jobs that may be why.

A test, or a fixture of it, may fail where it uses the result of a check that failed.
``json.loads(job.stdout)`` raises an error that says nothing of the check. So the report of the test
begins with the check's failure, and the test's own follows. The exception stays what it is: other
plugins, ``xfail`` and ``--pdb`` see the test's. The test counts as one that awaited the check.

A service that its mark awaits may have died during its body, and a probe seen an outage. If the
test has failed by itself, its report begins with that, and tells of these behind it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

import pytest

from ..clocks import unix_s
from ..compat.pytest import (
    fail_as_expected,
    put_before_failure,
    put_behind_failure,
    succeeded_unexpectedly,
)
from ..errors import WrongUse
from ..events import WaitBegan, WaitEnded
from ..model import State
from ..report import text
from ..report.item import sections
from .around import Found, take_found
from .session import Session
from .standing import verdict
from .verdicts import TOLD, forget_properties, tell_properties


class FailedUses:
    """Completes the reports of tests that use jobs. A plugin of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shown: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        forget_properties(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Only now: an expected failure, or one that is run again, shows the check's to nobody.
        shown, self._shown = self._shown, []
        if report.failed and shown:
            self._tell_awaited(report.nodeid, shown)

    # Innermost, so that the other plugins which look at the report see it whole.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = None if call.excinfo is None else call.excinfo.value
        found = take_found(item) if report.when == "call" else Found()
        if report.failed and error is not None and not isinstance(error, pytest.xfail.Exception):
            self._put_check_first(item, report, str(error), found.bad)
        if not report.skipped:  # by its body: then nothing is judged
            for window in found.windows:
                self._session.link.tell(window)
        if report.failed and found.bad:
            self._tell_bad(item, report, call, found.bad)
        if report.when == "call" or (report.when == "setup" and not report.passed):
            waited = [key for key in self._session.judging.waited_s if key not in _told(item)]
            if waited:
                self._tell_properties(item, report, self._verdicts(item, waited))
        return report

    def _put_check_first(
        self,
        item: pytest.Item,
        report: pytest.TestReport,
        error: str,
        told: Mapping[str, text.Verdict],
    ) -> None:
        """Put the failures of jobs that a failed test has used before its own, but not of those
        that are ``told`` already."""
        session = self._session
        fixtures = session.requested_fixtures.definitions(item)
        verdicts = self._verdicts(item, session.judging.keys_behind_failure(fixtures))
        bad = {
            key: verdict
            for key, verdict in verdicts.items()
            if verdict.result is not None
            and key not in told
            and not verdict.good
            and verdict.state is not State.STOPPED
            and text.headline(verdict) not in error  # the wait for it has failed the test
        }
        if not bad:
            return
        self._shown = list(bad)
        self._tell_outputs(item, report, bad)
        shown = list(bad.values())
        put_before_failure(
            report,
            cause=text.failure(shown),
            headline="; ".join(map(text.headline, shown)),
            transition=text.used_and_failed(report.when or "", shown),
        )

    def _tell_bad(
        self,
        item: pytest.Item,
        report: pytest.TestReport,
        call: pytest.CallInfo[None],
        bad: Mapping[str, text.Verdict],
    ) -> None:
        """Tell of services and probes that were bad during a test's body, unless that is its
        failure."""
        for key, said in bad.items():
            if said.result is not None:
                self._session.judging.note_verdict(key)
        self._tell_outputs(item, report, bad)
        shown = list(bad.values())
        headline = "; ".join(map(text.headline, shown))
        if succeeded_unexpectedly(item, call):
            fail_as_expected(report, headline)
        elif call.excinfo is None or text.headline(shown[0]) not in str(call.excinfo.value):
            put_behind_failure(
                report,
                text=text.failure(shown),
                headline=headline,
                transition="When its body was over:",
            )

    def _tell_outputs(
        self, item: pytest.Item, report: pytest.TestReport, verdicts: Mapping[str, text.Verdict]
    ) -> None:
        """Tell in a report how jobs stand, and what they wrote that its failure does not show."""
        self._tell_properties(item, report, verdicts)
        for title, content in sections(list(verdicts.values())):
            item.add_report_section(report.when or "", title, content)
            report.sections.append((f"Captured {title} {report.when}", content))

    def _verdicts(self, item: pytest.Item, keys: Iterable[str]) -> dict[str, text.Verdict]:
        """Return how jobs stand for an item that has read them."""
        session = self._session
        records = {record.key: record for record in session.runner.records.values()}
        try:
            requested = session.requested_fixtures.of(item)
            awaited = session.collection.checks_of(item, requested).awaited
        except WrongUse:
            awaited = {}
        waited_s, now, keep = session.judging.waited_s, unix_s(), session.settings.keep
        return {
            key: verdict(record, awaited.get(record.name), waited_s.get(key, 0.0), now, keep)
            for key in keys
            if (record := records.get(key)) is not None
        }

    def _tell_awaited(self, test: str, keys: Iterable[str]) -> None:
        """Tell the ledger that a test has awaited jobs, though they had ended before it used them.

        One that has waited for them is known to have waited.
        """
        session = self._session
        new = tuple(key for key in keys if key not in session.judging.waited_s)
        for key in keys:
            session.judging.note_verdict(key)
        if new:
            now, worker = unix_s(), session.link.worker
            session.link.tell(WaitBegan(worker, test, new, now))
            session.link.tell(WaitEnded(worker, test, now, dict.fromkeys(new, 0.0)))

    def _tell_properties(
        self, item: pytest.Item, report: pytest.TestReport, verdicts: Mapping[str, text.Verdict]
    ) -> None:
        tell_properties(self._session, item, verdicts)
        report.user_properties[:] = item.user_properties


def _told(item: pytest.Item) -> Mapping[str, text.Verdict]:
    """Return the verdicts that an item's properties tell already."""
    return item.stash.get(TOLD, {})
