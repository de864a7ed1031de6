"""What is asked of a test's services and probes around its body: if it is not good, the test fails.

Right before the body a window is opened of each probe that the test awaits by mark, and right
behind it these are closed, whether it passed or failed. Then the services are asked whether they
still live: one that has ended during the body may be why that failed, or be what it should have
told.

If the body failed, that stays the test's failure, and its report tells what was found behind it
(`failed_uses`). A skip judges nothing, nor does what ends the run. Imported on first use.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from ..events import WindowClosed
from ..report import text
from .alive import ends
from .session import Session
from .verdicts import AwaitedJobs, tell_properties
from .watched import BodyWindows


@dataclass
class Found:
    """What was found around an item's body, for its report.

    ``bad``: how its services and probes stand for which its test fails, by their keys. ``windows``:
    the events of all windows.
    """

    bad: dict[str, text.Verdict] = field(default_factory=dict)
    windows: list[WindowClosed] = field(default_factory=list)


_FOUND: pytest.StashKey[Found] = pytest.StashKey()


def take_found(item: pytest.Item) -> Found:
    """Return, once, what was found around an item's body."""
    found = item.stash.get(_FOUND, Found())
    item.stash[_FOUND] = Found()
    return found


class Around:
    """One run of a test's body. Made right before it: opens the windows, or fails the test."""

    def __init__(self, session: Session, item: pytest.Item, awaited: AwaitedJobs) -> None:
        __tracebackhide__ = True
        self._session = session
        self._item = item
        self._awaited = awaited
        self._unknown = False
        item.stash[_FOUND] = Found()
        self._windows = BodyWindows(session, item.nodeid, awaited)
        not_opened = self._windows.not_opened(awaited)
        if not_opened:
            if session.runner.records.closing:
                pytest.skip("the run was stopped while this test waited")
            self._note(not_opened, {})
            pytest.fail(text.failure(list(not_opened.values())), pytrace=False)

    def close_windows(self) -> None:
        """Close the windows: the body is over."""
        self._windows.close()

    def judge(self, awaited: AwaitedJobs) -> None:
        """Fail a test whose body has passed, unless all is good; ``awaited``: by now."""
        __tracebackhide__ = True
        self._awaited = awaited
        bad = self._look()
        if bad:
            pytest.fail(text.failure(list(bad.values())), pytrace=False)
        if self._unknown:
            pytest.skip("the run was stopped before this test's probes had told what they saw")

    def note_failure(self, error: BaseException) -> None:
        """Note for the report what was found behind a body that has raised."""
        if not _ends_run(error):
            self.close_windows()
            if not _is_skip(error):
                self._look()

    def _look(self) -> Mapping[str, text.Verdict]:
        """Return, and note, for what the test fails."""
        of_services = ends(self._session, self._awaited)
        of_probes = self._windows.verdicts(self._awaited)
        if self._session.runner.records.closing:
            # The run is being stopped: only what was told before that is known.
            told = {key: said for key, said in of_probes.items() if not said.not_proven}
            self._unknown = told.keys() != of_probes.keys()
            of_services, of_probes = {}, told
        return self._note(of_probes, of_services)

    def _note(
        self, of_probes: Mapping[str, text.Verdict], of_services: Mapping[str, text.Verdict]
    ) -> Mapping[str, text.Verdict]:
        """Note verdicts by the jobs' keys; return those that are not good, in the marks' order."""
        tell_properties(self._session, self._item, of_probes)
        verdicts = {**of_probes, **of_services}
        keys = [record.key for record in self._awaited.running]
        bad = {key: verdicts[key] for key in keys if key in verdicts and not verdicts[key].good}
        self._item.stash[_FOUND] = Found(bad, self._windows.events(of_probes))
        return bad


def _ends_run(error: BaseException) -> bool:
    """Return whether what a body has raised ends the run."""
    return isinstance(error, (KeyboardInterrupt, pytest.exit.Exception))


def _is_skip(error: BaseException) -> bool:
    unittest = sys.modules.get("unittest")
    skips = () if unittest is None else (unittest.SkipTest,)
    return isinstance(error, (pytest.skip.Exception, *skips))
