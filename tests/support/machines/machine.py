"""What all machines have in common: a start, an end, and what is waited for in between."""

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self  # comes with mypy; typing has it from 3.11 on


class Machine(ABC):
    """A target which runs between `start` and `stop`, or inside a ``with`` block."""

    @abstractmethod
    def start(self) -> None:
        """Start the machine and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """End what `start` began, also when that failed half way; a second stop does nothing."""

    def __enter__(self) -> "Self":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def run(*argv: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command to its end without a stdin; any rc is returned, undecodable bytes replaced."""
    return subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
    )


def run_checked(*argv: str, timeout_s: float = 60) -> str:
    """Return the stdout of a command that must succeed; RuntimeError with its output if not."""
    done = run(*argv, timeout_s=timeout_s)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: rc {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_until(condition: Callable[[], bool], timeout_s: float, poll_s: float = 0.02) -> bool:
    """Return True as soon as the condition holds, False if it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll_s)
    return True
