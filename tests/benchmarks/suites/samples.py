"""Probes that are watched for a while: what they cost their target is read meanwhile."""

import time
from contextlib import ExitStack
from typing import Any

import pytest
from task import COMMANDS, TASK, stamp

from pytest_bgcheck import background_probe

NAMES = [f"probe_{number}" for number in range(len(COMMANDS))]

for name, command in zip(NAMES, COMMANDS, strict=True):
    globals()[name] = background_probe(command, every=TASK["every_s"])


@pytest.fixture
def probes(request: Any, host: Any) -> list[Any]:
    """Return the handles of all probes."""
    return [request.getfixturevalue(name) for name in NAMES]


@pytest.mark.usefixtures(*NAMES)
def test_watches(probes: list[Any]) -> None:
    with ExitStack() as stack:
        windows = [stack.enter_context(probe.window()) for probe in probes]
        stamp("begin")
        time.sleep(TASK["body_s"])
        stamp("end")
    for window in windows:
        assert not window.outages
        stamp("window", f"{window.samples / window.length}")
