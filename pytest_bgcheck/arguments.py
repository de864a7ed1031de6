"""The arguments of declarations: a row each, and the frozen values that they become.

An argument of a check that only Python knows is a type in `CheckArguments`, a row in `CHECK_ROWS`
and a field of `tasks.Check`, whose default is the argument's; one of a service likewise. What any
kind of job would take is a type in `JobArguments` and a row in `JOB_ROWS`. Imports tasks, readers
and errors.
"""

from __future__ import annotations

import datetime
import functools
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, TypeVar

from .errors import WrongUse
from .readers import (
    read_bool,
    read_command,
    read_directory,
    read_environment,
    read_exit_codes,
    read_fixture_name,
    read_function,
    read_host,
    read_local_file,
    read_pattern,
    read_seconds,
    read_seconds_or_0,
    read_size,
    read_text,
    read_unawaited,
    read_words,
)
from .tasks import ANY_RC, Check, CommandFunction, Probe, Script, Service, Task


@dataclass(frozen=True)
class Argument:
    """A row: an argument, the field that it becomes, what reads it, and what ``help()`` says.

    ``default`` is what the signature shows. Where it is None, None counts as not given.
    """

    name: str
    field: str
    read: Callable[[str, object], object]
    doc: str
    default: object = None


Command: TypeAlias = str | Sequence[str | os.PathLike[str]]
CommandMaker: TypeAlias = Callable[[Any], Command]
"""What makes a command of testinfra's Host."""


class JobArguments(TypedDict, total=False):
    """What each kind of job takes beside its command, name and host. None counts as not given."""

    after: str | None
    script: str | os.PathLike[str] | None
    args: Sequence[str] | None
    sudo: bool | None
    sudo_user: str | None
    env: Mapping[str, str] | None
    cwd: str | os.PathLike[str] | None
    grace: float | datetime.timedelta | None
    output_limit: int | None


class CheckArguments(JobArguments, total=False):
    """What a check takes: a type for each of `CHECK_ROWS`, which type checkers and editors read."""

    timeout: float | datetime.timedelta | None
    rc: int | Iterable[int] | None
    retry_every: float | datetime.timedelta | None
    unawaited: str | None


class ServiceArguments(JobArguments, total=False):
    """What a service takes: a type for each of `SERVICE_ROWS`."""

    ready: Command | None
    ready_output: str | None
    ready_timeout: float | datetime.timedelta | None
    timeout: float | datetime.timedelta | None


class ProbeArguments(JobArguments, total=False):
    """What a probe takes: a type for each of `PROBE_ROWS`."""

    every: float | datetime.timedelta | None
    timeout: float | datetime.timedelta | None
    rc: int | Iterable[int] | None


JOB_ROWS = (
    Argument("after", "after", read_fixture_name,
             "the name of a fixture: start when that has first been set up in the run;\n"
             "default: before the first test."),
    Argument("script", "script", read_local_file,
             "instead of a command: a local file, sent to the target and run there by its\n"
             "``#!`` line with ``args``. A relative path is that from the declaring file;\n"
             "for ``bgcheck.start``, that from the current directory."),
    Argument("args", "argv", read_words,
             "the arguments of ``script``."),
    Argument("sudo", "sudo", read_bool,
             "True or False: run with sudo or without; default: as the host's testinfra\n"
             "settings say."),
    Argument("sudo_user", "sudo_user", read_text,
             "run as this user, with sudo; default: as the host's testinfra settings say."),
    Argument("env", "env", read_environment,
             "environment to add. The values appear in no report and in no argv that stays."),
    Argument("cwd", "cwd", read_directory,
             "the directory to run in; default: where ``host.run`` runs."),
    Argument("grace", "grace_s", read_seconds_or_0,
             "seconds between TERM and KILL when it is ended; default 5."),
    Argument("output_limit", "output_limit", read_size,
             "bytes kept of stdout and of stderr (head and tail); default 1 MiB."),
)  # fmt: skip

