"""Calls the functions by which a suite makes commands, and says what is wrong with one."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType

from ..errors import WrongUse
from ..log import LOG, traceback_of, without_secrets
from ..readers import read_command
from ..target.requests import check_size
from ..tasks import CommandFunction, Task


def with_command(task: Task, host: object) -> Task:
    """Return a check with the command that its function makes for a host. Raises WrongUse."""
    make = task.make_command
    assert make is not None
    try:
        value = make.function(host)
        if isinstance(value, Iterator):
            value = tuple(value)  # a generator asks the host only now
    except BaseException as error:  # pytest.fail and pytest.skip too: no test would hear of them
        LOG.warning("%s of %r made no command\n%s", make, task.name, traceback_of(error))
        raise WrongUse(f"{make} raised {_in_one_line(error)}{_line(make, error)}") from None
    if value is None:
        raise WrongUse(f"{make} returned None, not a command")
    try:
        argv, command = read_command("its result", value)
        made = replace(task, argv=argv, command=command)
        check_size(made)
    except WrongUse as error:
        raise WrongUse(f"{make}: {error}") from None
    return made


def _in_one_line(error: BaseException) -> str:
    said = without_secrets(str(error).partition("\n")[0].strip())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _line(make: CommandFunction, error: BaseException) -> str:
    """Return in which line of its own the function was, if that is known."""
    code = getattr(make.function, "__code__", None)
    if isinstance(code, CodeType):
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename == code.co_filename:
                return f" ({Path(frame.filename).name}:{frame.lineno})"
    return ""
