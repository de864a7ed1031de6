"""pytest. Seen to work: 8.1.1 and 9.2.0."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TextIO

import pytest

# --- fixtures -------------------------------------------------------------------------------------


def fixture_definitions(item: pytest.Item, name: str) -> Sequence[pytest.FixtureDef[Any]]:
    """Return the fixtures of a name that an item can see, the nearest one last.

    Why: a mark names a check, which is a fixture, and the nearest one counts. In public, pytest
    resolves a name only by setting the fixture up.
    """
    return item.session._fixturemanager.getfixturedefs(name, item) or ()


def closure_definitions(item: pytest.Item) -> Iterator[pytest.FixtureDef[Any]]:
    """Yield all fixtures that an item can need by what was collected: of several of a name, the
    nearest one, and those outside of it that it requests.

    Why: in public there are their names only, and to look each up takes long in a large suite.
    """
    info = getattr(item, "_fixtureinfo", None)
    if info is not None:  # a plugin's own kind of item may have no fixtures
        for name, definitions in info.name2fixturedefs.items():
            for definition in reversed(definitions):
                yield definition
                if name not in definition.argnames:
                    break


def wide_parameters(item: pytest.Item) -> Iterator[tuple[str, str, int]]:
    """Yield the scope, the fixture and the value's number of each parameter of an item that is
    wider than its class.

    Why: tests of one value are to stay together, or it is set up again. In public, an item tells
    the parameters' values only, not their scopes.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is not None:
        for name, scope in callspec._arg2scope.items():
            if scope.value in ("module", "package", "session"):
                yield scope.value, name, callspec.indices[name]


def package_of(item: pytest.Item, definition: pytest.FixtureDef[Any]) -> pytest.Package | None:
    """Return the package at whose end an item's fixture is torn down, None if it is of no package.

    Why: a fixture does not tell its package.
    """
    if definition.scope == "package":
        for node in item.listchain():
            if isinstance(node, pytest.Package) and node.nodeid == definition.baseid:
                return node
    return None


def fixture_names(item: pytest.Item) -> list[str]:
    """Return the names of all fixtures of an item's session, whichever test can see them.

    Why: to name the one that is meant where a name is wrong. In public, pytest only prints them.
    The table has another name from pytest 9.2 on. Where it is gone, no name is suggested.
    """
    manager = item.session._fixturemanager
    tables = ("_arg2node2fixturedefs", "_arg2fixturedefs")
    return [name for table in tables for name in getattr(manager, table, ())]


def running_item(request: pytest.FixtureRequest) -> pytest.Item:
    """Return the test for which a fixture is set up, whatever the fixture's scope.

    Why: in public, a request of a wider scope does not lead to the test.
    """
    return request._pyfuncitem


def active_fixtures(item: pytest.Item) -> Mapping[str, pytest.FixtureDef[Any]]:
    """Return the fixtures that an item has requested so far, by name.

    Why: a fixture and a body may request checks by ``request.getfixturevalue``. In public, only the
    request knows of it, and an item does not lead to its request.
    """
    if isinstance(item, pytest.Function):
        return item._request._fixture_defs
    # A plugin's own kind of item may have no fixtures.
    return getattr(getattr(item, "_request", None), "_fixture_defs", {})


def fixtures_being_set_up(request: pytest.FixtureRequest) -> list[pytest.FixtureDef[Any]]:
    """Return the fixtures during whose set-up a request was made, the innermost first.

    Why: a fixture that was already being set up when the session was made has passed our hook. In
    public, a request knows the name of its own fixture only.
    """
    from _pytest.fixtures import SubRequest

    found = []
    while isinstance(request, SubRequest):
        found.append(request._fixturedef)
        request = request._parent_request
    return found


@contextmanager
def failing(definition: pytest.FixtureDef[Any], reason: str) -> Iterator[None]:
    """Have a fixture's set-up fail with a reason.

    Why: what a hook raises around the set-up, pytest does not know as the fixture's own failure: it
    trips over what is left of it when the next test requests the fixture.
    """

    def fails(*args: object, **kwargs: object) -> NoReturn:
        pytest.fail(reason, pytrace=False)

    function = definition.func
    definition.func = fails  # type: ignore[misc]
    try:
        yield
    finally:
        definition.func = function  # type: ignore[misc]


def on_request(request: pytest.FixtureRequest, heard: Callable[[str], None]) -> None:
    """Have each name told that is requested by this ``request`` of a fixture that is set up now.

    Why: pytest tells of a request only when it sets the fixture up, so not for the tests after the
    first. The fixture gets this object as its ``request``, and may keep it, as in a factory.
    """
    get = request.getfixturevalue

    def getfixturevalue(argname: str) -> Any:
        heard(argname)
        return get(argname)

    request.getfixturevalue = getfixturevalue  # type: ignore[method-assign]


