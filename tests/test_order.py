"""Which tests run last, and in which order: nothing is torn apart, nothing set up too often."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from pytest_bgcheck import plan
from pytest_bgcheck.plan import Place


def order(tests: Sequence[Place]) -> list[int]:
    """Return all tests in their new order, by their numbers."""
    return list(plan.waiting_last(len(tests), dict(enumerate(tests))).tests)


def names(tests: str, *places: tuple[float | None, str, str]) -> str:
    """Order tests of one letter, each with the time that it awaits, its unit and its module."""
    return "".join(
        tests[n] for n in order([Place(s, unit or object(), (m,)) for s, unit, m in places])
    )


def test_tests_that_await_run_last_soonest_first_and_stably() -> None:
    times_s = [9.0, None, 1.0, None, 9.0]
    assert names("abcde", *((s, "", "m") for s in times_s)) == "bdcae"


def test_a_class_moves_whole_and_in_its_order() -> None:
    places = [(9.0, "C", "m"), (None, "", "m"), (None, "C", "m"), (1.0, "C", "m"), (5.0, "", "m")]
    assert names("abcde", *places) == "beacd"


def test_the_tests_of_a_module_run_together_and_are_as_late_as_the_last() -> None:
    places = [(1.0, "", "m"), (9.0, "", "m"), (None, "", "m"), (5.0, "", "n"), (4.0, "", "n")]
    assert names("abcde", *places) == "cedab"


def test_the_tests_of_a_package_run_together() -> None:
    folders = ["PM", "PN", "O", "PM"]
    tests = [Place(s, n, tuple(folders[n])) for n, s in enumerate([1.0, 9.0, 5.0, 2.0])]
    assert order(tests) == [2, 0, 3, 1]


def test_the_tests_of_a_host_run_together() -> None:
    times_s = {("a", 0): 1.0, ("b", 0): 9.0, ("a", 1): 4.0, ("b", 1): 5.0}
    tests = [
        Place(s, n, ("M",), frozenset({("host", host)}))
        for n, ((_, host), s) in enumerate(times_s.items())
    ]
    assert order(tests) == [2, 3, 0, 1]


def test_what_stays_stays_and_keeps_its_class_there() -> None:
    stays = Place(1.0, "C", ("M",), stays=True)
    tests = [Place(1.0, "C", ("M",)), stays, Place(1.0, 2, ("M",)), Place(None, 3, ("M",))]
    assert order(tests) == [0, 1, 3, 2]


# --- any suite ------------------------------------------------------------------------------------

HOSTS = [frozenset({("host", n)}) for n in range(3)]
SERVICES = [frozenset({("service", n)}) for n in range(2)]
PARAMS = [
    frozenset(),
    *HOSTS,
    *SERVICES,
    *(host | service for host in HOSTS for service in SERVICES),
]


@st.composite
def suites(draw: st.DrawFn) -> list[Place]:
    """Draw tests in packages, modules and classes, in any order or grouped as pytest does."""
    tests = []
    for number in range(draw(st.integers(1, 14))):
        packages = draw(st.sampled_from([(), ("P",), ("P", "Q"), ("R",)]))
        module = (*packages, draw(st.sampled_from("mn")))
        unit = draw(st.sampled_from([(*module, "C"), number]))
        seconds = draw(st.none() | st.sampled_from([1.0, 2.0, 3.0]))
        params = draw(st.sampled_from(PARAMS))
        stays = draw(st.integers(0, 9)) == 0
        tests.append(Place(seconds, unit, (*packages, module), params, stays))
    if draw(st.booleans()):
        tests.sort(key=lambda t: (str(t.folders), sorted(t.params), str(t.unit)))
    return tests


def set_ups(tests: Iterable[Place]) -> Counter[object]:
    """Count the set-ups of one fixture of each package, module, class and value, and of a fixture
    of the module that uses all the values of a test, by pytest's rule: a fixture is torn down when
    its package, module or class is left, and when a test needs another value of it."""
    count: Counter[object] = Counter()
    active: dict[object, object] = {}
    for test in tests:
        inside = {*test.folders, test.unit}
        active = {key: of for key, of in active.items() if key[0] in inside}  # type: ignore[index]
        module = test.folders[-1]
        needed: dict[object, object] = {(scope, ""): None for scope in inside}
        needed |= {(module, fixture): value for fixture, value in test.params}
        for key, value in needed.items():
            if key not in active or active[key] != value:
                count[key, value] += 1
                active[key] = value
                if key[0] == module and key[1]:  # type: ignore[index]
                    active.pop((module, "of values"), None)
        if test.params and active.get((module, "of values")) != test.params:
            active[module, "of values"] = test.params
            count[module, test.params] += 1
    return count


@given(suites())
def test_nothing_is_set_up_more_than_once_more(tests: list[Place]) -> None:
    before, after = set_ups(tests), set_ups(tests[n] for n in order(tests))
    event(f"moved: {order(tests) != sorted(order(tests))}")
    assert before.keys() == after.keys()
    assert all(after[what] <= before[what] + 1 for what in before)


@given(suites())
def test_each_test_runs_once_and_the_others_keep_their_order(tests: list[Place]) -> None:
    new, last = order(tests), plan.waiting_last(len(tests), dict(enumerate(tests))).behind
    assert sorted(new) == list(range(len(tests)))
    assert not last or any(tests[n].expected_s is not None for n in last)
    others = new[: len(new) - len(last)]
    assert others == sorted(others)
    assert not any(tests[n].stays for n in last)


@given(suites())
def test_no_class_is_torn_or_put_in_another_order(tests: list[Place]) -> None:
    new = order(tests)
    for unit in {test.unit for test in tests}:
        of_unit = [n for n in new if tests[n].unit == unit]
        assert of_unit == sorted(of_unit)
        # In so many pieces as before, at most.
        assert pieces(new, of_unit) <= pieces(range(len(tests)), of_unit)


def pieces(numbers: Sequence[int], some: Sequence[int]) -> int:
    """Return in how many runs of neighbours some numbers stand among others."""
    inside = [number in some for number in numbers]
    return sum(now and not before for before, now in itertools.pairwise([False, *inside]))


@given(suites(), st.sets(st.integers(0, 13), max_size=3))
def test_no_test_is_moved_past_a_fence(tests: list[Place], fences: set[int]) -> None:
    fenced = sorted(n for n in fences if n < len(tests))
    new = plan.waiting_last(len(tests), dict(enumerate(tests)), fenced)
    assert sorted(new.tests) == list(range(len(tests)))
    for fence in fenced:
        before = new.tests[: new.tests.index(fence)]
        assert sorted(before) == list(range(fence))
    assert not new.behind.intersection(fenced)
    assert all(new.tests[-len(new.last()) :] == new.last() for _ in new.last()[:1])
    for unit in {test.unit for test in tests}:
        of_unit = [n for n in new.tests if tests[n].unit == unit]
        assert of_unit == sorted(of_unit)


def test_what_has_moved_is_behind_what_it_stood_before() -> None:
    assert plan.Order([1, 3, 0, 2, 4], frozenset({0, 2, 4})).moved() == [0, 2]
    assert plan.Order([0, 1, 2], frozenset({2})).moved() == []


@given(suites())
def test_only_whom_a_test_awaits_for_is_moved_and_all_of_these(tests: list[Place]) -> None:
    plain = [replace(test, stays=False) for test in tests if len(test.params) < 2]
    last = plan.waiting_last(len(plain), dict(enumerate(plain))).behind
    awaiting = {test.unit for test in plain if test.expected_s is not None}
    several = {
        unit
        for unit in awaiting
        if len(frozenset().union(*(t.params for t in plain if t.unit == unit))) > 1
    }
    if not several:
        assert {n for n, test in enumerate(plain) if test.unit in awaiting} == set(last)


@given(suites())
def test_tests_without_a_place_stay_where_units_use_one_value_each(tests: list[Place]) -> None:
    plain = [replace(test, params=frozenset()) for test in tests]
    awaiting = {test.unit for test in plain if test.expected_s is not None}
    some = {n: test for n, test in enumerate(plain) if test.unit in awaiting}
    assert plan.waiting_last(len(plain), some).tests == order(plain)
