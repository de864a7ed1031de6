"""A declaration that nothing can reach is told; one that something can reach is not."""

import pytest
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

ASSIGN = "assign it to a variable of the module, as in webapp = *"


def usage_errors(pytester: pytest.Pytester, *args: str, **files: str) -> str:
    """Return what pytest says at collection of a wrong suite, without starting anything."""
    pytester.syspathinsert()
    pytester.makepyfile(**{name: HEAD + text for name, text in files.items()})
    result = pytester.runpytest_inprocess("--collect-only", "-q", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    return result.stderr.str()


LOST = {
    "not assigned": (
        "background_check('echo a', timeout=3)",
        "3: background check without a name: command 'echo a' would never run: " + ASSIGN,
    ),
    "no arguments": (
        "background_check()",
        "3: background check without a name: command None would never run: " + ASSIGN,
    ),
    "only named": (
        "background_check(script='x.sh', name='web')",
        "3: background check 'web': script 'x.sh' would never run: " + ASSIGN,
    ),
    "its name is taken": (
        "web = background_check('a')\nweb = background_check('b')",
        "3: background check 'web': command 'a' would never run: web was assigned again, in line 4",
    ),
    "its name is taken by a test's fixture": (
        "web = background_check('a')\n@pytest.fixture\ndef web(): pass",
        "3: background check 'web': command 'a' would never run: web has another value at the end*",
    ),
    "two of one name": (
        "web = background_check('a')\nother = background_check('b', name='web')",
        "3: background check 'web': the check at *:4 has the same name in this module",
    ),
    "in a list": (
        "checks = [background_check('a', name='a')]",
        "3: background check 'a': command 'a' would never run: " + ASSIGN,
    ),
    "in a loop": (
        "for name in ('a', 'b'):\n    check = background_check('true', name=name)",
        "4: background check 'a': command 'true' would never run: it stands in a loop, *"
        "write globals()[[]name] = background_check(..., name=name)",
    ),
    "by a function": (
        "def make(what): return background_check(what)\nweb = make('a')\nweb = make('b')",
        "3: background check 'web': command 'a' would never run: web was assigned again, in line 3",
    ),
    "in a class": (
        "class Checks:\n    web = background_check('a')",
        "4: background check 'web': it must be declared at module level, not in the class Checks",
    ),
}


@pytest.mark.parametrize(("text", "message"), LOST.values(), ids=LOST)
def test_what_nothing_can_reach_is_a_usage_error(
    pytester: pytest.Pytester, text: str, message: str
) -> None:
    said = usage_errors(pytester, test_it=text + "\ndef test(): pass")
    pytest.LineMatcher(said.splitlines()).fnmatch_lines([f"ERROR: *test_it.py:{message}"])


def test_a_conftest_a_plugin_and_a_shared_module_are_told_of_too(
    pytester: pytest.Pytester,
) -> None:
    said = usage_errors(
        pytester,
        "-p",
        "plug",
        conftest="background_check('a')",
        plug="background_check('b')",
        shared="web = background_check('c')\nweb = background_check('d')",
        test_it="import shared\ndef test(): pass",
    )
    for place in ("conftest.py:3", "plug.py:3", "shared.py:3"):
        assert f"{place}: background check" in said
    assert "shared.py:4" not in said


def test_a_check_of_a_base_class_is_a_usage_error(pytester: pytest.Pytester) -> None:
    said = usage_errors(
        pytester,
        base="class Base:\n    web = background_check('a')",
        test_it="from base import Base\nclass TestIt(Base):\n    def test(self): pass",
    )
    assert "base.py:4: background check 'web': it must be declared at module level, not in" in said


def test_workers_say_it_as_one_process_does(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-n2", test_it="background_check('a')\ndef test(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *test_it.py:3: background check without a name: *"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_what_something_can_reach_is_no_error(pytester: pytest.Pytester) -> None:
    pytester.mkpydir("inner").joinpath("conftest.py").write_text(
        HEAD + "from shared import *\nweb = background_check('true')\n"
    )
    pytester.path.joinpath("inner/test_inner.py").write_text(
        HEAD + "import test_outer\nimport shared\nweb = CHECK = background_check('true')\n"
        "from importlib import reload\nreload(shared)\n"
        "@pytest.mark.bgcheck('web', 'CHECK')\ndef test_inner(): pass\n"
    )
    result = run(
        pytester,
        "--doctest-modules",
        "-p",
        "plug",
        plug="web = background_check('true')\nclass Names: nested = background_check('true')\n"
        "nested = Names.nested\n",
        conftest="from shared import web, make\nfrom shared import CHECKS\n"
        "made = make('true')\nlisted = CHECKS['listed']\n"
        "for name in ('one', 'two'): globals()[name] = background_check('true')\n"
        "for name in ('three', 'four'): exec(f'{name} = background_check(\"true\")')\n"
        "if not name: background_check('never')\n"
        "def pytest_configure(): globals()['late'] = background_check('true')\n",
        shared="web = background_check('true')\nunused = background_check('true')\n"
        "def make(what): return background_check(what)\n"
        "CHECKS = {name: background_check('true', name=name) for name in ('listed', 'free')}\n",
        test_outer="own = background_check('true')\n"
        "names = 'web made listed one two three four late nested own'.split()\n"
        "@pytest.mark.bgcheck(*names)\ndef test_outer(): pass\n"
        "@pytest.mark.skip\ndef test_inside(): background_check('true')\n",
    )
    result.assert_outcomes(passed=2, skipped=1)


def test_a_session_does_not_tell_of_an_earlier_one_in_its_process(
    pytester: pytest.Pytester,
) -> None:
    usage_errors(pytester, test_it="background_check('a')\ndef test(): pass")
    pytester.path.joinpath("test_it.py").unlink()
    pytester.makepyfile(test_that="def test(): pass")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
