"""Each command as a background check, awaited by a test of its own."""

from typing import Any

import pytest
from task import COMMANDS, ORDINARY, stamp

from pytest_bgcheck import background_check

for number, command in enumerate(COMMANDS):
    globals()[f"check_{number}"] = background_check(command)


@pytest.mark.parametrize("number", range(ORDINARY))
def test_ordinary(number: int) -> None:
    stamp("ordinary")


@pytest.mark.parametrize(
    "name",
    [pytest.param(f"check_{n}", marks=pytest.mark.bgcheck(f"check_{n}"))
     for n in range(len(COMMANDS))],
)  # fmt: skip
def test_awaits(name: str, host: Any, bgcheck: Any) -> None:
    stamp(name, bgcheck[name, host].stdout)
