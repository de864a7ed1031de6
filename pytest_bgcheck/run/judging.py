"""Which tests have to do with which jobs, and whose verdict was read.

It hears of fixtures as a plugin, and of each use by the handles. What it finds out goes to the
ledger, once. The figures tell then whether a job that nobody judged makes the run red.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from ..compat.pytest import fixtures_being_set_up
from ..events import JobJudged, JobRequested


class Judging:
    """A test requests the jobs that it uses, and those that a fixture of it has started."""

    def __init__(self, tell: Callable[[JobRequested | JobJudged], None]) -> None:
        self._tell = tell
        self._sent: set[JobRequested | JobJudged] = set()
        # A session that is made late, by a running test, has not seen that test's set-up begin, nor
        # that of its fixtures: see `made_during`.
        self._test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
        self._unseen: list[pytest.FixtureDef[Any]] = []
        self._setting_up: list[pytest.FixtureDef[Any]] = []
        self._used_in: WeakKeyDictionary[pytest.FixtureDef[Any], set[str]] = WeakKeyDictionary()

    def made_during(self, request: pytest.FixtureRequest) -> None:
        """Note which fixtures were being set up already when the session was made."""
        self._unseen += fixtures_being_set_up(request)

    def note_use(self, key: str) -> None:
        """Note that a test, or one of its fixtures, uses a job."""
        self._unseen = [fixture for fixture in self._unseen if fixture.cached_result is None]
        for fixture in [*self._unseen, *self._setting_up]:
            self._used_in.setdefault(fixture, set()).add(key)
        if self._test:
            self._tell_once(JobRequested(key, self._test))

    def note_verdict(self, key: str) -> None:
        """Note that a job's verdict was read."""
        self._tell_once(JobJudged(key))

    def note_test(self, test: str, fixtures: Iterable[pytest.FixtureDef[Any]]) -> None:
        """Note that a test has run which uses what these fixtures of it use.

        A fixture of a wide scope may have been set up for another test, which was skipped.
        """
        for fixture in fixtures:
            for key in self._used_in.get(fixture, ()):
                self._tell_once(JobRequested(key, test))

    def _tell_once(self, event: JobRequested | JobJudged) -> None:
        if event not in self._sent:
            self._sent.add(event)
            self._tell(event)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._test = item.nodeid
        self._unseen = []

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        __tracebackhide__ = True
        self._used_in[fixturedef] = set()  # set up anew, for other tests
        self._setting_up.append(fixturedef)
        try:
            return (yield)
        finally:
            self._setting_up.pop()
