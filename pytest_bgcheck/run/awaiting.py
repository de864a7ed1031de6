"""When a test waits for its jobs, and where their failure is raised.

Fixtures can add marks, and request other fixtures by name, while a test is set up or runs. So the
marks are read when the set-up is over, and once more after the body. The wait is outside of what
other plugins do in the call, so that it is neither captured nor timed as the test's own. The
failure is raised instead of the body: there pytest applies ``xfail`` to it, also if a fixture added
that, and unittest ``expectedFailure``. What is asked of the test's services and probes around its
body: `around`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from ..clocks import monotonic_s
from ..errors import WrongUse
from . import MAKE_SESSION, SESSION

if TYPE_CHECKING:
    from .around import Around
    from .session import Session
    from .verdicts import AwaitedJobs

TOO_LATE = (
    "the mark 'bgcheck' was added after the test, when nothing could be awaited: add it in the"
    " set-up or in the body"
)


class Awaiting:
    """Waits outside of all other plugins. Each test passes through here: for a test that awaits
    nothing, nothing is imported and little is done."""

    def __init__(self) -> None:
        self._ran: pytest.Item | None = None
        self._marks: tuple[pytest.Mark, ...] = ()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        # Not hidden from tracebacks: where all entries are, pytest says so below our message.
        awaited: AwaitedJobs | None = None
        around: Around | None = None
        began_s = monotonic_s()
        try:
            if _marked(item):
                try:
                    awaited = _await(item, None, began_s)
                    around = _around(item, awaited)
                except pytest.fail.Exception as error:
                    from ..compat.pytest import instead_of_body

                    with instead_of_body(item, error.with_traceback(None)):
                        return (yield)
            try:
                result = yield
                if around is not None:
                    around.close_windows()
                if _marked(item):
                    awaited = _await(item, awaited, began_s, has_run=True)
            except BaseException as error:
                if around is not None:
                    around.note_failure(error)
                raise
            around = around or _around(item, awaited)
            if around is not None and awaited is not None:
                around.judge(awaited)
            return result
        finally:
            # The test has run, whatever its outcome.
            ours = item.config.stash[SESSION]
            if ours is not None:
                ours.tell_used_jobs(item)
            self._ran = item
            self._marks = tuple(item.iter_markers("bgcheck")) if _marked(item) else ()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        if self._ran is item and _marked(item):
            known = {id(mark) for mark in self._marks}
            if any(id(mark) not in known for mark in item.iter_markers("bgcheck")):
                pytest.fail(TOO_LATE, pytrace=False)


def _await(
    item: pytest.Item, already: AwaitedJobs | None, began_s: float, has_run: bool = False
) -> AwaitedJobs | None:
    """Await an item's jobs, except those that it has ``already`` awaited; return all.

    ``began_s``: when its call began, by the monotonic clock. ``has_run``: its body is over.
    """
    __tracebackhide__ = True
    if _skipped(item):
        return already
    from .verdicts import AwaitedJobs, await_item

    try:
        return await_item(_session(item), item, already or AwaitedJobs(began_s), has_run)
    except WrongUse as error:
        wrong = str(error)
    pytest.fail(wrong, pytrace=False)  # outside, or pytest would tell it twice


def _around(item: pytest.Item, awaited: AwaitedJobs | None) -> Around | None:
    """Open the windows of an item's probes; return what is asked behind its body, None if nothing
    is."""
    __tracebackhide__ = True
    if awaited is None or not awaited.running:
        return None
    from .around import Around

    return Around(_session(item), item, awaited)


def _session(item: pytest.Item) -> Session:
    """Return the item's session, which is made here if no collected test needs one."""
    return item.config.stash[SESSION] or item.config.stash[MAKE_SESSION]()


def _marked(item: pytest.Item) -> bool:
    """Return whether an item has our mark, in a third of the time of ``get_closest_marker``."""
    node: Any = item
    while node is not None:
        for mark in node.own_markers:
            if mark.name == "bgcheck":
                return True
        node = node.parent
    return False


def _skipped(item: pytest.Item) -> bool:
    """Return whether unittest will skip the test only when it runs it."""
    from ..compat.pytest import is_unittest

    # Of a class only where unittest runs it: to pytest, this word on another class means nothing.
    cls = getattr(item, "cls", None) if is_unittest(item) else None
    return any(getattr(of, "__unittest_skip__", False) for of in (getattr(item, "obj", None), cls))
