"""A declaration where its fixture or its name is meant, and marks that are ours but for a letter.

A test that has forgotten the parameter ``webapp`` finds the module's ``webapp``, which is the
declaration: ``assert webapp`` would pass whatever the check did. Where the code of a test or a
fixture does so, it is known at collection. What the functions that they call do, `StandIn` tells.
"""

from __future__ import annotations

import difflib
import dis
import inspect
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

import pytest

from ..compat.pytest import closure_definitions, fixture_definitions, is_unittest
from . import nodes_of
from .declaration import (
    Declaration,
    declaration_in_variable,
    declaration_of_fixture,
    visible_declarations,
)


def misuse_messages(
    config: pytest.Config, items: Sequence[pytest.Item], names: Mapping[Declaration, str]
) -> Iterator[str]:
    """Yield a message for each misuse; ``names``: of what is declared that the items could see."""
    fixtures: dict[pytest.FixtureDef[Any], pytest.Item] = {}
    for item in items:
        for definition in closure_definitions(item):
            fixtures.setdefault(definition, item)
    yield from _forgotten_parameters(items, fixtures, names)
    yield from _declarations_as_parameters(items, names)
    yield from _too_wide_fixtures(fixtures)
    yield from _declarations_in_marks(items, names)
    yield from _misspelt_marks(config, items, names.values())


# --- a declaration where its fixture is meant -----------------------------------------------------


def _forgotten_parameters(
    items: Iterable[pytest.Item],
    fixtures: Iterable[pytest.FixtureDef[Any]],
    names: Mapping[Declaration, str],
) -> Iterator[str]:
    """Yield a message for each test and each fixture whose code uses a declaration."""
    functions: dict[FunctionType | None, bool] = {}
    for item in items:
        functions.setdefault(_function_of(getattr(item, "obj", None)), is_unittest(item))
    for definition in fixtures:
        functions.setdefault(_function_of(definition.func), False)
    for function, in_testcase in functions.items():
        inner = None if function is None else inspect.unwrap(function)
        if isinstance(inner, FunctionType):
            yield from _message(inner, in_testcase, names)


def _function_of(test: object) -> FunctionType | None:
    """Return the function of a method, a function as it is; None for anything else."""
    function = getattr(test, "__func__", test)
    return function if isinstance(function, FunctionType) else None


def _message(
    function: FunctionType, in_testcase: bool, names: Mapping[Declaration, str]
) -> Iterator[str]:
    lines: list[int] = []
    fixtures: dict[str, str] = {}  # by variable
    for variable, held in _held_values(function):
        declaration = declaration_in_variable(held)
        if declaration is not None:
            fixtures[variable] = names.get(declaration, declaration.given_name or variable)
            lines.append(function.__code__.co_firstlineno)
    for code in _with_inner(function.__code__):
        for variable in code.co_names:
            declaration = declaration_in_variable(function.__globals__.get(variable))
            used_in = [] if declaration is None else _lines_of_global(code, variable)
            if declaration is not None and used_in:
                fixtures[variable] = declaration.given_name or variable
                lines += used_in
    if fixtures:
        code = function.__code__
        are = "is the declaration here, not its fixture"
        if len(fixtures) > 1:
            are = "are the declarations here, not their fixtures"
        way, name, taken = "the parameter is missing", code.co_name, list(code.co_varnames)
        del taken[code.co_argcount + code.co_kwonlyargcount :]
        if not fixtures.keys().isdisjoint(taken):
            way = "a parameter with a default gets no fixture"
            taken = [parameter for parameter in taken if parameter not in fixtures]
        if in_testcase:
            way, name, taken = "a TestCase gets it by an autouse fixture", "give", ["self"]
        parameters = ", ".join(dict.fromkeys([*taken, *fixtures.values()]))
        yield (
            f"{code.co_filename}:{min(lines)}: {' and '.join(fixtures)} {are}:"
            f" {way}, as in def {name}({parameters})"
        )