# In the order in which help() shows them: what most checks need comes first.
CHECK_ROWS = (
    Argument("timeout", "timeout_s", read_seconds,
             "seconds the job may run on the target; default: ini ``bgcheck_timeout``, 360."),
    Argument("rc", "rc", read_exit_codes,
             "the exit code or codes that mean success; default 0. None: any, so that a\n"
             "test has to judge by itself; what did not end by itself fails all the same.",
             default=0),
    Argument("retry_every", "retry_every_s", read_seconds,
             "seconds: run the command again until its rc is accepted or the time is over."),
    *JOB_ROWS,
    Argument("unawaited", "unawaited", read_unawaited,
             '``"ignore"``, ``"warn"`` or ``"fail"``: what becomes of the run if no test\n'
             "judged it; default: as the option ``--bgcheck-unawaited`` says."),
)  # fmt: skip

SERVICE_ROWS = (
    Argument("ready", "ready_argv", read_command,
             "a command, as ``command``, that the target repeats, twice a second at most: the\n"
             "service is ready when that ends with 0. As the service's user, with its ``env``\n"
             "and ``cwd``."),
    Argument("ready_output", "ready_output", read_pattern,
             "a POSIX extended regular expression: it is ready when a line of its\n"
             "stdout or stderr matches. With neither, it is ready as soon as it runs."),
    Argument("ready_timeout", "ready_timeout_s", read_seconds,
             "seconds within which it has to be ready, or it is ended; default 30."),
    Argument("timeout", "timeout_s", read_seconds,
             "seconds that it may live on the target, also if nobody is left to end it;\n"
             "default: ini ``bgcheck_service_timeout``, 3600."),
    *JOB_ROWS,
)  # fmt: skip

PROBE_ROWS = (
    Argument("every", "every_s", read_seconds,
             "seconds from the start of one sample to that of the next; default 1. One that\n"
             "takes longer delays the next: there are never two at once."),
    Argument("timeout", "sample_timeout_s", read_seconds,
             "seconds that one sample may take; then it is killed, and was bad; default 10."),
    Argument("rc", "rc", read_exit_codes,
             "the exit code or codes of a good sample; default 0.",
             default=0),
    *JOB_ROWS,
)  # fmt: skip


# --- declarations ---------------------------------------------------------------------------------


TaskT = TypeVar("TaskT", bound=Task)


def make_task(
    kind: type[TaskT],
    name: object,
    command: object,
    given: Mapping[str, object],
    *,
    host: object = None,
    timeout_s: float,
    directory: Path,
    root: Path = Path(),
) -> TaskT:
    """Make a task of a declaration's arguments, or raise WrongUse that names the wrong one.

    ``timeout_s`` is the default; a relative ``script`` lies in ``directory``. ``root``: the suite's
    directory, from which the place of a function is told.
    """
    if not isinstance(name, str) or not name or not name.isprintable():
        raise WrongUse(f"name must be a non-empty string of printable characters, not {name!r}")
    refuse_unknown(
        f"a {kind.kind}", ["command", "name", "host", *(row.name for row in ROWS[kind])], given
    )
    fields = {"name": name, "timeout_s": timeout_s, **read_given(ROWS[kind], given)}
    fields |= _program(command, given, fields, directory, root)
    if "sudo_user" in fields:
        if fields.get("sudo") is False:
            raise WrongUse(f"sudo_user={fields['sudo_user']!r} contradicts sudo=False")
        fields["sudo"] = True
    if host is not None:
        fields["host"] = read_host("host", host)
    _COMPLETE[kind](fields)
    return kind(**fields)


make_check = functools.partial(make_task, Check)
make_service = functools.partial(make_task, Service)
make_probe = functools.partial(make_task, Probe)


def _complete_check(fields: dict[str, Any]) -> None:
    """Refuse arguments of a check that contradict each other."""
    if "retry_every_s" in fields and fields.get("rc") == ANY_RC:
        raise WrongUse("retry_every contradicts rc=None: the first attempt would be accepted")


