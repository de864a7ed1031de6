"""The pytest11 entry point: hooks and fixtures, wiring only.

What a suite does not use is not imported: the session is made when an item has a mark of ours,
a check's fixture or the ``bgcheck`` fixture.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from . import options
from .clocks import unix_s
from .run import MAKE_SESSION, SESSION
from .run.awaiting import Awaiting
from .startup import (
    COLLECTED_ITEMS,
    CONTROLLER,
    STARTED_AT,
    WHOLE_RUN,
    begin,
    collect,
    make_whole_run,
    new_session,
    register,
    session_of,
    start,
    worker_input_of,
)
from .suite import DECLARED_JOB

if TYPE_CHECKING:
    from .run.fixture import Bgcheck
    from .run.session import Session
    from .suite.declaration import Declaration
    from .target.job import Job, JobsOnHosts

MARK = (
    "bgcheck(*names, rc=..., timeout=..., max_outage=..., min_available=..., order=...): wait for"
    " background checks, services and probes before the test's body runs; the test fails unless the"
    " checks succeeded, the services are ready then and alive when the body is over, and the probes"
    " see no outage during the body. Without names: all whose fixtures the test requests. rc: the"
    " exit codes of checks that are accepted for this test, None for any. timeout: how long this"
    " test waits. max_outage: seconds, the longest outage that a probe may see. min_available:"
    " percent of the body's time that a probe has to see up. order: 'keep' leaves this test where"
    " it is; a mark with order alone awaits nothing."
)

FIRST_IN_CHILD = (
    "this test uses a background check in a forked child, but no test that was collected uses"
    " any: mark a test, or request 'bgcheck' or a check's fixture as an argument"
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    options.add_options(parser)
    if f"{__package__}.suite.declaration" in sys.modules:
        from .suite.standing_in import stand_down

        stand_down()
    # By its module's name it is loaded where pytest loads no plugin by itself. Its checks need
    # testinfra's fixtures and options, which are loaded with it then.
    if pluginmanager.get_name(sys.modules[__name__]) == __name__:
        import testinfra.plugin

        if not pluginmanager.is_registered(testinfra.plugin):
            pluginmanager.import_plugin("testinfra.plugin")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from . import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("bgcheck_plan"):
        from .compat.xdist import without_workers

        without_workers(config)
    config.addinivalue_line("markers", MARK)
    config.stash[SESSION] = None
    config.stash[STARTED_AT] = unix_s()
    options.from_config(config)  # a wrong option is told before anything else happens
    # Always: a mark may come at run time.
    config.pluginmanager.register(Awaiting(), "bgcheck-awaiting")


def pytest_sessionstart(session: pytest.Session) -> None:
    process = os.getpid()

    def make() -> Session:
        """Make the session for a running test, where nothing that was collected needs one."""
        if os.getpid() != process:
            pytest.fail(FIRST_IN_CHILD, pytrace=False)  # nobody would clean up after it
        ours = new_session(session)
        register(ours)
        if not options.only_looks(session.config):
            start(ours)
        return ours

    def declared_job(declaration: Declaration, name: str, host: object) -> Job | JobsOnHosts:
        ours = session_of(session.config) or make()
        return ours.declared(declaration, name, host)

    session.config.stash[MAKE_SESSION] = make
    session.config.stash[DECLARED_JOB] = declared_job


@pytest.fixture(scope="session")
def bgcheck(request: pytest.FixtureRequest) -> Bgcheck:
    """Start background checks that are not declared, and find the jobs of the run."""
    from .run.fixture import Bgcheck

    ours = session_of(request.config)
    if ours is None:
        ours = request.config.stash[MAKE_SESSION]()
        ours.judging.made_during(request)
    return Bgcheck(ours)


# --- before the run -------------------------------------------------------------------------------


def pytest_exception_interact(
    call: pytest.CallInfo[object], report: pytest.CollectReport | pytest.TestReport
) -> None:
    error = None if call.excinfo is None else call.excinfo.value
    declares = f"{__package__}.suite.declaration" in sys.modules
    if declares and isinstance(error, AttributeError) and isinstance(report, pytest.CollectReport):
        from .suite.misuse import explain

        explain(error, report)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config) -> None:
    config.stash[COLLECTED_ITEMS] = None  # pytest_collection_finish is called after an error too


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    # The list is final: other plugins have ordered, cut or extended it. First of all hooks here,
    # since xdist and the terminal report the list by this one.
    ours = collect(session)
    if ours is not None:
        ours.order_items(session.items)
        session.config.stash[COLLECTED_ITEMS] = list(session.items)
        if ours.link.index == 0:  # once, however many workers collect
            from .suite.companions import warn_of_short_timeouts
            from .suite.misuse import warn_of_replaced_fixtures

            warn_of_short_timeouts(session.items)
            warn_of_replaced_fixtures(session.config, session.items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    ours = session_of(config)
    if ours is None or ours.new_order is None:
        return []
    from .run.new_order import header

    return header(config, ours.new_order)


@pytest.hookimpl(specname="pytest_runtestloop", wrapper=True, trylast=True)
def pytest_runtestloop_around(session: pytest.Session) -> Generator[None, object, object]:
    # Innermost: pytest's log files and live log are open here, and what is asked goes there.
    config = session.config
    # Once more: other plugins may have added items when the list was reported. The start is not
    # earlier, since modes that only show what was collected never come here.
    ours = collect(session)
    if ours is not None:
        ours.make_plan(session.items)
        failed = session.testsfailed and not config.getoption("continue_on_collection_errors")
        # xdist's workers run what they have collected all the same.
        runs = not failed or worker_input_of(config)
        if runs and not options.only_looks(config):
            start(ours)
            from .suite.standing_in import standing_in

            with standing_in():
                return (yield)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not session.config.getoption("bgcheck_plan"):
        return None
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        ours = session_of(session.config)
        lines = ["no background checks"] if ours is None else ours.plan_lines()
        reporter.write_line("")
        for line in lines:
            reporter.write_line(line)
    return True


# --- the end --------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    # Innermost: before the terminal's summary, and on the controller around xdist's own end.
    stash = session.config.stash
    controller = stash.get(CONTROLLER, None)
    with contextlib.ExitStack() as hold:
        if controller is not None:
            if controller.whole_run.ledger.jobs:
                from .run import signals

                # Also while xdist waits for its workers.
                hold.enter_context(signals.held())
                controller.whole_run.tell_end(at_once=True)
            controller.stop_workers(at_end=True)
        try:
            return (yield)
        finally:
            if controller is not None:
                controller.session_ended = True
                controller.begin_if_used()
            # Only now have the fixtures of the session ended, which may have made it or used it.
            ours, whole_run = session_of(session.config), stash.get(WHOLE_RUN, None)
            if ours is not None or whole_run is not None:
                from .run import signals

                hold.enter_context(signals.held())  # also while this is imported, which takes long
                from .run import ending

                ending.finish(session, ours, whole_run, controller)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    whole_run = config.stash.get(WHOLE_RUN, None)
    # A reporter of another plugin's may write its summary before the run has come to its end.
    ended = whole_run is not None and whole_run.ended_session is not None
    if whole_run is not None and ended and not config.getoption("no_summary", False):
        from .run import summary

        summary.write(whole_run, terminalreporter, config)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if f"{__package__}.suite.declaration" in sys.modules:
        from .suite.standing_in import stand_again

        stand_again()
    whole_run, controller = config.stash.get(WHOLE_RUN, None), config.stash.get(CONTROLLER, None)
    if controller is not None and not controller.session_ended:
        from .run import ending

        ending.end_workers(controller)
    elif whole_run is not None:
        from .run import ending

        ending.report(config, whole_run)


# --- the xdist controller -------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    from .workers.controller import Controller

    settings = options.from_config(config)
    whole_run = make_whole_run(config, settings, only_process=False)

    if settings.reports:
        begin(config, whole_run)  # they also tell of a suite without checks

    def tests_use_checks() -> bool:
        whole_run.termination.install()
        if WHOLE_RUN in config.stash:
            return False
        begin(config, whole_run)
        return True

    controller = config.stash[CONTROLLER] = Controller(config, whole_run, tests_use_checks)
    config.pluginmanager.register(controller, "bgcheck-controller")


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    # Behind those of other plugins and of the suite, before xdist's own: the first one counts.
    from .compat.xdist import too_old

    controller = config.stash.get(CONTROLLER, None)
    if controller is None or too_old():
        return None  # of a version that is too old a worker says so, if its tests use checks
    from .workers.scheduling import scheduler

    return scheduler(config, log, controller.last_tests)
