"""Behind which fixture a check starts (``after=``), as the tests see it that want the check."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from ..compat.pytest import fixture_definitions, fixture_names
from ..model import Check
from .declaration import declaration_of_fixture


def start_points(check: Check, items: Iterable[pytest.Item]) -> list[pytest.FixtureDef[Any]]:
    """Return the fixtures of the name in ``after`` that some tests see, of each the nearest one.

    An override that none of these tests can see is none: it must not start what they await.
    """
    assert check.after is not None
    found = [fixture_definitions(item, check.after) for item in items]
    return list(dict.fromkeys(definitions[-1] for definitions in found if definitions))


def fixture_key(definition: pytest.FixtureDef[Any]) -> str:
    """Return what a fixture is known by in all processes of the run."""
    function = definition.func
    where = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
    return f"{definition.baseid}::{definition.argname} ({where})"


def wrong_start_point(check: Check, items: Sequence[pytest.Item]) -> str:
    """Return what is wrong with ``after`` for the tests that want the check, empty if nothing."""
    name = check.after
    definitions = start_points(check, items)
    if name is not None and not definitions:
        known = fixture_names(items[0]) if items else []
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        return f"after={name!r}: the tests that want the check see no fixture of that name{guess}"
    if any(declaration_of_fixture(definition.func) for definition in definitions):
        what = "the check itself" if name == check.name else "a background check"
        return (
            f"after={name!r} is {what}, whose fixture is set up at once, not when the check has"
            f" ended: name a fixture that requests {name!r} and reads its result()"
        )
    return ""
