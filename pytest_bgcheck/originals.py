"""What is needed of the standard library while tests run, in copies that no test replaces.

A test may fake files, processes or threads while calls to targets go on in threads. pyfakefs and
pytest-subprocess replace what they find in the modules of `sys.modules`, and ``mock.patch`` an
attribute of such a module. The copies here are in none of these, and bear no name that is looked
for. They are made when a room of a target is first imported.
"""

from __future__ import annotations

import importlib.util
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .clocks import monotonic_s


def _with_same_names(name: str) -> ModuleType:
    """Return a module that has what another has now. It suits modules written in C, and ``os``,
    whose ``environ`` must stay the one that there is."""
    copy = ModuleType(f"{__name__}.{name}")
    names = vars(importlib.import_module(name))
    vars(copy).update({key: names[key] for key in names if not key.startswith("__")})
    return copy


def _made_anew(name: str) -> ModuleType:
    """Return a module written in Python whose functions use nothing but copies."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    for key, value in list(vars(copy).items()):
        if isinstance(value, ModuleType):
            setattr(copy, key, _with_same_names(value.__name__))
    return copy


def _apart_from_forks(popen: Any) -> Any:
    """Return Popen, but no child is forked while it makes the pipes of a program. The child would
    keep them, and who reads them here would wait for its end: that of a pool of processes, perhaps.
    """
    lock = threading.Lock()
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )

    class Popen(popen):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            with lock:
                super().__init__(*args, **kwargs)

    return Popen


class _Thread(threading.Thread):
    """A thread that starts and ends although a test fakes the methods of threads."""

    start = threading.Thread.start
    join = threading.Thread.join


if TYPE_CHECKING:
    import io
    import os
    import secrets
    import selectors
    import subprocess
    import tempfile
else:
    io = _with_same_names("io")
    os = _with_same_names("os")
    subprocess = _made_anew("subprocess")
    subprocess._time = monotonic_s  # for time-outs; time-machine has moved that of the library
    subprocess.Popen = _apart_from_forks(subprocess.Popen)
    tempfile = _made_anew("tempfile")
    secrets = _made_anew("secrets")
    selectors = _made_anew("selectors")
    # Not anew: there is one list of the threads of a process.
    threading = _with_same_names("threading")
    threading.Thread = _Thread

__all__ = ["io", "os", "secrets", "selectors", "subprocess", "tempfile", "threading"]
