"""When the controller says that jobs are never started: only once no worker could start them."""

import pytest

from pytest_bgcheck.events import StartPointReached
from pytest_bgcheck.run.messages import GoesOn, WaitsForStartPoint
from pytest_bgcheck.workers.held_back import HeldBack

DEPLOY, OTHER = "::deploy", "::other"


@pytest.fixture
def held_back() -> HeldBack:
    return HeldBack(lambda key, test: f"{key}, awaited by {test}")


def wait(number: int, test: str, **jobs: str) -> WaitsForStartPoint:
    return WaitsForStartPoint(number, test, {key: (fixture,) for key, fixture in jobs.items()})


def test_not_while_a_worker_has_tests_and_does_not_wait(held_back: HeldBack) -> None:
    held_back.note_wait("gw0", wait(0, "test_a", a=DEPLOY))
    assert not held_back.never_started_now(["gw0", "gw1"])


def test_when_all_that_have_tests_wait(held_back: HeldBack) -> None:
    held_back.note_wait("gw0", wait(0, "test_a", a=DEPLOY))
    held_back.note_wait("gw1", wait(0, "test_b", b=OTHER))
    never = {"a": "a, awaited by test_a", "b": "b, awaited by test_b"}
    assert held_back.never_started_now(["gw0", "gw1"]) == never
    assert held_back.never_started == never


def test_not_while_the_word_of_a_start_is_under_way_to_one(held_back: HeldBack) -> None:
    held_back.note_wait("gw0", wait(0, "test_a", a=DEPLOY, b=OTHER))
    assert held_back.note_reached(StartPointReached(DEPLOY, ("a",)))
    assert not held_back.note_reached(StartPointReached(DEPLOY, ("a",)))
    assert not held_back.never_started_now(["gw0"])
    # It has heard of it, and waits for the other one.
    held_back.note_end_of_wait("gw0", GoesOn(0))
    held_back.note_wait("gw0", wait(1, "test_a", b=OTHER))
    assert held_back.never_started_now(["gw0"]) == {"b": "b, awaited by test_a"}


def test_not_while_the_word_of_another_end_is_under_way_to_one(held_back: HeldBack) -> None:
    held_back.note_wait("gw0", wait(0, "test_a", a=DEPLOY))
    assert held_back.never_started_now(["gw0"])
    # It goes on as soon as it hears that, and may set up what the next one waits for.
    held_back.note_wait("gw1", wait(0, "test_b", b=OTHER))
    assert not held_back.never_started_now(["gw0", "gw1"])


def test_a_worker_that_goes_on_or_is_gone_waits_for_nothing(held_back: HeldBack) -> None:
    held_back.note_wait("gw0", wait(0, "test_a", a=DEPLOY))
    held_back.note_end_of_wait("gw0", GoesOn(0))
    assert not held_back.is_awaited
    assert not held_back.never_started_now(["gw0"])
    held_back.note_wait("gw1", wait(0, "test_b", b=OTHER))
    held_back.forget("gw1")
    held_back.note_end_of_wait("gw1", GoesOn(0))
    assert not held_back.never_started_now(["gw1"])


def test_of_two_threads_of_a_test_one_that_waits_is_enough(held_back: HeldBack) -> None:
    held_back.note_wait("gw0", wait(0, "test_a", a=DEPLOY))
    held_back.note_wait("gw0", wait(1, "test_a", b=OTHER))
    held_back.note_end_of_wait("gw0", GoesOn(1))
    assert list(held_back.never_started_now(["gw0"])) == ["a"]
