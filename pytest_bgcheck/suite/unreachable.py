"""Declarations that nothing can reach: they would never run, and nobody would be told.

A declaration is reached as a fixture: as a variable of a module in which pytest looks for fixtures,
or, in any other module, by whoever takes it from there.
"""

from __future__ import annotations

import dis
import reprlib
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest

from .declaration import MADE, Declaration, Made, declared_by, declared_in, modules


def problems(config: pytest.Config, items: Sequence[pytest.Item]) -> Iterator[str]:
    """Yield a message for each declaration that nothing can reach."""
    fixture_modules = modules(config, items)
    declared = {module: list(declared_in(module)) for module in fixture_modules}
    reached = {declaration for checks in declared.values() for _, declaration in checks}
    for checks in declared.values():
        yield from _of_one_name(checks)
    by_namespace = {id(vars(module)): module for module in fixture_modules}
    kept: list[Made] = []
    lost: list[Made] = []
    for made in MADE:
        module = by_namespace.get(id(made.module)) or sys.modules.get(made.module_name)
        if not isinstance(module, ModuleType) or vars(module) is not made.module:
            continue  # its module is gone, as after another session of this process
        if module not in declared:
            declared[module] = list(declared_in(module))
            reached.update(declaration for _, declaration in declared[module])
        # A list of a module in which pytest does not look is there for others to take from.
        held = made.function() is not None and id(made.module) not in by_namespace
        if held or made.declaration in reached:
            kept.append(made)
        else:
            lost.append(made)
    # A module that is loaded anew makes its declarations anew.
    again = {_identity(made) for made in kept}
    for made in lost:
        if _identity(made) not in again:
            yield _message(made)


def _of_one_name(checks: Sequence[tuple[str, Declaration]]) -> Iterator[str]:
    first: dict[str, Declaration] = {}
    for name, declaration in checks:
        other = first.setdefault(name, declaration)
        if other is not declaration:
            place = f"{declaration.file}:{declaration.line}"
            yield f"{other.place(name)}: name: the check at {place} has the same in this module"


def _identity(made: Made) -> tuple[str, int, str]:
    declaration = made.declaration
    arguments = (made.name, declaration.command, declaration.given)
    return declaration.file, declaration.line, repr(arguments)


def _message(made: Made) -> str:
    variable = _variable(made)
    place = made.declaration.place(name_of(made))
    if made.in_class is not None:
        return f"{place}: it must be declared at module level, not in the class {made.in_class}"
    declaration = made.declaration
    argument = "script" if declaration.given["script"] is not None else "command"
    value = declaration.given["script"] if argument == "script" else declaration.command
    text = f"{place}: {argument} {reprlib.repr(value)} would never run: "
    if variable is None:
        return text + "assign it to a variable of the module, as in webapp = background_check(...)"
    other, _ = declared_by(made.module.get(variable))
    if other is not None:
        return text + f"{variable} was assigned again, in line {other.line}"
    return text + f"{variable} is something else at the end of the module"


def name_of(made: Made) -> str | None:
    """Return the name that a check was given or got from its variable, None if it has none."""
    return made.name or _variable(made)


def _variable(made: Made) -> str | None:
    """Return the variable to which a declaration was assigned, by the code that follows."""
    for instruction in dis.get_instructions(made.code):
        if instruction.offset > made.instruction and instruction.opname != "CACHE":
            stores = instruction.opname in ("STORE_NAME", "STORE_GLOBAL")
            return str(instruction.argval) if stores else None
    return None
