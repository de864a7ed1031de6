"""Which fixtures a test has requested: named by its function, or by getfixturevalue while it runs.

A fixture of a wide scope is set up for one test and used by others. What it requests by
``getfixturevalue`` counts as requested by each of them; pytest itself knows it of the first only.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from ..compat.pytest import (
    active_fixtures,
    failing,
    fixture_definitions,
    fixtures_being_set_up,
    on_request,
)
from ..compat.testinfra import lacks_host
from .misuse import unpinned_declaration

NO_HOST = (
    "has no host here: testinfra gives hosts to a test function that has it, or 'host', as a"
    " parameter or by usefixtures; else pin it with host=..., or await it by the mark alone"
)


class RequestedFixtures:
    """Records which fixtures each fixture has requested. A plugin of its own."""

    def __init__(self) -> None:
        self._requested_by: WeakKeyDictionary[pytest.FixtureDef[Any], set[str]] = (
            WeakKeyDictionary()
        )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        __tracebackhide__ = True
        if lacks_host(fixturedef, request):
            for outer in fixtures_being_set_up(request):
                declaration = unpinned_declaration(outer)
                if declaration is not None:
                    with failing(fixturedef, f"{declaration.title(outer.argname)} {NO_HOST}"):
                        return (yield)
        requested = self._requested_by[fixturedef] = set(fixturedef.argnames)
        on_request(request, requested.add)
        return (yield)

    def of(self, item: pytest.Item) -> list[str]:
        """Return the names of all fixtures that an item has requested so far."""
        return self._all(item)[0]

    def definitions(self, item: pytest.Item) -> list[pytest.FixtureDef[Any]]:
        """Return the fixtures that an item has requested so far: of several of a name, its own."""
        return self._all(item)[1]

    def _all(self, item: pytest.Item) -> tuple[list[str], list[pytest.FixtureDef[Any]]]:
        # Those of the item itself, and of the fixtures that were set up for it.
        names = dict.fromkeys([*getattr(item, "fixturenames", ()), *active_fixtures(item)])
        definitions: list[pytest.FixtureDef[Any]] = []
        queue = list(names)
        while queue:
            name = queue.pop()
            for definition in reversed(fixture_definitions(item, name)):
                definitions.append(definition)
                requested = self._requested_by.get(definition, set(definition.argnames))
                new = requested - names.keys()
                names.update(dict.fromkeys(new))
                queue += new
                if name not in requested:
                    break  # it overrides the outer ones, and does not use them
        return list(names), definitions
