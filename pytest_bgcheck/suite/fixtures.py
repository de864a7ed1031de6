"""Which fixtures a test has requested: named by its function, or asked for while it runs.

A fixture of a wide scope is set up by one test and used by more. What it asked for by
``getfixturevalue`` is requested by each of them, though pytest tells of it in the first only.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from weakref import WeakKeyDictionary

import pytest


class Requests:
    """Keeps what each fixture has requested. A plugin of its own."""

    def __init__(self) -> None:
        self._by: WeakKeyDictionary[pytest.FixtureDef[Any], set[str]] = WeakKeyDictionary()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        asked = self._by[fixturedef] = set(fixturedef.argnames)
        get = request.getfixturevalue

        def getfixturevalue(argname: str) -> Any:
            asked.add(argname)
            return get(argname)

        # The object that the fixture gets as ``request``: it may ask later too, by a factory.
        request.getfixturevalue = getfixturevalue  # type: ignore[method-assign]
        return (yield)

    def of(self, item: pytest.Item) -> list[str]:
        """Return the names of all fixtures that an item has requested so far."""
        return self._all(item)[0]

    def definitions(self, item: pytest.Item) -> list[pytest.FixtureDef[Any]]:
        """Return the fixtures that an item has requested so far: of several of a name, its own."""
        return self._all(item)[1]

    def _all(self, item: pytest.Item) -> tuple[list[str], list[pytest.FixtureDef[Any]]]:
        # By the item itself, and by fixtures that were set up for it.
        active = getattr(getattr(item, "_request", None), "_fixture_defs", {})
        names = dict.fromkeys([*getattr(item, "fixturenames", ()), *active])
        manager = item.session._fixturemanager
        definitions: list[pytest.FixtureDef[Any]] = []
        queue = list(names)
        while queue:
            name = queue.pop()
            for definition in reversed(manager.getfixturedefs(name, item) or ()):
                definitions.append(definition)
                asked = self._by.get(definition, set(definition.argnames))
                new = asked - names.keys()
                names.update(dict.fromkeys(new))
                queue += new
                if name not in asked:
                    break  # it overrides the outer ones, and does not use them
        return list(names), definitions
