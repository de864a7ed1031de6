"""A function that a test calls, and that takes a declaration for its fixture, is told so."""

import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from support.suites import run

from pytest_bgcheck import WrongUse
from pytest_bgcheck.suite.declaration import declaration_in_variable
from pytest_bgcheck.suite.stand_in import StandIn
from pytest_bgcheck.suite.standing_in import standing_in

MODULE = "from pytest_bgcheck import background_check\nwebapp = background_check('x', name='web')"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Return what stands in a module for a declaration, as in a run that uses checks."""
    module = ModuleType("declares_webapp")
    exec(compile(MODULE, "declares_webapp.py", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    fixture = module.webapp
    with standing_in():
        assert declaration_in_variable(module.webapp) is declaration_in_variable(fixture)
        yield module.webapp
    assert module.webapp is fixture


USES: dict[str, Callable[[Any], object]] = {
    "bool": lambda it: not it,
    "attribute": lambda it: it.stdout,
    "probe": lambda it: hasattr(it, "rc"),
    "in": lambda it: "OK" in it,
    "==": lambda it: it == "OK",
    "!=": lambda it: it != "OK",
    "len": lambda it: len(it),
    "iteration": lambda it: list(it),
    "item": lambda it: it[0],
    "call": lambda it: it(),
    "str": str,
    "f-string": lambda it: f"{it}",
    "format": lambda it: "%s" % it,  # noqa: UP031
    "+": lambda it: it + "x",
    "x +": lambda it: "x" + it,
    "<": lambda it: it < 3,
    "int": lambda it: int(it),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_each_use_is_refused(stand_in: StandIn, use: Callable[[StandIn], object]) -> None:
    said = r"webapp is the declaration here, not its fixture: the test takes the parameter web, as"
    with pytest.raises(WrongUse, match=said):
        use(stand_in)


def test_tools_may_look_at_it(stand_in: StandIn) -> None:
    assert type(stand_in) is StandIn
    assert not hasattr(stand_in, "__test__")
    assert getattr(stand_in, "_private", None) is None
    assert not hasattr(stand_in, "is_plugin")
    with pytest.raises(AttributeError, match="webapp is the declaration here, not its fixture"):
        stand_in.output  # noqa: B018
    assert inspect.getmembers(stand_in)
    assert "not its fixture" in repr(stand_in)
    assert {stand_in: 1}
    assert copy.copy(stand_in) is not stand_in


def test_functions_that_a_test_calls_are_told_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="webapp = background_check('true')\n",
        helpers="import json\nfrom conftest import webapp\n"
        "def is_good(): return bool(webapp)\n"
        "def output(): return webapp.stdout\n"
        "def parsed(): return json.loads(webapp)\n"
        "def found(bgcheck): return bgcheck[webapp]\n",
        test_it="from helpers import *\n"
        "def test_good(): assert is_good()\n"
        "def test_output(): assert output()\n"
        "def test_parsed(): assert parsed()\n"
        "def test_found(bgcheck): found(bgcheck)\n"
        "def test_import():\n    from conftest import webapp\n    assert webapp\n"
        "@pytest.mark.bgcheck\ndef test_passes(webapp): assert webapp.succeeded\n",
    )
    result.assert_outcomes(passed=1, failed=5)
    said = "WrongUse: webapp is the declaration here, not its fixture: the test takes the param*"
    result.stdout.fnmatch_lines([f"E *{said}"] * 2)
    result.stdout.fnmatch_lines(["E *TypeError: * not StandIn"])
    result.stdout.fnmatch_lines([f"E *{said}"] * 2)
    result.stdout.no_re_match_line(r".*(Traceback|pytest_bgcheck[/\\]).*")


def test_a_declaration_in_a_list_or_a_dict_is_told_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="webapp = background_check('exit 3')\nCHECKS = [webapp]\n"
        "BY_NAME = {'web': webapp, 'db': background_check('true', name='database')}\n",
        test_it="from conftest import BY_NAME, CHECKS\n"
        "def test_list():\n    for check in CHECKS: assert check\n"
        "def test_dict(): assert BY_NAME['db'].stdout\n"
        "def test_names(): assert list(BY_NAME) == ['web', 'db'] and len(CHECKS) == 1\n"
        "database = BY_NAME['db']\n"
        "@pytest.mark.bgcheck\ndef test_passes(database): pass\n",
    )
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines_random(
        ["E *WrongUse: CHECKS[[]0] is the declaration here, *the test takes the parameter webapp,*",
         "E *WrongUse: BY_NAME[[]'db'] is the declaration here, *the parameter database,*"]
    )  # fmt: skip


def test_lists_and_dicts_have_their_declarations_back(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("declares_webapp")
    exec(compile(MODULE, "declares_webapp.py", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    fixture = module.webapp
    module.checks, module.by_name = [fixture, 3], {"web": fixture, "x": 3}
    with standing_in():
        assert isinstance(module.checks[0], StandIn)
        assert isinstance(module.by_name["web"], StandIn)
        module.checks.insert(0, 4)
    assert module.webapp is fixture
    assert module.checks == [4, fixture, 3]
    assert module.by_name == {"web": fixture, "x": 3}


def test_a_session_that_a_test_runs_finds_the_suites_declarations(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        "-p", "no:randomly", "--bgcheck-order=keep",
        checks="webapp = background_check('true')\ndef is_good(): return bool(webapp)\n",
        conftest="pytest_plugins = ['pytester']\nfrom checks import webapp\n",
        test_it="from checks import is_good\n"
        "@pytest.mark.bgcheck('webapp')\ndef test_outer(): pass\n"
        "def test_inner(pytester):\n"
        "    pytester.makeconftest('from checks import webapp')\n"
        "    pytester.makepyfile('import pytest\\n@pytest.mark.bgcheck\\ndef test(webapp): pass')\n"
        "    pytester.runpytest_inprocess().assert_outcomes(passed=1)\n"
        "def test_good():\n"
        "    with pytest.raises(ValueError, match='not its fixture'): is_good()\n",
    )  # fmt: skip
    result.assert_outcomes(passed=3)


def test_a_module_that_loads_its_parts_late_is_left_alone(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        late="import sys, types\n"
        "class Late(types.ModuleType):\n"
        "    @property\n    def __dict__(self): raise ImportError('a part is missing')\n"
        "class Proxy:\n"
        "    @property\n    def __class__(self): raise ImportError('a part is missing')\n"
        "sys.modules['late'], sys.modules['proxy'] = Late('late'), Proxy()\n",
        test_it="import late\nwebapp = background_check('true')\n"
        "@pytest.mark.bgcheck\ndef test_it(webapp): pass\n",
    )
    result.assert_outcomes(passed=1)


def test_a_second_run_in_one_process_finds_its_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="import pytest\nfrom pytest_bgcheck import background_check\n"
        "webapp = background_check('true')\n"
        "@pytest.mark.bgcheck\ndef test_it(webapp): assert webapp.succeeded\n",
        twice="import pytest\nassert pytest.main(['-q']) == pytest.main(['-q']) == 0\n",
    )
    assert pytester.runpython(pytester.path / "twice.py").ret == 0
