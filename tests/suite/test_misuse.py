"""A declaration taken for its fixture or its name, and a mark that is not quite ours, are told."""

import pytest
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

WEBAPP = "webapp = background_check('true')\n"


def usage_errors(pytester: pytest.Pytester, **files: str) -> list[str]:
    """Return what pytest says at collection of a wrong suite, without starting anything."""
    pytester.makepyfile(**{name: HEAD + text for name, text in files.items()})
    # Here a warning is an error; to others, pytest only warns of an unknown mark.
    only_warns = "-Wignore::pytest.PytestUnknownMarkWarning"
    result = pytester.runpytest_inprocess("--collect-only", "-q", only_warns)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    return [line for line in result.errlines if line.strip()]


@pytest.mark.parametrize(
    "body",
    [
        "assert webapp",
        "assert webapp is not None",
        "assert 'OK' in webapp.stdout",
        "assert not any(webapp.rc for _ in 'x')",
        "import json; json.loads(webapp)",
        "f'{webapp}'",
        "later = lambda: webapp.rc",
        "bgcheck[webapp]",
        "bgcheck.start(webapp, name='web')",
    ],
)
def test_a_forgotten_parameter_is_a_usage_error(pytester: pytest.Pytester, body: str) -> None:
    [said] = usage_errors(pytester, test_it=WEBAPP + f"def test_web(bgcheck):\n    {body}\n")
    assert said.endswith(
        "test_it.py:5: webapp is the declaration here, not its fixture: the parameter is missing,"
        " as in def test_web(bgcheck, webapp)"
    )


def test_a_declaration_that_a_test_holds_is_a_usage_error(pytester: pytest.Pytester) -> None:
    said = usage_errors(
        pytester,
        test_it=WEBAPP + "def test_same(n=3, webapp=webapp): assert webapp\n"
        "def test_other(request, *, check=webapp): assert check\n"
        "def made(check):\n    def test_made(): assert check\n    return test_made\n"
        "test_web = made(webapp)\n",
    )
    no_fixture = "not its fixture: a parameter with a default gets no fixture, as in def"
    assert [line.rpartition("/")[2] for line in said] == [
        f"test_it.py:4: webapp is the declaration here, {no_fixture} test_same(n, webapp)",
        f"test_it.py:5: check is the declaration here, {no_fixture} test_other(request, webapp)",
        "test_it.py:7: check is the declaration here, not its fixture: the parameter is missing,"
        " as in def test_made(webapp)",
    ]


def test_all_uses_of_declarations_in_tests_and_fixtures_are_told(pytester: pytest.Pytester) -> None:
    said = usage_errors(
        pytester,
        conftest=WEBAPP + "db = background_check('true', name='database')\n"
        "@pytest.fixture\ndef report(): return webapp.stdout\n"
        "@pytest.fixture\nasync def unused(): return webapp.stdout\n",
        test_it="from conftest import db, webapp\nimport functools\n"
        "def wrapped(test):\n"
        "    @functools.wraps(test)\n    def inner(*a, **k): return test(*a, **k)\n"
        "    return inner\n"
        "@pytest.mark.parametrize('n', [1, 2])\n@wrapped\ndef test_both(n, *, report):\n"
        "    assert webapp\n    assert db.rc == n\n"
        "class TestIt:\n    def test_it(self): assert webapp\n"
        "from unittest import TestCase\n"
        "class TestCases(TestCase):\n    def test_case(self): assert webapp\n",
    )
    one = "webapp is the declaration here, not its fixture: "
    assert [line.rpartition("/")[2] for line in said] == [
        "test_it.py:12: webapp and db are the declarations here, not their fixtures: the"
        " parameter is missing, as in def test_both(n, report, webapp, database)",
        f"test_it.py:15: {one}the parameter is missing, as in def test_it(self, webapp)",
        f"test_it.py:18: {one}a TestCase gets it by an autouse fixture, as in def"
        " give(self, webapp)",
        f"conftest.py:6: {one}the parameter is missing, as in def report(webapp)",
    ]


