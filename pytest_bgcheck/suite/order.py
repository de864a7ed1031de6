"""Where tests that await run: behind the others, as far as that tears nothing apart.

Between pytest's items and the pure order of the plan. Whoever orders explicitly is obeyed: here is
what other plugins' marks mean. Imports none of them. Imported on first use.

Seen to work: pytest-dependency 0.6.1, pytest-order 1.5.0, pytest-ordering 0.6.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from .. import plan
from ..compat.pytest import closure_definitions, package_of, wide_parameters
from ..options import LONGEST_S
from .collection import ITEM_CHECKS


def waiting_last(items: Sequence[pytest.Item], durations: plan.Durations) -> plan.Order:
    """Return the order, by the items' numbers, in which those that await run behind the others."""
    arounds = list(_arounds(items))
    awaiting = {n for n, item in enumerate(items) if item.stash[ITEM_CHECKS].awaited}
    if not awaiting:
        return plan.Order(range(len(items)), frozenset())
    withins = [max(_by_marks(i.own_markers), a.within) for i, a in zip(items, arounds, strict=True)]
    fences = [n for n, within in enumerate(withins) if within is Within.RUN]
    fixed = {arounds[n].module for n, within in enumerate(withins) if within is Within.MODULE}
    # In a large suite most items have nothing to do with it: only what moves has to be looked at.
    classes = {arounds[n].outermost for n in awaiting} - {None}
    moving = awaiting | {n for n, a in enumerate(arounds) if a.outermost in classes}
    if fences or _values_meet(items, arounds, moving):
        modules = {arounds[n].module for n in awaiting}
        moving |= {n for n, a in enumerate(arounds) if a.module in modules}
    packages = {package for n in moving for package in _packages(items[n])}
    places = {
        n: _place(items[n], arounds[n], packages, durations, stays=arounds[n].module in fixed)
        for n in sorted(moving)
    }
    return plan.waiting_last(len(items), places, fences)


def _place(
    item: pytest.Item,
    around: _Around,
    packages: set[pytest.Package],
    durations: plan.Durations,
    stays: bool,
) -> plan.Place:
    wide = list(wide_parameters(item))
    return plan.Place(
        expected_s=_expected_s(item, durations),
        unit=around.outermost or item,
        folders=(*(node for node in item.listchain() if node in packages), around.module or item),
        params=frozenset((name, number) for scope, name, number in wide if scope == "module"),
        # A value of a fixture of the session is set up for the tests of several modules: to move
        # some of them would have these modules' own fixtures set up for each value once more.
        stays=stays
        or any(scope != "module" for scope, _, _ in wide)
        or any(mark.kwargs.get("order") == "keep" for mark in item.iter_markers("bgcheck")),
    )


def _values_meet(
    items: Sequence[pytest.Item], arounds: Sequence[_Around], numbers: Iterable[int]
) -> bool:
    """Return whether a class, or a test, uses several values of parametrized fixtures."""
    values: dict[Hashable, set[tuple[str, str, int]]] = {}
    for n in numbers:
        values.setdefault(arounds[n].outermost or items[n], set()).update(wide_parameters(items[n]))
    return any(len(of_unit) > 1 for of_unit in values.values())


@dataclass(frozen=True)
class _Around:
    """What is around an item: its file and its outermost class, where it has them, and what the
    marks of these say of where it runs."""

    module: pytest.File | None
    outermost: pytest.Class | None
    within: Within


def _arounds(items: Iterable[pytest.Item]) -> Iterator[_Around]:
    """Yield for each item what is around it, looked up once for neighbours."""
    parent: pytest.Collector | None = None
    around = _Around(None, None, Within.NOTHING)
    for item in items:
        if item.parent is not parent:
            parent = item.parent
            parents = [] if parent is None else parent.listchain()
            files = [node for node in parents if isinstance(node, pytest.File)]
            classes = [node for node in parents if isinstance(node, pytest.Class)]
            within = _by_marks(mark for node in parents for mark in node.own_markers)
            around = _Around(files[-1] if files else None, classes[0] if classes else None, within)
        yield around


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
            times_s.append(LONGEST_S + check.longest_wait_s)
        for label in [ref.label for ref in refs] or [""]:
            past_s = plan.past_s(durations, check.name, label)
            times_s.append(check.longest_wait_s if past_s is None else past_s)
    return max(times_s)


# --- what other plugins order ---------------------------------------------------------------------


class Within(enum.IntEnum):
    """Within what a test's marks say where it runs: no other test is moved past it there."""

    NOTHING = 0
    MODULE = 1
    RUN = 2


def _by_marks(marks: Iterable[pytest.Mark]) -> Within:
    return max(map(_by_mark, marks), default=Within.NOTHING)


def _by_mark(mark: pytest.Mark) -> Within:
    if mark.name in ("order", "run"):  # pytest-ordering makes ``run`` of its ``first``, ``last``
        return Within.RUN
    if mark.name == "dependency":
        # What another depends on at run time has the mark, or is before one that says so.
        wide = mark.kwargs.get("depends") and mark.kwargs.get("scope") in ("package", "session")
        return Within.RUN if wide else Within.MODULE
    return Within.NOTHING
