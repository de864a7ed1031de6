"""What the suites read of the run that they are part of, and what they tell it."""

import json
import os
import time

TASK = json.loads(os.environ["BENCH_TASK"])
COMMANDS: list[str] = TASK["commands"]
POLL_S: float = TASK["poll_s"]
ORDINARY: int = TASK["ordinary"]


def stamp(name: str, output: str = "") -> None:
    """Note a moment, by this computer's clocks, and what a command has printed."""
    line = json.dumps([name, time.time(), output, time.monotonic()]) + "\n"
    # Workers write to one file: a short write to a file opened for appending is whole.
    descriptor = os.open(TASK["stamps"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)