def test_declarations_as_parameters_are_a_usage_error(pytester: pytest.Pytester) -> None:
    said = usage_errors(
        pytester,
        test_it=WEBAPP + "db = background_check('true')\n"
        "@pytest.mark.parametrize('check', [webapp, db, 'webapp'])\ndef test(check): pass\n",
    )
    assert [line.partition("test_it.py::")[2] for line in said] == [
        f"test: check is the declaration of {name}, not its fixture: give names to parametrize, and"
        " request.getfixturevalue(check) in a test that takes host too"
        for name in ("webapp", "db")
    ]


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_a_module_that_reads_a_declaration_is_told_what_that_is(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    result = run(
        pytester,
        *workers,
        test_it=WEBAPP + "@pytest.mark.parametrize('line', webapp.stdout.split())\n"
        "def test(line): pass\n",
        test_other="pytest.nothing\ndef test(): pass\n",
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["E *object has no attribute 'stdout'", "-* background check -*",
         "this is the declaration of a background check: what becomes of the check is known when*"]
    )  # fmt: skip
    assert result.stdout.str().count("- background check -") == 1


def test_what_only_has_the_name_of_a_declaration_is_no_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=WEBAPP + "class Site: webapp = 3\n"
        "@pytest.mark.bgcheck\ndef test_it(webapp): assert webapp.rc == 0 and Site.webapp == 3\n"
        "@pytest.fixture\ndef other(webapp): return webapp.result()\n"
        "def test_local(other):\n    webapp = other\n    assert webapp.succeeded\n"
        "def test_class(webapp):\n    class Fake:\n        webapp = 3\n        other = webapp\n"
        "    assert Fake.other == 3\n"
        "@pytest.mark.parametrize('webapp', [3])\ndef test_overridden(webapp): assert webapp == 3\n"
        "class TestIt:\n    webapp = 5\n    def test_it(self): assert self.webapp == 5\n"
        "@pytest.mark.parametrize('name', ['webapp'])\ndef test_by_name(request, host, name):\n"
        "    assert request.getfixturevalue(name).succeeded\n",
    )
    result.assert_outcomes(passed=6)


@pytest.mark.parametrize(
    ("mark", "write"),
    [
        ("bgcheck(webapp)", "bgcheck('webapp')"),
        ("bgcheck('db', webapp, db)", "bgcheck('db', 'webapp', 'database')"),
        ("bgcheck(webapp, rc=None)", "bgcheck('webapp')"),
        ("usefixtures(webapp)", "usefixtures('webapp')"),
    ],
)
def test_a_declaration_in_a_mark_is_a_usage_error(
    pytester: pytest.Pytester, mark: str, write: str
) -> None:
    said = usage_errors(
        pytester,
        test_it=WEBAPP + "db = background_check('true', name='database')\n"
        f"@pytest.mark.parametrize('n', [1, 2])\n@pytest.mark.{mark}\ndef test(n): pass\n",
    )
    assert said == [
        f"ERROR: test_it.py::test: the mark takes names, not the declarations: write mark.{write}"
    ]


@pytest.mark.parametrize(
    "mark",
    ["bgchek", "bgchecks()", "bg_check", "bgcehck()", "BGCheck", "background_check('webapp')",
     "check('webapp')", "backgroundchek", "bgservice", "service('webapp')", "background('webapp')"],
)  # fmt: skip
def test_a_misspelt_mark_is_a_usage_error(pytester: pytest.Pytester, mark: str) -> None:
    said = usage_errors(
        pytester, test_it=WEBAPP + f"@pytest.mark.{mark}\ndef test(webapp): webapp.stdout\n"
    )
    name = mark.partition("(")[0]
    assert said[-1].startswith(
        f"ERROR: test_it.py::test: there is no mark {name!r}, so that this awaits nothing: did you"
        " mean 'bgcheck'?"
    )


def test_a_misspelt_mark_of_a_module_is_told_once(pytester: pytest.Pytester) -> None:
    said = usage_errors(
        pytester,
        test_it=WEBAPP + "pytestmark = pytest.mark.bgchek\n"
        "def test_a(webapp): pass\ndef test_b(webapp): pass\n",
    )
    assert [line.partition(", so")[0] for line in said if line.startswith("ERROR")] == [
        "ERROR: test_it.py: there is no mark 'bgchek'"
    ]


def test_another_mark_and_a_registered_one_are_no_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers =\n    bgchek(*names): of the suite's own\n")
    result = run(
        pytester,
        test_it=WEBAPP + "@pytest.mark.bgchek('webapp')\n@pytest.mark.check\n@pytest.mark.dbcheck\n"
        "@pytest.mark.needs('webapp')\n@pytest.mark.bgp_check\ndef test(): pass\n",
    )
    result.assert_outcomes(passed=1, warnings=4)


OURS = r".*(Traceback|pytest_bgcheck[/\\]).*"
"""What no failure shows: frames and files of ours."""


def test_a_declaration_in_a_test_or_a_fixture_fails_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import unittest\n"
        "def declare(): return background_check('true')\n"
        "def test_it(): background_check('true')\n"
        "def test_by_a_function(): declare()\n"
        "@pytest.fixture(scope='session')\ndef declared(): return background_check('true')\n"
        "def test_by_a_fixture(declared): pass\n"
        "class TestCase(unittest.TestCase):\n    def test_case(self): declare()\n",
    )
    result.assert_outcomes(failed=3, errors=1)
    said = "*WrongUse: a test or a fixture runs here, which is too late to declare a check: do it*"
    result.stdout.fnmatch_lines([f"E {said}"] * 4)
    result.stdout.no_re_match_line(OURS)