def is_of_pytest(frame: FrameType) -> bool:
    """Return whether a frame runs code of pytest's own.

    Why: below one, a test, a fixture or a hook runs, and no module is being imported.
    """
    return _package(frame) in ("_pytest", "pluggy")


def runs_test(frame: FrameType, called: FrameType) -> bool:
    """Return whether code that pytest's ``frame`` has ``called`` is of a test or of a fixture.

    Why: pluggy calls hooks, pytest calls tests and fixtures, and a plugin may do so in its hook.
    """
    return _package(frame) == "_pytest" or called.f_code.co_name in (
        "pytest_pyfunc_call",
        "pytest_fixture_setup",
        "pytest_runtest_setup",
        "pytest_runtest_call",
        "pytest_runtest_teardown",
        "pytest_runtest_protocol",
    )


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


# --- the body of a test ---------------------------------------------------------------------------


@contextmanager
def instead_of_body(item: pytest.Item, failure: BaseException) -> Iterator[None]:
    """Have a failure raised where an item's body would run.

    Why: only there pytest sees it for ``xfail`` and unittest for ``expectedFailure``, and other
    plugins' parts in the call go on as for any failure. ``pytest_pyfunc_call`` is called for
    functions only.
    """

    def fails(*args: object, **kwargs: object) -> NoReturn:
        __tracebackhide__ = True
        raise failure

    if is_unittest(item):
        # By the method itself: unittest runs it, and decides whether its failure was expected.
        method: Any = item.obj  # type: ignore[attr-defined]
        vars(fails).update(vars(method))
        item.obj = fails  # type: ignore[attr-defined]
        try:
            yield
        finally:
            item.obj = method  # type: ignore[attr-defined]
    else:
        item.runtest = fails  # type: ignore[method-assign]
        try:
            yield
        finally:
            del item.runtest


def is_unittest(item: pytest.Item) -> bool:
    """Return whether unittest runs an item. Public; here for `instead_of_body`."""
    unittest = sys.modules.get("unittest")
    cls = getattr(item, "cls", None)
    return unittest is not None and isinstance(cls, type) and issubclass(cls, unittest.TestCase)


# --- the terminal ---------------------------------------------------------------------------------


def own_reporter(config: pytest.Config) -> pytest.TerminalReporter | None:
    """Return pytest's reporter, or one derived from it; None if another plugin's is in its place.

    Why: pytest 8.1 does not export its class. A plugin may register, under the same name, an object
    that has only a few of its methods.
    """
    from _pytest.terminal import TerminalReporter

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter if isinstance(reporter, TerminalReporter) else None


def terminal_file(config: pytest.Config) -> TextIO:
    """Return the file that pytest's terminal writer writes to.

    Why: the live line moves the cursor, which the writer would count as columns. The writer's own
    ``write_raw`` came after 8.1.
    """
    file: TextIO = config.get_terminal_writer()._file
    return file


@contextmanager
def capture_off(config: pytest.Config) -> Iterator[None]:
    """Have what is written now reach the terminal, and not the output of the test that runs.

    Why: as pytest's live log does it. In public, only a fixture (``capsys``) can switch it off.
    """
    manager = config.pluginmanager.get_plugin("capturemanager")
    if manager is None:
        yield
        return
    # A body that waits may have streams of its own (``contextlib.redirect_stdout``), which pytest
    # would replace by its own when it goes on to capture.
    streams = sys.stdin, sys.stdout, sys.stderr
    try:
        with manager.global_and_fixture_disabled():
            yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams


def end_line(reporter: pytest.TerminalReporter) -> None:
    """Tell pytest that its line is over, so that it begins the next one with a file's name.

    Why: ``ensure_newline`` would write a newline of its own.
    """
    reporter.currentfspath = None


def begins_lines(reporter: pytest.TerminalReporter) -> bool:
    """Return whether pytest begins a line when a test starts, and not when it ends."""
    return reporter.showfspath or reporter.showlongtestinfo


def begin_line(
    reporter: pytest.TerminalReporter, nodeid: str, location: tuple[str, int | None, str]
) -> None:
    """Have pytest begin the line of a test once more, behind lines of ours."""
    reporter.pytest_runtest_logstart(nodeid, location)


# --- reports --------------------------------------------------------------------------------------


def put_before_failure(
    report: pytest.TestReport, *, cause: str, headline: str, transition: str
) -> None:
    """Put the text of a failure's cause, and a ``transition``, before what a report says of it.

    ``headline`` comes first where pytest tells a failure in a line: in its short summary, with
    ``--tb=line``, in JUnit files.

    Why: all that must reach the terminal, xdist's controller, JUnit files and other plugins, which
    know pytest's own representation of a chain of exceptions. Its classes are not public, and the
    exception itself must stay the test's.
    """
    from _pytest._code.code import ReprTracebackNative

    *before, (traceback, crash, _) = _chain(report)
    crash = _replaced(crash, f"{headline}; then {crash.message}")
    first = ReprTracebackNative([f"{cause}\n"])
    _set_chain(report, [(first, crash, transition), *before, (traceback, crash, None)])


