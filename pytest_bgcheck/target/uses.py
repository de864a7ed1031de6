"""What tests do with the handles of jobs, and who is told of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from .output import NoLine
from .records import Record
from .watching import ClosedWindow


class Use(enum.Enum):
    """What a test or a fixture does with a job's handle.

    ``HOLD``: it has the handle, or asks without reading what came out. ``OUTPUT``: it reads what
    came out, but no verdict. ``WINDOW``: it reads what a probe has seen in a window. ``RESULT``: it
    takes the whole result. ``VERDICT``: it reads how the job ended. The last two judge the job's
    end.
    """

    HOLD = "hold"
    OUTPUT = "output"
    WINDOW = "window"
    RESULT = "result"
    VERDICT = "verdict"

    @property
    def judges(self) -> bool:
        return self in (Use.RESULT, Use.VERDICT)


class User(Protocol):
    """Who uses a handle: it is told of each use, and waits.

    ``runs_tests``: False in modes that only show something.
    """

    @property
    def runs_tests(self) -> bool: ...

    def note_use(self, record: Record, use: Use) -> None: ...

    def wait_until(
        self, happened: Callable[[], bool], record: Record, limit_s: float | None
    ) -> bool:
        """Wait until something has happened to a job, which its end is in any case; return False if
        the limit (seconds; None: the job's own) was over first."""

    def failure(self, record: Record) -> str:
        """Return what people read of a job that has failed."""

    def no_line(self, record: Record, found: NoLine) -> str:
        """Return what people read of a wait for a line that did not come."""

    def note_window(self, closed: ClosedWindow) -> None:
        """Take note of what became of a window that a block has opened, or could not open."""

    def if_never_entered(self, said: str) -> Callable[[], None]:
        """Return what is to be called if a block that was just made is never entered; ``said``:
        what people read then. Any thread may call that."""

    def ends_run(self, error: BaseException) -> bool:
        """Return whether what leaves a block ends the run: then nothing is asked any more."""
