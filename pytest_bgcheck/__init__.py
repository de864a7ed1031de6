"""Background checks on the targets of an infrastructure test suite. The public names."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        BadReply,
        BgcheckError,
        NoSuchJob,
        NotProven,
        OutputCut,
        Refused,
        StillRunning,
        TargetError,
        Unreachable,
        WrongUse,
    )
    from .model import Output, Result, State
    from .run.fixture import Bgcheck
    from .suite.declaring import background_check, background_probe, background_service
    from .target.job import Job, JobsOnHosts
    from .windows import Gap, Outage, Window

__all__ = [
    "BadReply",
    "Bgcheck",
    "BgcheckError",
    "Gap",
    "Job",
    "JobsOnHosts",
    "NoSuchJob",
    "NotProven",
    "Outage",
    "Output",
    "OutputCut",
    "Refused",
    "Result",
    "State",
    "StillRunning",
    "TargetError",
    "Unreachable",
    "Window",
    "WrongUse",
    "background_check",
    "background_probe",
    "background_service",
]

_ROOMS = {
    "Bgcheck": "run.fixture",
    "Gap": "windows",
    "Job": "target.job",
    "JobsOnHosts": "target.job",
    "Outage": "windows",
    "Output": "model",
    "Result": "model",
    "State": "model",
    "Window": "windows",
    "background_check": "suite.declaring",
    "background_probe": "suite.declaring",
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
