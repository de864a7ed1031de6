"""pytest in the background, to be harmed, and what is left when it has ended."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support import leftovers
from support.machines.processes import all_processes

HEAD = "import os, pytest, time\nfrom pytest_bgcheck import background_check\n"


QUICK = "c = background_check('true')\n@pytest.mark.bgcheck\ndef test(c): pass"


LONG = """
a = background_check("echo a >>$COUNT; sleep 95.4")
b = background_check("echo b >>$COUNT; sleep 95.4", host="local://?sudo=false")
@pytest.mark.bgcheck("a")
def test_a(): pass
@pytest.mark.bgcheck("b")
def test_b(): pass
def test_ordinary(): pass
@pytest.fixture(autouse=True)
def begun(request):
    with open(os.environ["COUNT"], "a") as file:
        file.write(request.node.name + "\\n")
"""


def runs(count: Path) -> Counter[str]:
    return Counter(count.read_text().split())


def eventually(
    condition: Callable[[], object],
    timeout_s: float = 60,
    told: Callable[[], object] = lambda: None,
) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, (condition, told())
        time.sleep(0.05)


def left() -> tuple[object, ...]:
    """Return what is left of the runs under test."""
    found = leftovers.directories(), leftovers.checks(), leftovers.supervisors()
    return found if any(found) else ()


def nothing_is_left() -> bool:
    return not left()


class Run:
    """pytest in the background, in a process group of its own."""

    def __init__(self, pytester: pytest.Pytester, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *args],
            cwd=pytester.path,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def end(self) -> tuple[int, str]:
        """Return the exit status and the output, once nothing is left."""
        output = self.process.communicate(timeout=120)[0].decode()
        eventually(nothing_is_left, 20, lambda: (left(), output))
        return self.process.returncode, output

    def workers(self) -> list[int]:
        parent = self.process.pid
        return [p.pid for p in all_processes() if p.parent == parent and p.name.startswith("py")]

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
