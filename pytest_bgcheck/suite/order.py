"""Where tests that await run: behind the others, as far as that tears nothing apart.

Between pytest's items and the pure order of the plan. Imported on first use.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pytest

from .. import plan
from ..compat.pytest import closure_definitions, package_of, wide_parameters
from .collection import ITEM_CHECKS


def waiting_last(
    items: Sequence[pytest.Item], durations: plan.Durations
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the items that stay among the others, and those that are to run behind them."""
    awaiting = {_module(item) for item in items if item.stash[ITEM_CHECKS].awaited}
    if not awaiting:
        return list(items), []
    concerned = {n: item for n, item in enumerate(items) if _module(item) in awaiting}
    packages = {n: _packages(item) for n, item in concerned.items()}
    used = {package for of_item in packages.values() for package in of_item}
    places = {n: _place(item, used, durations) for n, item in concerned.items()}
    last = plan.waiting_last(places)
    moved = set(last)
    return [item for n, item in enumerate(items) if n not in moved], [items[n] for n in last]


def _place(
    item: pytest.Item, packages: set[pytest.Package], durations: plan.Durations
) -> plan.Place:
    parents = item.listchain()
    classes = [node for node in parents if isinstance(node, pytest.Class)]
    wide = list(wide_parameters(item))
    return plan.Place(
        expected_s=_expected_s(item, durations),
        unit=classes[0] if classes else item,
        folders=(*(node for node in parents if node in packages), _module(item)),
        params=frozenset((name, number) for scope, name, number in wide if scope == "module"),
        # A value of a fixture of the session is set up for the tests of several modules: to move
        # some of them would have these modules' own fixtures set up for each value once more.
        stays=any(scope != "module" for scope, _, _ in wide),
    )


def _module(item: pytest.Item) -> Hashable:
    """Return the file that an item is of, or the item itself if it is of none."""
    node: pytest.Item | pytest.Collector | None = item
    while node is not None and not isinstance(node, pytest.File):
        node = node.parent
    return node or item


def _packages(item: pytest.Item) -> list[pytest.Package]:
    """Return the packages whose fixtures an item uses."""
    found = (package_of(item, definition) for definition in closure_definitions(item))
    return [package for package in found if package is not None]


def _expected_s(item: pytest.Item, durations: plan.Durations) -> float | None:
    """Return when the last job that an item awaits is expected to be ready, None if it awaits
    none."""
    checks = item.stash[ITEM_CHECKS]
    if not checks.awaited:
        return None
    times_s = [0.0]
    for name in checks.awaited.keys() & checks.declared.keys():
        check, refs = checks.declared[name]
        for label in [ref.label for ref in refs] or [""]:
            past_s = plan.past_s(durations, check.name, label)
            times_s.append(check.timeout_s if past_s is None else past_s)
    return max(times_s)