def _held_values(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Yield what a function holds: the variables of the function that has made it, and the
    defaults of its parameters, which pytest takes for no fixtures."""
    code = function.__code__
    for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield variable, cell.cell_contents
        except ValueError:
            pass  # it is empty
    defaults = function.__defaults__ or ()
    first = code.co_argcount - len(defaults)
    yield from zip(code.co_varnames[first : code.co_argcount], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _declarations_as_parameters(
    items: Iterable[pytest.Item], names: Mapping[Declaration, str]
) -> Iterator[str]:
    """Yield a message for each test that is parametrized with declarations."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        for parameter, value in callspec.params.items() if callspec is not None else ():
            declaration = declaration_in_variable(value)
            if declaration is not None:
                test = item.nodeid.partition("[")[0]
                what = names.get(declaration, f"a {declaration.kind}")
                yield (
                    f"{test}: {parameter} is the declaration of {what}, not its fixture: give names"
                    f" to parametrize, and request.getfixturevalue({parameter}) in a test that"
                    " takes host too"
                )


def explain(error: AttributeError, report: pytest.CollectReport) -> None:
    """Say in the report of an import that failed that it was for a declaration, if it was."""
    declaration = declaration_in_variable(error.obj)
    if declaration is not None:
        kind = declaration.kind
        text = (
            f"this is the declaration of a background {kind}: what becomes of the {kind} is known"
            " when tests run, to those that take its fixture as a parameter"
        )
        report.sections.append((f"background {kind}", text))


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code and that of the functions and comprehensions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _lines_of_global(code: CodeType, variable: str) -> list[int]:
    """Return the lines in which code reads a global variable, and not an attribute of that name,
    nor what it has assigned itself: to that variable, or to one of the class that it defines.
    """
    found, line = [], code.co_firstlineno
    starts = dict(dis.findlinestarts(code))
    for instruction in dis.get_instructions(code):
        line = starts.get(instruction.offset) or line
        if instruction.argval == variable:
            if instruction.opname in ("STORE_GLOBAL", "STORE_NAME"):
                return []
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                found.append(line)
    return found


# --- fixtures -------------------------------------------------------------------------------------


def _too_wide_fixtures(
    fixtures: Mapping[pytest.FixtureDef[Any], pytest.Item],
) -> Iterator[str]:
    """Yield a message for each fixture that lives longer than the host of a job it requests.

    ``fixtures``: each with an item that can need it.
    """
    for definition, item in fixtures.items():
        for name in definition.argnames if definition.scope in ("session", "package") else ():
            requested = fixture_definitions(item, name)[-1:]
            declaration = unpinned_declaration(requested[0]) if requested else None
            if declaration is not None:
                kind = declaration.kind
                code = inspect.unwrap(definition.func).__code__
                yield (
                    f"{code.co_filename}:{code.co_firstlineno}: the fixture"
                    f" {definition.argname!r} has {definition.scope} scope, but the host of the"
                    f" {declaration.title(name)} can be another in each module: pin the {kind}"
                    " with host=..., or give the fixture scope='module'"
                )


def unpinned_declaration(definition: pytest.FixtureDef[Any]) -> Declaration | None:
    """Return the declaration of a fixture if it is one of a job on the host of the test."""
    declaration = declaration_of_fixture(definition.func)
    return None if declaration is None or declaration.host is not None else declaration


def warn_of_replaced_fixtures(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Warn of each declaration that has the name of a fixture of pytest or of xdist.

    It works, as for any fixture, and is seldom meant. With -W error: raises UsageError.
    """
    for _, name, declaration in visible_declarations(config, items):
        for definition in fixture_definitions(items[0], name) if items else ():
            package = str(getattr(definition.func, "__module__", "")).partition(".")[0]
            if package in ("_pytest", "xdist"):
                text = (
                    f"{declaration.title(name)} replaces the fixture of that name of"
                    f" {package.lstrip('_')} for the tests that see it; name=... gives it another"
                )
                try:
                    warnings.warn_explicit(
                        text, pytest.PytestWarning, declaration.file, declaration.line
                    )
                except pytest.PytestWarning:  # -W error
                    raise pytest.UsageError(f"{declaration.place(name)}: {text}") from None


# --- marks ----------------------------------------------------------------------------------------


def _declarations_in_marks(
    items: Iterable[pytest.Item], names: Mapping[Declaration, str]
) -> Iterator[str]:
    """Yield a message for each mark that was given a declaration, not its name."""
    for place, mark in _marks(items):
        given = [declaration_in_variable(argument) for argument in mark.args]
        if mark.name in ("bgcheck", "usefixtures") and any(given):
            words = [
                argument if declaration is None else names.get(declaration, "...")
                for argument, declaration in zip(mark.args, given, strict=True)
            ]
            yield (
                f"{place}: the mark takes names, not the declarations: write"
                f" mark.{mark.name}({', '.join(map(repr, words))})"
            )


def _misspelt_marks(
    config: pytest.Config, items: Iterable[pytest.Item], declared: Collection[str]
) -> Iterator[str]:
    """Yield a message for each mark that looks like ours: its test would wait for nothing.

    A mark that is registered, in the ini setting ``markers`` or by a plugin, is somebody's own.
    ``declared``: the names of all declarations.
    """
    registered = {re.split(r"[:(]", line)[0].strip() for line in config.getini("markers")}
    for place, mark in _marks(items):
        if mark.name not in registered and _looks_like_ours(mark, declared):
            yield (
                f"{place}: there is no mark {mark.name!r}, so that this awaits nothing: did"
                " you mean 'bgcheck'? (Register a mark of your own in the ini setting 'markers'.)"
            )


OURS = (
    "bgcheck", "backgroundcheck", "bgservice", "backgroundservice", "bgprobe", "backgroundprobe"
)  # fmt: skip
"""What people take the mark's name for: it is one mark for all kinds of jobs."""


def _looks_like_ours(mark: pytest.Mark, declared: Collection[str]) -> bool:
    word = mark.name.lower().replace("_", "")
    # A routing protocol, of which there are tests.
    if word.startswith("bgp") and not word.startswith("bgpro"):
        return False
    likeness = max(difflib.SequenceMatcher(None, word, ours).ratio() for ours in OURS)
    if any(isinstance(argument, str) and argument in declared for argument in mark.args):
        return likeness >= 0.6
    return likeness >= 0.9 or sorted(word) == sorted("bgcheck")


def _marks(items: Iterable[pytest.Item]) -> Iterator[tuple[str, pytest.Mark]]:
    """Yield each mark with the test (without parameters), class or module that it stands at."""
    for node in nodes_of(items):
        for mark in node.own_markers:
            yield node.nodeid.partition("[")[0], mark
