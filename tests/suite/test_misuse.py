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
        f"conftest.py:6: {one}the parameter is missing, as in def report(webapp)",
        f"test_it.py:15: {one}the parameter is missing, as in def test_it(self, webapp)",
        f"test_it.py:18: {one}a TestCase gets it by an autouse fixture, as in def"
        " give(self, webapp)",
    ]


def test_what_only_has_the_name_of_a_declaration_is_no_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=WEBAPP + "class Site: webapp = 3\n"
        "@pytest.mark.bgcheck\ndef test_it(webapp): assert webapp.rc == 0 and Site.webapp == 3\n"
        "@pytest.fixture\ndef other(webapp): return webapp.result()\n"
        "def test_local(other):\n    webapp = other\n    assert webapp.succeeded\n"
        "@pytest.mark.parametrize('webapp', [3])\ndef test_overridden(webapp): assert webapp == 3\n"
        "class TestIt:\n    webapp = 5\n    def test_it(self): assert self.webapp == 5\n",
    )
    result.assert_outcomes(passed=4)


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
        "ERROR: test_it.py::test: the mark takes the names of checks, not the declarations: write"
        f" mark.{write}"
    ]


@pytest.mark.parametrize(
    "mark",
    ["bgchek", "bgchecks()", "bg_check", "bgcehck()", "BGCheck", "background_check('webapp')",
     "check('webapp')", "backgroundchek"],
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
        "@pytest.mark.needs('webapp')\ndef test(): pass\n",
    )
    result.assert_outcomes(passed=1, warnings=3)
