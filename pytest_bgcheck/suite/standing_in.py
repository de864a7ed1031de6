"""Puts a stand-in in the place of each declaration while tests run, and takes it back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias

from .declaration import FIXTURE, KEY, SITES, Declaration
from .stand_in import StandIn

MOST_PARTS = 1000
"""How large a list or a dict may be in which declarations are looked for."""

Container: TypeAlias = dict[Any, Any] | list[Any]


class _StandIns:
    """The stand-ins of a session that runs tests, and what they stand for."""

    def __init__(self) -> None:
        self._fixtures: dict[StandIn, object] = {}
        self._containers: list[Container] = []

    def put(self) -> None:
        found: list[tuple[Container, Any, object, str]] = []
        names: dict[object, str] = {}
        for namespace in [*_own_namespaces(), *(site.namespace for site in SITES)]:
            for variable, value in list(namespace.items()):
                if _is_declaration(value):
                    found.append((namespace, variable, value, variable))
                    names.setdefault(vars(value)[KEY], variable)
                elif type(value) in (list, dict) and len(value) <= MOST_PARTS:
                    parts = [(key, part) for key, part in _parts(value) if _is_declaration(part)]
                    found += [(value, key, part, f"{variable}[{key!r}]") for key, part in parts]
        for container, key, fixture, shown in found:
            declaration = vars(fixture)[KEY]
            name = declaration.given_name or names.get(declaration, "webapp")
            container[key] = stand_in = StandIn(fixture, shown, name)
            self._fixtures[stand_in] = fixture
            self._containers.append(container)

    def take_back(self) -> None:
        for container in {id(container): container for container in self._containers}.values():
            for key, part in _parts(container):
                if type(part) is StandIn and part in self._fixtures:
                    container[key] = self._fixtures[part]
        self._fixtures.clear()
        self._containers.clear()


_standing: list[_StandIns] = []


@contextmanager
def standing_in() -> Iterator[None]:
    """Have a `StandIn` in all modules wherever a variable's value is a declaration, or a part of a
    list or of a dict that is the value."""
    stand_ins = _StandIns()
    stand_ins.put()
    _standing.append(stand_ins)
    try:
        yield
    finally:
        _standing.remove(stand_ins)
        stand_ins.take_back()


def stand_down() -> None:
    """Take the stand-ins back while a test runs a pytest session of its own in this process: that
    may collect what the suite has imported."""
    for stand_ins in reversed(_standing):
        stand_ins.take_back()


def stand_again() -> None:
    """Put them back where that session is over."""
    for stand_ins in _standing:
        stand_ins.put()


def _is_declaration(value: object) -> bool:
    return type(value) is FIXTURE and isinstance(vars(value).get(KEY), Declaration)


def _parts(container: Container) -> list[tuple[Any, object]]:
    return list(container.items() if isinstance(container, dict) else enumerate(container))


def _own_namespaces() -> Iterator[dict[str, Any]]:
    """Yield the variables of each module that may be a suite's own. To look into all others takes
    milliseconds."""
    installed = (os.path.dirname(os.__file__), "site-packages", "dist-packages")
    # Past what a module that loads its parts late does when it is asked, even for its class.
    variables_of = vars(ModuleType)["__dict__"].__get__
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):
            namespace = variables_of(module)
            file = namespace.get("__file__")
            if isinstance(file, str) and not any(place in file for place in installed):
                yield namespace
