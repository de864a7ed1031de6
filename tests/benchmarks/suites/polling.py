"""Each command by a plain nohup, all started in one call, each polled for by a test of its own."""

import time
import uuid
from collections.abc import Iterator
from shlex import quote
from typing import Any

import pytest
from task import COMMANDS, POLL_S, stamp


@pytest.fixture(scope="module")
def directory(host: Any) -> Iterator[str]:
    path = f"/tmp/bgcheck-bench-{uuid.uuid4()}"
    assert host.run("mkdir %s", path).rc == 0
    lines = [
        f"nohup sh -c {quote(f'({command}) >out.{n} 2>&1; echo $? >rc.{n}')}"
        " >/dev/null 2>&1 </dev/null &"
        for n, command in enumerate(COMMANDS)
    ]
    assert host.run(f"cd {path} && {{ {' '.join(lines)} }}").rc == 0
    yield path
    host.run("rm -rf %s", path)


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_polls(number: int, host: Any, directory: str) -> None:
    while host.run("test -s %s", f"{directory}/rc.{number}").rc != 0:
        time.sleep(POLL_S)
    stamp(f"check_{number}")
    done = host.run("cat %s %s", f"{directory}/rc.{number}", f"{directory}/out.{number}")
    stamp(f"output_{number}", done.stdout.partition("\n")[2])
    assert done.stdout.startswith("0\n")
