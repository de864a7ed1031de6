"""Each private API of pytest that `compat.pytest` needs, by what it is needed for."""

import inspect
import json
import unittest
from collections.abc import Callable, Generator
from typing import Any

import pytest
from support.private import needs

from pytest_bgcheck.compat.pytest import (
    active_fixtures,
    begin_line,
    begins_lines,
    capture_off,
    closure_definitions,
    end_line,
    failure_message,
    fixture_definitions,
    fixture_names,
    fixtures_being_set_up,
    has_xfail,
    instead_of_body,
    is_of_pytest,
    is_subtest,
    is_unittest,
    on_request,
    own_reporter,
    package_of,
    put_before_failure,
    running_item,
    terminal_file,
    wide_parameters,
)


def test_the_definitions_of_a_fixture_are_known_before_it_is_requested(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef it(): return 'outer'\n")
    item = pytester.getitem("import pytest\n@pytest.fixture\ndef it(): pass\ndef test_func(): pass")
    with needs("pytest", "FixtureManager.getfixturedefs(name, node)", fixture_definitions):
        definitions = fixture_definitions(item, "it")
        assert [d.baseid for d in definitions] == ["", item.nodeid.partition("::")[0]]
        assert not fixture_definitions(item, "unknown")


PARAMETRIZED = """
import pytest

@pytest.fixture(scope="session", params="ab")
def of_session(request): pass

@pytest.fixture(scope="module", params="ab")
def of_module(request): pass

@pytest.fixture(scope="class", params="ab")
def of_class(request): pass

@pytest.fixture(params="ab")
def own(request): pass

def test_it(of_session, of_module, of_class, own): pass
"""


def test_the_values_of_an_items_wide_fixtures_are_known(pytester: pytest.Pytester) -> None:
    items = pytester.getitems(PARAMETRIZED + "def test_plain(): pass\n")
    by_name = {item.name: item for item in items}
    item, plain = by_name["test_it[a-b-a-a]"], by_name["test_plain"]
    with needs("pytest", "CallSpec2._arg2scope and .indices", wide_parameters):
        assert sorted(wide_parameters(item)) == [
            ("module", "of_module", 1),
            ("session", "of_session", 0),
        ]
    assert not list(wide_parameters(plain))


def test_the_package_of_a_fixture_is_known(pytester: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.fixture(scope='package')\ndef {}(): pass\n"
    pytester.makeconftest(text.format("outer"))
    package = pytester.mkpydir("inner")
    (package / "conftest.py").write_text(text.format("inner"))
    (package / "test_it.py").write_text(
        text.format("own") + "def test_it(inner, outer, own): pass\n"
    )
    (item,), _ = pytester.inline_genitems()
    definitions = {d.argname: d for d in closure_definitions(item)}
    with needs("pytest", "FixtureDef.baseid as the package's node id", package_of):
        assert getattr(package_of(item, definitions["inner"]), "path", None) == package
    # As pytest has it, these are of the session: no package is the folder of their module.
    assert package_of(item, definitions["outer"]) is None
    assert package_of(item, definitions["own"]) is None


def test_the_names_of_all_fixtures_are_known(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef outer(): pass\n")
    item = pytester.getitem("import pytest\n@pytest.fixture\ndef it(): pass\ndef test_func(): pass")
    api = "FixtureManager._arg2node2fixturedefs, or _arg2fixturedefs before"
    with needs("pytest", api, fixture_names):
        assert {"outer", "it", "tmp_path"} <= set(fixture_names(item))


def test_a_request_of_any_scope_leads_to_its_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\nfrom pytest_bgcheck.compat.pytest import running_item\n"
        "@pytest.fixture(scope='session')\ndef wide(request): return running_item(request)\n"
        "def test(request, wide): assert wide is running_item(request) is request.node\n"
    )
    with needs("pytest", "FixtureRequest._pyfuncitem", running_item):
        pytester.runpytest_inprocess().assert_outcomes(passed=1)


ASKING = """
import pytest
from pytest_bgcheck.compat import pytest as compat

@pytest.fixture(scope="session")
def asked(request):
    return compat.fixtures_being_set_up(request)

@pytest.fixture(scope="module")
def middle(request):
    return request.getfixturevalue("asked")

@pytest.fixture
def own(middle): return middle

@pytest.fixture
def late(): return "late"
"""


def test_the_fixtures_that_an_item_has_requested_are_known(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        ASKING + "def test(request, own):\n"
        "    assert 'late' not in compat.active_fixtures(request.node)\n"
        "    request.getfixturevalue('late')\n"
        "    active = compat.active_fixtures(request.node)\n"
        "    assert active['late'].cached_result[0] == 'late'\n"
        "    assert {'own', 'middle', 'asked'} <= active.keys()\n"
    )
    with needs("pytest", "Function._request and FixtureRequest._fixture_defs", active_fixtures):
        pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_the_fixtures_that_an_item_can_need_are_known(pytester: pytest.Pytester) -> None:
    item = pytester.getitem(ASKING + "def test(own, request): pass", "test")
    with needs("pytest", "Function._fixtureinfo.name2fixturedefs", closure_definitions):
        names = [definition.argname for definition in closure_definitions(item)]
    assert {"own", "middle"} <= set(names)


def test_of_overridden_fixtures_those_are_needed_that_are_requested(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(
        "import pytest\n@pytest.fixture\ndef replaced(): pass\n@pytest.fixture\ndef used(): pass\n"
    )
    item = pytester.getitem(
        "import pytest\n@pytest.fixture\ndef replaced(): pass\n"
        "@pytest.fixture\ndef used(used): pass\n"
        "def test(replaced, used): pass",
        "test",
    )
    found = [(d.argname, d.func.__module__) for d in closure_definitions(item)]
    own = item.module.__name__  # type: ignore[attr-defined]
    assert [found_in for found_in in found if found_in[0] in ("replaced", "used")] == [
        ("replaced", own), ("used", own), ("used", "conftest"),
    ]  # fmt: skip


def test_an_item_of_another_plugin_has_requested_nothing(pytester: pytest.Pytester) -> None:
    class Item(pytest.Item):
        def runtest(self) -> None:
            pass

    session = pytester.getitem("def test_func(): pass").session
    item = Item.from_parent(session, name="it")
    assert active_fixtures(item) == {}
    assert not list(closure_definitions(item))


def test_the_fixtures_that_are_being_set_up_are_known(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        ASKING + "def test(request, own):\n"
        "    assert [d.argname for d in own] == ['asked', 'middle']\n"
        "    assert compat.fixtures_being_set_up(request) == []\n"
    )
    api = "fixtures.SubRequest with _fixturedef and _parent_request"
    with needs("pytest", api, fixtures_being_set_up):
        pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_each_request_of_a_fixture_is_heard(pytester: pytest.Pytester) -> None:
    heard: list[str] = []

    class Plugin:
        @pytest.hookimpl(wrapper=True)
        def pytest_fixture_setup(self, fixturedef: Any, request: pytest.FixtureRequest) -> Any:
            if fixturedef.argname == "middle":
                on_request(request, heard.append)
            return (yield)

    pytester.makepyfile(ASKING + "def test(own): pass\n")
    with needs("pytest", "one request for pytest_fixture_setup and the fixture", on_request):
        pytester.runpytest_inprocess(plugins=[Plugin()]).assert_outcomes(passed=1)
        assert heard[-1:] == ["asked"]  # pytest may go this way for arguments too


def test_a_frame_below_a_test_is_of_pytest() -> None:
    with needs("pytest", "its code in the packages _pytest and pluggy", is_of_pytest):
        frame = inspect.currentframe()
        assert frame is not None
        assert not is_of_pytest(frame)
        below = [is_of_pytest(info.frame) for info in inspect.getouterframes(frame)]
        assert any(below)


SUITE = """
import unittest

import pytest
from pytest_bgcheck.compat import pytest as compat

def test_function(): raise AssertionError("not instead")

class TestClass:
    def test_method(self): raise AssertionError("not instead")

class Case(unittest.TestCase):
    def test_case(self): raise AssertionError("not instead")

    @unittest.expectedFailure
    def test_expected(self): pass

@pytest.mark.xfail(raises=LookupError, strict=True)
def test_xfail(): pass
"""


def test_a_failure_is_raised_where_the_body_would_run(pytester: pytest.Pytester) -> None:
    class Plugin:
        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_call(self, item: pytest.Item) -> Any:
            assert is_unittest(item) == ("Case" in item.nodeid)
            with instead_of_body(item, LookupError("instead")):
                return (yield)

    pytester.makepyfile(SUITE)
    api = "the call of item.runtest, and TestCaseFunction.obj for unittest's own"
    with needs("pytest", api, instead_of_body):
        result = pytester.runpytest_inprocess(plugins=[Plugin()])
        result.assert_outcomes(failed=3, xfailed=2)
        result.stdout.fnmatch_lines(["*LookupError: instead"])
        result.stdout.no_fnmatch_line("*not instead")


def test_unittest_is_told_apart(request: pytest.FixtureRequest) -> None:
    assert not is_unittest(request.node)
    assert issubclass(unittest.IsolatedAsyncioTestCase, unittest.TestCase)


class Calls:
    """Calls a function while a test runs."""

    def __init__(self, function: Callable[[pytest.Config], None]) -> None:
        self._function = function

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self._function(item.config)


def reporter_of(config: pytest.Config) -> "pytest.TerminalReporter":
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    return reporter


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_what_is_written_during_a_test_reaches_the_terminal(
    pytester: pytest.Pytester, capture: str
) -> None:
    pytester.makepyfile(
        people="import pytest\n"
        "from pytest_bgcheck.compat.pytest import capture_off\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_runtest_call(item):\n"
        "    with capture_off(item.config): print('for people')\n"
    )
    pytester.makepyfile("def test(): print('of the test'); assert False")
    with needs("pytest", "CaptureManager.global_and_fixture_disabled", capture_off):
        result = pytester.runpytest_subprocess(f"--capture={capture}", "-p", "people")
        # In the report of the failure it would stand beside what the test has printed.
        head = result.stdout.str().partition("= FAILURES =")[0]
        assert "for people" in head
        assert ("of the test" in head) == (capture == "no")


def test_without_capture_there_is_nothing_to_switch_off(pytester: pytest.Pytester) -> None:
    with capture_off(pytester.parseconfig("-p", "no:capture")):
        pass


def test_the_file_of_the_terminal_is_known(pytester: pytest.Pytester) -> None:
    def write(config: pytest.Config) -> None:
        with capture_off(config):
            terminal_file(config).write("\nraw\n")

    pytester.makepyfile("def test(): pass")
    with needs("pytest", "TerminalWriter._file", terminal_file):
        result = pytester.runpytest_inprocess(plugins=[Calls(write)])
        assert "raw" in result.outlines


@pytest.mark.parametrize(("option", "begins"), [("-v", True), ("-vv", True), ("-q", False)])
def test_a_test_has_its_line_back(pytester: pytest.Pytester, option: str, begins: bool) -> None:
    def write(config: pytest.Config) -> None:
        reporter = reporter_of(config)
        assert begins_lines(reporter) is begins
        with capture_off(config):
            config.get_terminal_writer().line()
            end_line(reporter)
            config.get_terminal_writer().write("ours")
            if begins:  # with a newline
                begin_line(reporter, "test_it.py::test", ("test_it.py", 0, "test"))
            else:
                config.get_terminal_writer().line()

    pytester.makepyfile(test_it="def test(): pass")
    api = "TerminalReporter.currentfspath, showfspath, showlongtestinfo or pytest_runtest_logstart"
    with needs("pytest", api, begin_line):
        lines = pytester.runpytest_inprocess(option, plugins=[Calls(write)]).outlines
        behind = lines[lines.index("ours") + 1]
        assert behind.startswith("test_it.py::test PASSED" if begins else ".")


def test_the_reports_of_subtests_and_of_xfail_are_told_apart(pytester: pytest.Pytester) -> None:
    reports: list[pytest.TestReport] = []

    class Plugin:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            reports.append(report)

    pytester.makepyfile(
        "import unittest, pytest\n"
        "class Case(unittest.TestCase):\n"
        "    def test(self):\n"
        "        with self.subTest('one'): self.skipTest('not now')\n"
        "@pytest.mark.xfail\ndef test_xfail(): assert False\n"
        "def test(): pass\n"
    )
    pytester.runpytest_inprocess(plugins=[Plugin()])
    with needs("pytest", "TestReport.wasxfail", has_xfail):
        assert [r.nodeid.partition("::")[2] for r in reports if has_xfail(r)] == ["test_xfail"]
    with needs("pytest", "SubtestReport.context", is_subtest):
        found = {r.nodeid.partition("::")[2] for r in reports if is_subtest(r)}
        assert found == ({"Case::test"} if hasattr(pytest, "Subtests") else set())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("assert 1 == 2, 'this is\\nwhy'", "AssertionError: this is"),
        ("pytest.fail('this is\\nwhy')", "this is"),
        ("pytest.fail('this is\\nwhy', pytrace=False)", "this is"),
        ("raise ValueError", "ValueError"),
        ("unittest.TestCase().fail('no')", "AssertionError: no"),
    ],
)
def test_a_report_says_in_a_line_why_its_test_failed(
    pytester: pytest.Pytester, body: str, message: str
) -> None:
    pytester.makepyfile(f"import pytest, unittest\ndef test(): {body}")
    reports = pytester.inline_run().getreports("pytest_runtest_logreport")
    failed = [r for r in reports if isinstance(r, pytest.TestReport) and r.failed]
    with needs("pytest", "TestReport.longrepr.reprcrash.message", failure_message):
        assert [failure_message(report) for report in failed] == [message]


@pytest.mark.parametrize("style", ["long", "short", "native"])
def test_a_text_is_put_before_a_failure(pytester: pytest.Pytester, style: str) -> None:
    class Plugin:
        def pytest_configure(self, config: pytest.Config) -> None:
            self.config = config

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, object]:
            report = yield
            if not report.failed:
                return report
            put_before_failure(report, cause="one\ntwo", headline="one", transition="then:")
            hook = self.config.hook  # as xdist does
            data = hook.pytest_report_to_serializable(config=self.config, report=report)
            data = json.loads(json.dumps(data))
            return hook.pytest_report_from_serializable(config=self.config, data=data)

    pytester.makepyfile(
        "def test_chain():\n"
        "    try: raise KeyError('inner')\n"
        "    except KeyError as error: raise ValueError('outer') from error\n"
        "def test_fixture(unknown): pass\n"
    )
    with needs("pytest", "ExceptionChainRepr(chain)", put_before_failure):
        result = pytester.runpytest_inprocess(f"--tb={style}", plugins=[Plugin()])
        result.stdout.fnmatch_lines(
            ["one", "two", "", "then:", "*fixture 'unknown' not found*", "one", "two", "", "then:",
             "*KeyError: 'inner'", "*ValueError: outer", "FAILED * - one; then *Va*",
             "ERROR * - one; then *"]
        )  # fmt: skip


def test_a_test_keeps_streams_of_its_own_while_others_write(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import contextlib, io\n"
        "from pytest_bgcheck.compat.pytest import capture_off\n"
        "def test(pytestconfig):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as own:\n"
        "        with capture_off(pytestconfig): pass\n"
        "        print('own')\n"
        "    assert own.getvalue() == 'own\\n'\n"
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_reporter_is_pytests_own_or_derived_from_it(pytester: pytest.Pytester) -> None:
    with needs("pytest", "_pytest.terminal.TerminalReporter", own_reporter):
        config = pytester.parseconfigure()
        manager = config.pluginmanager
        reporter = manager.get_plugin("terminalreporter")
        assert reporter is not None
        assert own_reporter(config) is reporter
        manager.unregister(reporter)
        assert own_reporter(config) is None
        manager.register(object(), "terminalreporter")
        assert own_reporter(config) is None
