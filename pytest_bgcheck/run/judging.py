"""Which tests have to do with which jobs, and what they have read of them.

It hears of fixtures as a plugin, and of each use by the handles. What it finds out goes to the
ledger, once. The figures tell then whether a job that nobody judged makes the run red.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from ..compat.pytest import fixtures_being_set_up, running_item
from ..events import JobJudged, JobRequested, WindowRead
from ..target.uses import Use


class Judging:
    """A test requests the jobs that it uses, and those that a fixture of it has started.

    ``test``: the one that runs, or that ran last; empty before the first. ``waited_s``: how long it
    has waited for jobs through their handles, by their keys. ``item``: that test, as far as it is
    known. ``verdicts_read``: the jobs whose verdicts its body has read, by their keys.
    """

    def __init__(self, tell: Callable[[JobRequested | JobJudged | WindowRead], None]) -> None:
        self.item: pytest.Item | None = None
        self._tell = tell
        self._sent: set[JobRequested | JobJudged | WindowRead] = set()
        # A session that is made late, by a running test, has not seen that test's set-up begin, nor
        # that of its fixtures: see `made_during`.
        self.test, _ = running_test()
        self.waited_s: dict[str, float] = {}
        self.verdicts_read: set[str] = set()
        self._unseen: list[pytest.FixtureDef[Any]] = []
        self._setting_up: list[pytest.FixtureDef[Any]] = []
        self._used_in: WeakKeyDictionary[pytest.FixtureDef[Any], set[str]] = WeakKeyDictionary()
        self._read_in: WeakKeyDictionary[pytest.FixtureDef[Any], dict[str, set[Use]]] = (
            WeakKeyDictionary()
        )
        self._read_now: dict[str, None] = {}

    def made_during(self, request: pytest.FixtureRequest) -> None:
        """Note which fixtures were being set up already when the session was made."""
        self.item = running_item(request)
        self._unseen += fixtures_being_set_up(request)

    def note_use(self, key: str, use: Use) -> None:
        """Note that a test, or one of its fixtures, uses a job."""
        self._unseen = [fixture for fixture in self._unseen if fixture.cached_result is None]
        for fixture in [*self._unseen, *self._setting_up]:
            self._used_in.setdefault(fixture, set()).add(key)
        if self.test:
            self._tell_once(JobRequested(key, self.test))
        if use is Use.HOLD:
            return
        if use.judges:
            self.note_verdict(key)
            self.verdicts_read.add(key)
        if use is Use.WINDOW:
            self.note_window(key)
        innermost = self._setting_up[-1:]  # in one step: a thread of the test may be here
        for fixture in innermost:
            self._read_in.setdefault(fixture, {}).setdefault(key, set()).add(use)
        if not innermost:
            self._read_now[key] = None

    def note_request(self, key: str, test: str) -> None:
        """Note that a test uses a job, whether it has run or not."""
        self._tell_once(JobRequested(key, test))

    def note_window(self, key: str) -> None:
        """Note that a test has read what a probe saw in a window, or fails since it has none."""
        self._tell_once(WindowRead(key))

    def note_verdict(self, key: str) -> None:
        """Note that a job's verdict was read."""
        self._tell_once(JobJudged(key))

    def was_judged(self, key: str) -> bool:
        """Return whether a test has read a job's verdict in this process."""
        return JobJudged(key) in self._sent

    def note_wait(self, key: str, seconds: float) -> None:
        """Note that the test has waited for a job through its handle."""
        self.waited_s[key] = self.waited_s.get(key, 0.0) + seconds

    def note_test(self, test: str, fixtures: Iterable[pytest.FixtureDef[Any]]) -> None:
        """Note that a test has run which uses what these fixtures of it use.

        A fixture of a wide scope may have been set up for another test, which was skipped.
        """
        for fixture in fixtures:
            for key in self._used_in.get(fixture, ()):
                self._tell_once(JobRequested(key, test))

    def keys_behind_failure(self, fixtures: Iterable[pytest.FixtureDef[Any]]) -> list[str]:
        """Return the jobs whose results may be why the test's phase that is over has failed.

        Those are the jobs that were read in that phase, and by these ``fixtures``, the test's own.
        A fixture that has read how a job ended, and whose set-up went well, has taken that as it
        is.
        """
        keys: dict[str, None] = {}
        for fixture in fixtures:
            if fixture.cached_result is not None:
                failed = fixture.cached_result[2] is not None
                for key, uses in list(self._read_in.get(fixture, {}).items()):
                    if failed or Use.VERDICT not in uses:
                        keys[key] = None
        return [*(keys | self._read_now)]

    def _tell_once(self, event: JobRequested | JobJudged | WindowRead) -> None:
        if event not in self._sent:
            self._sent.add(event)
            self._tell(event)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.item = item
        self.test = item.nodeid
        self.waited_s = {}
        self._unseen = []
        self._read_now = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        self._read_now = {}
        self.verdicts_read = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        self._read_now = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        __tracebackhide__ = True
        self._used_in[fixturedef] = set()  # set up anew, for other tests
        self._read_in[fixturedef] = {}
        self._setting_up.append(fixturedef)
        try:
            return (yield)
        except BaseException:
            self._read_now |= dict.fromkeys(self._read_in[fixturedef])
            raise
        finally:
            self._setting_up.pop()

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        # Its teardown may be what fails, and pytest forgets now that it was set up.
        if fixturedef.cached_result is not None:
            self._read_now |= dict.fromkeys(self._read_in.get(fixturedef, ()))


def running_test() -> tuple[str, str]:
    """Return the test that runs in this process, and its phase: setup, call or teardown."""
    test, _, phase = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")
    return test, phase.rstrip(")")
