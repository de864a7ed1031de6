"""Background checks on the targets of an infrastructure test suite. The public names."""

from typing import TYPE_CHECKING, Any

from .declaration import background_check
from .errors import (
    BadReply,
    BgcheckError,
    Refused,
    StillRunning,
    TargetError,
    Unreachable,
    WrongUse,
)
from .model import Result, State

if TYPE_CHECKING:
    from .handles import Bgcheck, Job

__all__ = [
    "BadReply",
    "Bgcheck",
    "BgcheckError",
    "Job",
    "Refused",
    "Result",
    "State",
    "StillRunning",
    "TargetError",
    "Unreachable",
    "WrongUse",
    "background_check",
]


def __getattr__(name: str) -> Any:
    # Not imported with the package: a suite that uses no background checks pays for neither.
    if name == "Job":
        from .handles import Job

        return Job
    if name == "Bgcheck":
        from .handles import Bgcheck

        return Bgcheck
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
