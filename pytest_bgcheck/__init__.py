"""Background checks on the targets of an infrastructure test suite. The public names."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        BadReply,
        BgcheckError,
        NoSuchJob,
        OutputCut,
        Refused,
        StillRunning,
        TargetError,
        Unreachable,
        WrongUse,
    )
    from .model import Output, Result, State
    from .run.fixture import Bgcheck
    from .suite.declaring import background_check, background_service
    from .target.job import Job, JobsOnHosts

__all__ = [
    "BadReply",
    "Bgcheck",
    "BgcheckError",
    "Job",
    "JobsOnHosts",
    "NoSuchJob",
    "Output",
    "OutputCut",
    "Refused",
    "Result",
    "State",
    "StillRunning",
    "TargetError",
    "Unreachable",
    "WrongUse",
    "background_check",
    "background_service",
]

_ROOMS = {
    "Bgcheck": "run.fixture",
    "Job": "target.job",
    "JobsOnHosts": "target.job",
    "Output": "model",
    "Result": "model",
    "State": "model",
    "background_check": "suite.declaring",
    "background_service": "suite.declaring",
}


if not TYPE_CHECKING:  # which would take each name for a public one

    def __getattr__(name: str) -> Any:
        # Not imported with the package: a suite that uses no background checks pays for none of it.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_ROOMS.get(name, 'errors')}", __name__), name)
        globals()[name] = value
        return value