def put_behind_failure(
    report: pytest.TestReport, *, text: str, headline: str, transition: str
) -> None:
    """Put a ``transition``, and what else has failed, behind what a report says of a failure.

    ``headline`` comes behind the failure where pytest tells that in a line.

    Why: see `put_before_failure`.
    """
    from _pytest._code.code import ReprTracebackNative

    *before, (traceback, crash, _) = _chain(report)
    first, newline, more = crash.message.partition("\n")
    crash = _replaced(crash, f"{first}; {headline}{newline}{more}")
    last = ReprTracebackNative([f"{text}\n"])
    _set_chain(report, [*before, (traceback, crash, transition), (last, crash, None)])


def _chain(report: pytest.TestReport) -> list[Any]:
    """Return what a report says of a failure as a chain; the last one says where it happened."""
    from _pytest._code.code import (
        ExceptionChainRepr,
        ExceptionRepr,
        ReprFileLocation,
        ReprTracebackNative,
    )

    old = report.longrepr
    chain: list[Any]
    if isinstance(old, ExceptionChainRepr):
        chain = list(old.chain)
    elif isinstance(old, ExceptionRepr):  # with --tb=native
        chain = [(old.reprtraceback, old.reprcrash, None)]
    else:
        chain = [(ReprTracebackNative([f"{old}\n"]), None, None)]
    traceback, crash, transition = chain[-1]
    if crash is None:
        path, line, _ = report.location
        crash = ReprFileLocation(path, (line or 0) + 1, str(old).strip().partition("\n")[0])
    return [*chain[:-1], (traceback, crash, transition)]


def _replaced(crash: Any, message: str) -> Any:
    """Return where a failure happened, with another message."""
    from _pytest._code.code import ReprFileLocation

    return ReprFileLocation(crash.path, crash.lineno, message)


def _set_chain(report: pytest.TestReport, chain: list[Any]) -> None:
    from _pytest._code.code import ExceptionChainRepr

    new = ExceptionChainRepr(chain)
    new.sections = list(getattr(report.longrepr, "sections", []))
    report.longrepr = new


def succeeded_unexpectedly(item: pytest.Item, call: pytest.CallInfo[None]) -> bool:
    """Return whether an item's body has passed though unittest's ``expectedFailure`` is on it.

    Why: pytest tells that as a failure, which has no class of its own.
    """
    error = None if call.excinfo is None else call.excinfo.value
    return is_unittest(item) and str(error).partition(":")[0] == "Unexpected success"


def fail_as_expected(report: pytest.TestReport, reason: str) -> None:
    """Make a test's report one of a failure that was expected.

    Why: ``wasxfail`` is in no reference.
    """
    report.outcome = "skipped"
    report.wasxfail = reason


def is_subtest(report: pytest.TestReport) -> bool:
    """Return whether a report is of a subtest: of pytest 9, or of pytest-subtests.

    Why: ``pytest.SubtestReport`` came with pytest 9, and pytest-subtests has another.
    """
    return hasattr(report, "context")


def has_xfail(report: pytest.TestReport) -> bool:
    """Return whether a failure of the test that has run was expected.

    Why: the attribute is set by ``xfail``, and in no reference.
    """
    return hasattr(report, "wasxfail")


def failure_message(report: pytest.TestReport) -> str:
    """Return the first line of why a test failed, as in pytest's short summary.

    Why: in public, a report's ``longrepr`` is any object that can be shown as text.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    message: str = report.longreprtext if crash is None else crash.message
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return first.removeprefix("Failed: ")  # of pytest.fail: it says nothing


def marks_nearest_first(item: pytest.Item, name: str) -> list[pytest.Mark]:
    """Return the marks of that name of an item and its parents, the nearest first.

    Why: among the marks of a class, ``iter_markers`` has those that it inherits before its own
    (pytest 8.1 to 9.2).
    """
    return [
        mark
        for node in reversed(item.listchain())
        for mark in _own_before_inherited(node)
        if mark.name == name
    ]


def _own_before_inherited(node: Any) -> list[pytest.Mark]:
    cls = node.obj if isinstance(node, pytest.Class) else None
    given: list[pytest.Mark] = node.own_markers
    bases = getattr(cls, "__mro__", ())
    if len(bases) < 3:  # it inherits from object only
        return given
    places = {}
    for place, base in enumerate(bases):
        marks = vars(base).get("pytestmark", [])
        for mark in marks if isinstance(marks, list) else [marks]:
            places[id(getattr(mark, "mark", mark))] = place
    # What was added to the node itself stays behind all others.
    return sorted(given, key=lambda mark: places.get(id(mark), len(bases)))