def test_a_declaration_in_a_doctest_fails_it(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("doc.txt").write_text(
        ">>> from pytest_bgcheck import background_check\n>>> webapp = background_check('true')\n"
    )
    result = pytester.runpytest_inprocess("--doctest-glob=*.txt")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*WrongUse: a test or a fixture runs here*"])


def test_a_declaration_in_an_async_test_fails_it(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    result = run(
        pytester,
        "-p",
        "pytest_asyncio.plugin",
        "--asyncio-mode=auto",
        test_it="async def test_it(): background_check('true')\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *WrongUse: a test or a fixture runs here*"])


def test_a_declaration_that_a_hook_makes_and_drops_is_a_usage_error(
    pytester: pytest.Pytester,
) -> None:
    [said] = usage_errors(
        pytester,
        conftest="def pytest_sessionstart(): background_check('true')\n",
        test_it="def test(): pass\n",
    )
    assert "conftest.py:3: background check without a name: command 'true' would never run" in said


@pytest.mark.parametrize(
    ("autoload", "plugin"), [(True, "no:bgcheck"), (False, "testinfra.plugin")]
)
def test_a_suite_without_the_plugin_says_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, autoload: bool, plugin: str
) -> None:
    if not autoload:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nmarkers = bgcheck\n")
    result = run(
        pytester,
        "-p",
        plugin,
        test_it=WEBAPP + "@pytest.mark.bgcheck\ndef test(webapp): pass\n",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*background check 'webapp': the plugin pytest-bgcheck is not loaded, so nothing was*"]
    )
    result.stdout.no_re_match_line(OURS)


def test_a_check_on_a_test_without_a_host_says_what_to_do(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=WEBAPP + "import unittest\n"
        "@pytest.mark.usefixtures('webapp')\n"
        "class TestCase(unittest.TestCase):\n    def test_case(self): pass\n"
        "@pytest.fixture\ndef report(request): return request.getfixturevalue('webapp').stdout\n"
        "def test_late(report): pass\n"
        "def test_later(request): request.getfixturevalue('webapp')\n"
        "@pytest.mark.bgcheck\n@pytest.mark.usefixtures('webapp')\ndef test_good(): pass\n",
    )
    result.assert_outcomes(passed=1, errors=2, failed=1)
    said = "*background check 'webapp' has no host here: testinfra gives hosts to a test function*"
    result.stdout.fnmatch_lines([said] * 3)
    result.stdout.no_re_match_line(OURS)


@pytest.mark.parametrize("scope", ["session", "package"])
def test_a_fixture_that_outlives_the_host_of_its_check_is_a_usage_error(
    pytester: pytest.Pytester, scope: str
) -> None:
    [said] = usage_errors(
        pytester,
        test_it=WEBAPP + "pinned = background_check('true', host='local://')\n"
        f"@pytest.fixture(scope={scope!r})\ndef report(pinned, webapp): pass\n"
        "@pytest.fixture(scope='module')\ndef other(webapp): pass\n"
        "def test(report, other): pass\n",
    )
    assert said.endswith(
        f"test_it.py:5: the fixture 'report' has {scope} scope, but the host of the background"
        " check 'webapp' can be another in each module: pin the check with host=..., or give the"
        " fixture scope='module'"
    )


def test_a_fixture_that_is_replaced_by_a_narrower_one_is_no_error(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        conftest=WEBAPP + "@pytest.fixture(scope='session')\ndef report(webapp): pass\n",
        test_it="@pytest.fixture\ndef report(): return 3\n"
        "@pytest.mark.bgcheck('webapp')\ndef test(report): assert report == 3\n",
    )
    result.assert_outcomes(passed=1)


def test_a_name_that_checks_need_is_a_usage_error(pytester: pytest.Pytester) -> None:
    said = usage_errors(
        pytester,
        conftest="request = host = bgcheck = background_check('true')\n",
        test_it="c = background_check('true', name='request')\ndef test(): pass\n",
    )
    assert [line.partition("name must not be ")[2].partition(":")[0] for line in said] == [
        "'request'", "'host'", "'bgcheck'", "'request'",
    ]  # fmt: skip


def test_a_check_that_replaces_a_fixture_of_pytest_is_warned_of(pytester: pytest.Pytester) -> None:
    files = {
        "conftest": "tmp_path = background_check('true')\n",
        "test_it": "db = background_check('true')\n@pytest.fixture\ndef web(): pass\n"
        "@pytest.mark.bgcheck\ndef test(tmp_path, db): assert tmp_path.succeeded\n",
    }
    said = "background check 'tmp_path' replaces the fixture of that name of pytest for*"
    result = run(pytester, **files)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["conftest.py:3", f"  *conftest.py:3: PytestWarning: {said}"])
    result = run(pytester, "-Werror", **files)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *conftest.py:3: background check 'tmp_path': {said}"])
