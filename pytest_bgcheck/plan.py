"""From selected tests to jobs, and the order of tests. Pure; imports only tasks.

The host of a job is any hashable value here: the plan only compares it.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from .tasks import Task

HostT = TypeVar("HostT", bound=Hashable)


@dataclass(frozen=True)
class Want(Generic[HostT]):
    """A test (by its node id) awaits a check on a host, or only requests its handle."""

    test: str
    task: Task
    host: HostT
    awaits: bool


@dataclass(frozen=True)
class PlannedJob(Generic[HostT]):
    """One run of a check on a host, with the tests that await and that only request it."""

    task: Task
    host: HostT
    awaited_by: tuple[str, ...]
    requested_by: tuple[str, ...]


def jobs(wants: Iterable[Want[HostT]]) -> list[PlannedJob[HostT]]:
    """Return each job once, in the order in which tests first want them."""
    wanted: dict[tuple[Task, HostT], list[Want[HostT]]] = {}
    for want in wants:
        wanted.setdefault((want.task, want.host), []).append(want)

    def tests(of: Iterable[Want[HostT]], awaiting: bool) -> tuple[str, ...]:
        return tuple(dict.fromkeys(want.test for want in of if want.awaits == awaiting))

    return [
        PlannedJob(task, host, awaited_by=tests(of, True), requested_by=tests(of, False))
        for (task, host), of in wanted.items()
    ]


Durations = Mapping[str, Sequence[float]]
"""Seconds that the last runs of a job took, by `duration_key`."""


def duration_key(name: str, host: str) -> str:
    """Return what a job is remembered by, from run to run; ``host``: its label."""
    return f"{name} on {host}"


def past_s(durations: Durations, name: str, host: str) -> float | None:
    """Return what a check took on a host on average, None if it never ran there."""
    past = durations.get(duration_key(name, host))
    return sum(past) / len(past) if past else None


# --- the order of tests ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Of a test, what decides where it runs.

    ``expected_s``: when the last job that it awaits is expected to be ready; None: it awaits none.
    ``unit``: what is never torn apart: its class, or the test itself.
    ``folders``: whose fixtures it may share, the widest first; the last one is its module.
    ``params``: the fixtures of its module that are parametrized, each with the number of its value.
    ``stays``: it is not to be moved.
    """

    expected_s: float | None
    unit: Hashable
    folders: tuple[Hashable, ...]
    params: frozenset[tuple[str, int]] = frozenset()
    stays: bool = False


@dataclass(frozen=True)
class Order:
    """``tests``: all, in their new order. ``behind``: those that were put behind the others."""

    tests: Sequence[int]
    behind: frozenset[int]

    def last(self) -> list[int]:
        """Return those of them behind which no other runs, in their order."""
        last = list(itertools.takewhile(self.behind.__contains__, reversed(self.tests)))
        return last[::-1]

    def moved(self) -> list[int]:
        """Return the tests that now run behind one which they stood before."""
        farthest, found = -1, []
        for test in self.tests:
            if test < farthest:
                found.append(test)
            farthest = max(farthest, test)
        return found


def waiting_last(tests: int, places: Mapping[int, Place], fences: Sequence[int] = ()) -> Order:
    """Return the new order of so many tests, by their numbers: those that await run last.

    ``places``: of the tests that await, and of their classes; with fences, or where one of these
    uses several values, of their whole modules. ``fences``: the tests that no other may be moved
    past.
    Waiting tests at the end leave the checks the time of all other tests: soonest expected first,
    stably. A class stays together. So does what shares fixtures, and then each of these is set up
    once more at most than before: of the tests that move, those of a package, those of a module,
    and those of a value of a parametrized fixture.
    """
    order, behind = list[int](), set[int]()
    places = _without_fenced(places, fences)
    for begin, end in itertools.pairwise([0, *fences, tests]):
        last = _last({n: places[n] for n in range(begin, end) if n in places})
        behind.update(last)
        order += [n for n in range(begin, end) if n not in behind]
        order += last
    return Order(order, frozenset(behind))


def _without_fenced(places: Mapping[int, Place], fences: Sequence[int]) -> dict[int, Place]:
    """Have fences stay, and tests that share a module or a package's fixtures across a fence."""
    sides: dict[Hashable, set[int]] = {}
    for number, place in places.items():
        for folder in place.folders:
            sides.setdefault(folder, set()).add(bisect.bisect(fences, number))
    return {
        number: replace(place, stays=True)
        if number in fences or any(len(sides[folder]) > 1 for folder in place.folders)
        else place
        for number, place in places.items()
    }


def _last(places: Mapping[int, Place]) -> list[int]:
    """Return the tests that are to run behind the others, in their new order."""
    modules: dict[Hashable, dict[int, Place]] = {}
    for number, place in places.items():
        modules.setdefault(place.folders[-1], {})[number] = place
    groups: dict[int, tuple[Hashable, ...]] = {}
    for module in modules.values():
        groups |= _moving(module)

    # A group is as late as the last of its tests.
    latest_s: dict[Hashable, float] = {}
    first: dict[Hashable, int] = {}
    for number in sorted(groups):
        for group in groups[number]:
            latest_s[group] = max(latest_s.get(group, 0.0), places[number].expected_s or 0.0)
            first.setdefault(group, number)
    return sorted(groups, key=lambda n: ([(latest_s[g], first[g]) for g in groups[n]], n))


def _moving(module: Mapping[int, Place]) -> dict[int, tuple[Hashable, ...]]:
    """Return which tests of a module move, each with the groups that it is in, the widest first."""
    units: dict[Hashable, list[int]] = {}
    for number, place in module.items():
        units.setdefault(place.unit, []).append(number)
    params_of: dict[Hashable, frozenset[tuple[str, int]]] = {
        unit: frozenset(param for number in numbers for param in module[number].params)
        for unit, numbers in units.items()
        if any(module[number].expected_s is not None for number in numbers)
        and not any(module[number].stays for number in numbers)
    }
    inner: dict[Hashable, tuple[Hashable, ...]]
    if all(len(params) <= 1 for params in params_of.values()):
        inner = {unit: (params or unit, unit) for unit, params in params_of.items()}
    elif not _comes_back(module.values()):
        inner = dict.fromkeys(params_of, ())  # in their order, which has each value once
    elif not any(place.stays for place in module.values()):
        inner = dict.fromkeys(units, ())  # all of the module, for half of it would need them twice
    else:
        inner = {}
    return {
        number: (*folders, *((folders[-1], group) for group in groups))
        for unit, groups in inner.items()
        for number in units[unit]
        for folders in [module[number].folders]
    }


def _comes_back(places: Iterable[Place]) -> bool:
    """Return whether tests need a value of a parametrized fixture again after another of it."""
    value: dict[str, int] = {}
    known: set[tuple[str, int]] = set()
    for place in places:
        for fixture, number in place.params:
            if value.get(fixture) != number:
                if (fixture, number) in known:
                    return True
                value[fixture] = number
                known.add((fixture, number))
    return False
