"""Tests that await what has ended long ago, or the same tests without that."""

import time
from typing import Any

import pytest
from task import COMMANDS, ORDINARY, TASK, stamp

from pytest_bgcheck import background_check

for number, command in enumerate(COMMANDS):
    globals()[f"check_{number}"] = background_check(command)

MARKS = [[pytest.mark.bgcheck(f"check_{n}")] if TASK["awaits"] else [] for n in range(10)]


@pytest.fixture(scope="module", autouse=True)
def all_ended(host: Any, bgcheck: Any) -> None:
    """Start the checks in both cases, so that both have the same jobs; wait for them."""
    if not TASK["awaits"]:
        for number, command in enumerate(COMMANDS):
            bgcheck.start(command, name=f"check_{number}", host=host).result()
    else:
        for number in range(len(COMMANDS)):
            bgcheck[f"check_{number}", host].result()
    time.sleep(0.5)


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=MARKS[n % len(COMMANDS)]) for n in range(ORDINARY)]
)
def test_of_many(number: int, host: Any) -> None:
    if number in (0, ORDINARY - 1):
        stamp("first" if number == 0 else "last")
