"""Declarations that nothing can reach: they would never run, and nobody would be told.

A declaration is reached as a fixture: as a variable of a module in which pytest looks for fixtures,
or, in any other module, by whoever takes it from there.
"""

from __future__ import annotations

import dis
import reprlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from ..arguments import place_of
from .declaration import (
    SITES,
    Declaration,
    DeclarationSite,
    declaration_in_variable,
    declarations_in,
    fixture_modules,
)


def unreachable_messages(config: pytest.Config, items: Sequence[pytest.Item]) -> Iterator[str]:
    """Yield a message for each declaration that nothing can reach."""
    modules = fixture_modules(config, items)
    declared = {module: list(declarations_in(module)) for module in modules}
    reached = {declaration for checks in declared.values() for _, declaration in checks}
    for checks in declared.values():
        yield from _same_name_messages(checks)
    by_namespace = {id(vars(module)): module for module in modules}
    reachable: list[DeclarationSite] = []
    unreachable: list[DeclarationSite] = []
    for site in SITES:
        module_name = str(site.namespace.get("__name__"))
        module = by_namespace.get(id(site.namespace)) or sys.modules.get(module_name)
        if not isinstance(module, ModuleType) or vars(module) is not site.namespace:
            continue  # its module is gone: another session of this process had imported it
        if module not in declared:
            declared[module] = list(declarations_in(module))
            reached.update(declaration for _, declaration in declared[module])
        # In a module in which pytest does not look, a list may hold it for others to take from.
        taken = site.function() is not None and id(site.namespace) not in by_namespace
        if taken or site.declaration in reached:
            reachable.append(site)
        else:
            unreachable.append(site)
    # A module that is imported again makes its declarations again: the first ones are replaced.
    replacements = {_identity(site) for site in reachable}
    times = Counter(map(_call, SITES))
    for site in unreachable:
        if _identity(site) not in replacements:
            yield _message(site, repeated=times[_call(site)] > 1)


def _same_name_messages(checks: Sequence[tuple[str, Declaration]]) -> Iterator[str]:
    first: dict[str, Declaration] = {}
    for name, declaration in checks:
        other = first.setdefault(name, declaration)
        if other is not declaration:
            place = f"{declaration.file}:{declaration.line}"
            yield (
                f"{other.place(name)}: the {declaration.kind} at {place} has the same name in"
                " this module"
            )


def _call(site: DeclarationSite) -> tuple[int, CodeType, int]:
    """Return which call of which module has made a declaration."""
    return id(site.namespace), site.code, site.instruction


def _identity(site: DeclarationSite) -> tuple[str, int, str]:
    """Return what a declaration has in common with itself in a second import of its module."""
    declaration = site.declaration
    command = declaration.command
    if callable(command):
        command = place_of(command, Path())  # its repr is another each time
    arguments = (
        declaration.kind,
        declaration.given_name,
        command,
        declaration.host,
        declaration.arguments,
    )
    return declaration.file, declaration.line, repr(arguments)


def _message(site: DeclarationSite, repeated: bool) -> str:
    """Return the message for a declaration; ``repeated``: its line has made several."""
    declaration, name, variable = site.declaration, declared_name(site), _variable(site)
    if site.in_class is not None:
        return declaration.in_class(name, site.in_class)
    script = declaration.arguments.get("script")
    argument, value = ("command", declaration.command) if script is None else ("script", script)
    text = f"{declaration.place(name)}: {argument} {reprlib.repr(value)} would never run: "
    function = declaration.function
    if repeated:
        return (
            f"{text}it stands in a loop, where each needs a variable of its own: write"
            f" globals()[name] = {function}(..., name=name)"
        )
    if variable is None:
        return f"{text}assign it to a variable of the module, as in webapp = {function}(...)"
    other = declaration_in_variable(site.namespace.get(variable))
    if other is not None:
        return text + f"{variable} was assigned again, in line {other.line}"
    return text + f"{variable} has another value at the end of the module"


def declared_name(site: DeclarationSite) -> str | None:
    """Return the name that was given or comes from its variable, None if there is none."""
    return site.declaration.given_name or _variable(site)


def _variable(site: DeclarationSite) -> str | None:
    """Return the variable to which a declaration was assigned, by the code that follows."""
    for instruction in dis.get_instructions(site.code):
        if instruction.offset > site.instruction and instruction.opname != "CACHE":
            stores = instruction.opname in ("STORE_NAME", "STORE_GLOBAL")
            return str(instruction.argval) if stores else None
    return None
