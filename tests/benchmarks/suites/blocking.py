"""Each command run by a test that blocks in it."""

from typing import Any

import pytest
from task import COMMANDS, ORDINARY, stamp


@pytest.mark.parametrize("number", range(ORDINARY))
def test_ordinary(number: int) -> None:
    stamp("ordinary")


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_blocks(number: int, host: Any) -> None:
    done = host.run(COMMANDS[number])
    stamp(f"check_{number}", done.stdout)
    assert done.rc == 0
