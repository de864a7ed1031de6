"""Which tests have to do with which jobs, and whose verdict was read.

A plugin of its own, and what the handles tell of each use. What it finds out goes to the ledger,
once: there it is decided whether a job that nobody judged makes the run red.
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
    """A test requests the jobs that it uses, and those that a fixture of it has started.

    ``judged`` holds the keys of the jobs whose verdict was read here.
    """

    def __init__(self, tell: Callable[[JobRequested | JobJudged], None]) -> None:
        self.judged: set[str] = set()
        self._tell = tell
        self._told: set[JobRequested | JobJudged] = set()
        # A session that was made late, for a running test, has missed its set-up. See `made_in`.
        self._test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
        self._missed: list[pytest.FixtureDef[Any]] = []
        self._setting_up: list[pytest.FixtureDef[Any]] = []
        self._used_in: WeakKeyDictionary[pytest.FixtureDef[Any], set[str]] = WeakKeyDictionary()

    def made_in(self, request: pytest.FixtureRequest) -> None:
        """Take note that the session was made late, while these fixtures were being set up."""
        self._missed += fixtures_being_set_up(request)

    def use(self, key: str) -> None:
        """Take note that a test, or one of its fixtures, uses a job."""
        self._missed = [fixture for fixture in self._missed if fixture.cached_result is None]
        for fixture in [*self._missed, *self._setting_up]:
            self._used_in.setdefault(fixture, set()).add(key)
        if self._test:
            self._once(JobRequested(key, self._test))

    def judge(self, key: str) -> None:
        """Take note that a job's verdict was read."""
        self.judged.add(key)
        self._once(JobJudged(key))

    def used(self, test: str, fixtures: Iterable[pytest.FixtureDef[Any]]) -> None:
        """Take note that a test which has run uses the jobs that these fixtures of it use.

        One of a wider scope was set up for another test, which may have been skipped.
        """
        for fixture in fixtures:
            for key in self._used_in.get(fixture, ()):
                self._once(JobRequested(key, test))

    def _once(self, event: JobRequested | JobJudged) -> None:
        if event not in self._told:
            self._told.add(event)
            self._tell(event)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._test = item.nodeid
        self._missed = []

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        __tracebackhide__ = True
        self._used_in[fixturedef] = set()  # what it used for earlier tests is not of these
        self._setting_up.append(fixturedef)
        try:
            return (yield)
        finally:
            self._setting_up.pop()
