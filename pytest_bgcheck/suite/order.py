"""Where tests that await run: behind the others, as far as that tears nothing apart.

Between pytest's items and the pure order of the plan. Whoever orders explicitly is obeyed: here is
what other plugins' marks mean. Imports none of them. Imported on first use.

Seen to work: pytest-dependency 0.6.1, pytest-order 1.5.0, pytest-ordering 0.6.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Sequence

import pytest

from .. import plan
from ..compat.pytest import closure_definitions, package_of, wide_parameters
from ..options import LONGEST_S
from .collection import ITEM_CHECKS


def waiting_last(items: Sequence[pytest.Item], durations: plan.Durations) -> plan.Order:
    """Return the order, by the items' numbers, in which those that await run behind the others."""
    modules = [_module(item) for item in items]
    awaiting = {
        module
        for module, item in zip(modules, items, strict=True)
        if item.stash[ITEM_CHECKS].awaited
    }
    if not awaiting:
        return plan.Order(range(len(items)), frozenset())
    obeyed = _Obeyed()
    fences = [n for n, item in enumerate(items) if obeyed.of(item) is Within.RUN]
    fixed = {modules[n] for n, item in enumerate(items) if obeyed.of(item) is Within.MODULE}
    concerned = {n: items[n] for n, module in enumerate(modules) if module in awaiting}
    packages = {n: _packages(item) for n, item in concerned.items()}
    used = {package for of_item in packages.values() for package in of_item}
    places = {
        n: _place(item, used, durations, stays=modules[n] in fixed) for n, item in concerned.items()
    }
    return plan.waiting_last(len(items), places, fences)


def _place(
    item: pytest.Item, packages: set[pytest.Package], durations: plan.Durations, stays: bool
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
        stays=stays
        or any(scope != "module" for scope, _, _ in wide)
        or any(mark.kwargs.get("order") == "keep" for mark in item.iter_markers("bgcheck")),
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
        if check.after is not None and check.after not in getattr(item, "fixturenames", ()):
            # Nothing that it does starts the check: behind those that may.
            times_s.append(LONGEST_S + check.timeout_s)
        for label in [ref.label for ref in refs] or [""]:
            past_s = plan.past_s(durations, check.name, label)
            times_s.append(check.timeout_s if past_s is None else past_s)
    return max(times_s)


# --- what other plugins order ---------------------------------------------------------------------


class Within(enum.IntEnum):
    """Within what a test's marks say where it runs: no other test is moved past it there."""

    NOTHING = 0
    MODULE = 1
    RUN = 2


class _Obeyed:
    """What the marks of other plugins say of where tests run."""

    def __init__(self) -> None:
        self._of_parent: dict[pytest.Collector | None, Within] = {None: Within.NOTHING}

    def of(self, item: pytest.Item) -> Within:
        return max(_by_own_marks(item), self._of_collector(item.parent))

    def _of_collector(self, node: pytest.Collector | None) -> Within:
        if node not in self._of_parent:
            assert node is not None
            within = max(_by_own_marks(node), self._of_collector(node.parent))
            self._of_parent[node] = within
        return self._of_parent[node]


def _by_own_marks(node: pytest.Item | pytest.Collector) -> Within:
    return max((_by_mark(mark) for mark in node.own_markers), default=Within.NOTHING)


def _by_mark(mark: pytest.Mark) -> Within:
    if mark.name in ("order", "run"):  # pytest-ordering makes ``run`` of its ``first``, ``last``
        return Within.RUN
    if mark.name == "dependency":
        # What another depends on at run time has the mark, or is before one that says so.
        wide = mark.kwargs.get("depends") and mark.kwargs.get("scope") in ("package", "session")
        return Within.RUN if wide else Within.MODULE
    return Within.NOTHING
