"""The pytest11 entry point: hooks and fixtures, wiring only.

What a suite does not use is not imported: the session is made when an item has a mark of ours,
a check's fixture or the ``bgcheck`` fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import pytest

from . import settings
from .settings import SESSION

if TYPE_CHECKING:
    from .session import Bgcheck, Session

MARK = (
    "bgcheck(*names, rc=..., timeout=...): await background checks before the test's body, and fail"
    " it unless they succeeded. Without names: all checks whose fixtures the test requests. rc:"
    " the accepted exit codes for this test, None for any. timeout: how long this test waits."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)
    config.stash[SESSION] = None


@pytest.fixture(scope="session")
def bgcheck(request: pytest.FixtureRequest) -> Bgcheck:
    """Start background checks that are not declared, and find the jobs of the run."""
    from .session import Bgcheck

    return Bgcheck(request.config.stash[SESSION])


def _session(config: pytest.Config) -> Session | None:
    session: Session | None = config.stash.get(SESSION, None)
    return session


def _used(config: pytest.Config, items: Sequence[pytest.Item]) -> bool:
    """Return whether any item has to do with background checks."""
    # Where nobody has imported it, nothing can be declared.
    if f"{__package__}.declaration" in sys.modules:
        from .declaration import declarations

        if any(True for _ in declarations(config, items)):
            return True
    return any(
        "bgcheck" in getattr(item, "fixturenames", ()) or item.get_closest_marker("bgcheck")
        for item in items
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    options = settings.from_config(config)
    if not _used(config, items):
        return
    from .session import Session

    ours = Session(config, options)
    ours.look_at(items)
    # Only now: pytest goes on to pytest_collection_finish after a usage error.
    config.stash[SESSION] = ours
    config.pluginmanager.register(Awaiting(), "bgcheck-awaiting")
    if options.order == "last":
        items[:] = ours.in_order(items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    ours = _session(session.config)
    if ours is None:
        return
    ours.make_plan(session.items)
    option = session.config.option
    failed = session.testsfailed and not option.continue_on_collection_errors
    idle = option.collectonly or option.setuponly or option.setupplan or ours.settings.plan
    if not (failed or idle):
        ours.start_planned()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not session.config.getoption("bgcheck_plan"):
        return None
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        ours = _session(session.config)
        lines = ["no background checks"]
        if ours is not None and ours.planned:
            from .session import describe

            lines = describe(ours.planned)
        reporter.write_line("")
        for line in lines:
            reporter.write_line(line)
    return True


class Awaiting:
    """The hook that each test passes through, registered only where there is something to await."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        ours = _session(item.config)
        if ours is not None and not _skipped(item):
            ours.await_item(item)
        return (yield)


def _skipped(item: pytest.Item) -> bool:
    """Return whether unittest will skip the test only when it runs it."""
    places = (getattr(item, "obj", None), getattr(item, "cls", None))
    return any(getattr(place, "__unittest_skip__", False) for place in places)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    ours = _session(session.config)
    if ours is None:
        return
    ours.close()
    if not hasattr(session.config, "workerinput"):
        ours.remember()
    fails = ours.settings.unawaited == "fail" and ours.unawaited()
    if fails and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    ours = _session(config)
    if ours is None or not ours.started:
        return
    unawaited = ours.unawaited() if ours.settings.unawaited != "ignore" else []
    kept = ours.kept() if ours.settings.keep else []
    if not (unawaited or kept or ours.troubles):
        return
    terminalreporter.write_sep("=", "background checks")
    failing = ours.settings.unawaited == "fail"
    for line in unawaited:
        terminalreporter.write_line(line, red=failing, yellow=not failing)
    for line in ours.troubles:
        terminalreporter.write_line(f"not cleaned up: {line}", red=True)
    for line in kept:
        terminalreporter.write_line(f"kept: {line}")