def _complete_service(fields: dict[str, Any]) -> None:
    """Refuse arguments of a service that contradict each other; part what ``ready`` was read to."""
    if "ready_argv" in fields and "ready_output" in fields:
        raise WrongUse(
            "ready and ready_output must not both be given: where both have to hold, let the"
            " command of ready look at what the service has written too"
        )
    if fields.get("ready_timeout_s", 0) > fields["timeout_s"]:
        raise WrongUse(
            f"ready_timeout={fields['ready_timeout_s']:g} is longer than the"
            f" {fields['timeout_s']:g} s that the service may live: give it a longer timeout"
        )
    if "ready_argv" in fields:
        fields["ready_argv"], fields["ready"] = fields["ready_argv"]


def _complete_probe(fields: dict[str, Any]) -> None:
    """Refuse arguments of a probe that make no sense."""
    if fields.get("rc") == ANY_RC:
        raise WrongUse("rc=None would make every sample a good one: name the codes of a good one")


ROWS: Mapping[type[Task], Sequence[Argument]] = {
    Check: CHECK_ROWS,
    Service: SERVICE_ROWS,
    Probe: PROBE_ROWS,
}

_COMPLETE: Mapping[type[Task], Callable[[dict[str, Any]], None]] = {
    Check: _complete_check,
    Service: _complete_service,
    Probe: _complete_probe,
}


def _program(
    command: object,
    given: Mapping[str, object],
    fields: Mapping[str, Any],
    directory: Path,
    root: Path,
) -> dict[str, Any]:
    """Return what says which program runs: a command, the function that makes it, or a script."""
    script = given.get("script")
    if (command is None) == (script is None):
        raise WrongUse("exactly one of command and script must be given, "
                       + ("not both" if script is not None else "and none was"))  # fmt: skip
    if script is None and given.get("args") is not None:
        raise WrongUse("args go with script; put the arguments of a command into the command")
    if script is not None:
        path, argv = fields["script"], fields.get("argv", ())
        shown = shlex.join([path, *argv])
        return {"script": _load(path, directory), "argv": argv, "command": shown}
    if callable(command) and not isinstance(command, type):
        function = read_function("command", command)
        made = CommandFunction(function, place_of(function, root))
        return {"argv": (), "command": repr(made), "make_command": made}
    argv, shown = read_command("command", command)
    return {"argv": argv, "command": shown}


def place_of(function: Callable[..., object], root: Path) -> str:
    """Return a function's name and where it stands, as ``port(host) in tests/conftest.py:12``.

    The same in every process of a run, wherever the suite lies there.
    """
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = str(getattr(inner, "__qualname__", type(inner).__qualname__))
    name = name.replace("<locals>.", "").replace("<lambda>", "lambda")
    code = getattr(inner, "__code__", getattr(type(inner).__call__, "__code__", None))
    if code is None:
        return f"{name}(host) in {getattr(inner, '__module__', None)}"
    file = Path(code.co_filename)
    where = file.relative_to(root).as_posix() if file.is_relative_to(root) else inner.__module__
    return f"{name}(host) in {where}:{code.co_firstlineno}"


def read_given(rows: Iterable[Argument], given: Mapping[str, object]) -> dict[str, Any]:
    """Return the validated values of the arguments that were given, by field."""
    return {
        row.field: row.read(row.name, given[row.name])
        for row in rows
        if row.name in given and (given[row.name] is not None or row.default is not None)
    }


def _load(script: str, directory: Path) -> Script:
    path = directory / script
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongUse(f"script cannot be read: {path}: {error.strerror}") from None
    if not content:
        raise WrongUse(f"script is empty: {path}")
    return Script(script, content)


# What a test allows a probe, though the declaration would be the first place to look for it.
OF_MARKS = ("max_outage", "min_available")


def refuse_unknown(whose: str, known: Sequence[str], given: Iterable[str]) -> None:
    """Raise WrongUse for the first name that is no argument."""
    for name in given:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
            other = [kind.kind for kind, rows in ROWS.items() if name in [row.name for row in rows]]
            if other and not near:
                hint = f"it is one of background_{other[0]}"
            elif name in OF_MARKS:
                hint = f"it is one of the mark: @pytest.mark.bgcheck(..., {name}=...)"
            raise WrongUse(f"{whose} has no argument {name!r}: {hint}")
