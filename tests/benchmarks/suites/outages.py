"""Outages that are planted under a probe, a test and a window for each.

It is copied for each service, whose name is the file's: one worker does all that befalls a service,
one after the other.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from support.machines.planted import plant

from pytest_bgcheck import background_probe

TASK = json.loads(os.environ["BENCH_OUTAGES"])
SERVICE = Path(__file__).stem.removeprefix("test_")

service = TASK["services"][SERVICE]
globals()[SERVICE] = background_probe(
    service["command"], every=TASK["every_s"], host=service["host"]
)


@pytest.mark.parametrize(
    ("number", "outage"),
    [
        pytest.param(
            number, outage, id=str(number), marks=pytest.mark.bgcheck(SERVICE, **outage["limits"])
        )
        for number, outage in enumerate(TASK["outages"])
        if outage["service"] == SERVICE
    ],
)
def test_outage(number: int, outage: dict[str, Any]) -> None:
    time.sleep(outage["before_s"])
    began = ended = time.monotonic()
    if outage["seconds"]:
        began, ended = plant(service["control_port"], outage["seconds"], outage["silent"])
    time.sleep(outage["after_s"])
    line = json.dumps([number, began, ended]) + "\n"
    # Workers write to one file: a short write to a file opened for appending is whole.
    descriptor = os.open(TASK["planted"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)
