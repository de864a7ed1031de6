"""The arguments of declarations and marks: a row each, and the frozen values that they become.

An argument of a check that only Python knows is a type in `CheckArguments`, a row in `CHECK_ROWS`
and a field of `model.Check`, whose default is the argument's. What any kind of job would take is a
type in `JobArguments` and a row in `JOB_ROWS`. May import pytest, model, readers and errors.
"""

from __future__ import annotations

import datetime
import functools
import inspect
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ForwardRef, TypeAlias, TypedDict, TypeVar

import pytest

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
    read_order,
    read_seconds,
    read_seconds_or_0,
    read_size,
    read_text,
    read_unawaited,
    read_words,
)
from .tasks import ANY_RC, Check, CommandFunction, Script


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
    after: str | None
    unawaited: str | None


JOB_ROWS = (
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
    Argument("after", "after", read_fixture_name,
             "the name of a fixture: start when that has first been set up in the run;\n"
             "default: before the first test."),
    *JOB_ROWS,
    Argument("unawaited", "unawaited", read_unawaited,
             '``"ignore"``, ``"warn"`` or ``"fail"``: what becomes of the run if no test\n'
             "judged it; default: as the option ``--bgcheck-unawaited`` says."),
)  # fmt: skip

MARK_ROWS = (
    Argument("rc", "rc", read_exit_codes, "the exit codes accepted for this test; None: any.",
             default="as declared"),
    Argument("timeout", "timeout_s", read_seconds, "seconds that this test waits."),
    Argument("order", "order", read_order, "'keep': leave the test where it is."),
)  # fmt: skip


# --- declarations ---------------------------------------------------------------------------------


def make_check(
    name: object,
    command: object,
    given: Mapping[str, object],
    *,
    host: object = None,
    timeout_s: float,
    directory: Path,
    root: Path = Path(),
) -> Check:
    """Make a check of a declaration's arguments, or raise WrongUse that names the wrong one.

    ``timeout_s`` is the default; a relative ``script`` lies in ``directory``. ``root``: the suite's
    directory, from which the place of a function is told.
    """
    if not isinstance(name, str) or not name or not name.isprintable():
        raise WrongUse(f"name must be a non-empty string of printable characters, not {name!r}")
    _refuse_unknown(
        "a check", ["command", "name", "host", *(row.name for row in CHECK_ROWS)], given
    )
    script = given.get("script")
    if (command is None) == (script is None):
        raise WrongUse("exactly one of command and script must be given, "
                       + ("not both" if script is not None else "and none was"))  # fmt: skip
    if script is None and given.get("args") is not None:
        raise WrongUse("args go with script; put the arguments of a command into the command")
    fields = {"timeout_s": timeout_s, **_read(CHECK_ROWS, given)}
    if "retry_every_s" in fields and fields.get("rc") == ANY_RC:
        raise WrongUse("retry_every contradicts rc=None: the first attempt would be accepted")
    if script is not None:
        path, argv = fields["script"], fields.get("argv", ())
        fields["script"] = _load(path, directory)
        fields |= {"argv": argv, "command": shlex.join([path, *argv])}
    elif callable(command) and not isinstance(command, type):
        function = read_function("command", command)
        made = CommandFunction(function, place_of(function, root))
        fields |= {"argv": (), "command": repr(made), "make_command": made}
    else:
        argv, shown = read_command("command", command)
        fields |= {"argv": argv, "command": shown}
    if "sudo_user" in fields:
        if fields.get("sudo") is False:
            raise WrongUse(f"sudo_user={fields['sudo_user']!r} contradicts sudo=False")
        fields["sudo"] = True
    if host is not None:
        fields["host"] = read_host("host", host)
    return Check(name=name, **fields)


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


def _read(rows: Iterable[Argument], given: Mapping[str, object]) -> dict[str, Any]:
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


# --- signatures -----------------------------------------------------------------------------------

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def show_arguments(rows: Sequence[Argument], types: type) -> Callable[[FunctionT], FunctionT]:
    """Let ``help()`` and ``inspect.signature`` show the rows in place of ``**arguments``.

    A type checker reads the same from ``**arguments: Unpack[...]``, of which nothing is left when
    the program runs: on Python 3.10, ``Unpack`` comes with a package that we do not need otherwise.
    The types stay texts, as all annotations are here: to evaluate them takes time at each start.
    """
    hints: dict[str, ForwardRef] = types.__annotations__

    def show(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.name not in ("surplus", "arguments")]
        shown = [
            inspect.Parameter(
                row.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=row.default,
                annotation=hints[row.name].__forward_arg__,
            )
            for row in rows
        ]
        vars(function)["__signature__"] = signature.replace(parameters=[*own, *shown])
        annotations = {**function.__annotations__, **hints}
        for name in ("surplus", "arguments"):
            annotations.pop(name, None)
        function.__annotations__ = annotations
        if function.__doc__:  # not with python -OO
            docs = [f":param {row.name}: {row.doc}".replace("\n", "\n    ") for row in rows]
            function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__), *docs])
        return function

    return show


def _refuse_unknown(whose: str, known: Sequence[str], given: Iterable[str]) -> None:
    """Raise WrongUse for the first name that is no argument."""
    for name in given:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
            raise WrongUse(f"{whose} has no argument {name!r}: {hint}")


# --- marks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Awaited:
    """What a test's mark says of one check. ``rc`` None: as declared."""

    rc: frozenset[int] | None = None
    timeout_s: float | None = None


def read_marks(marks: Iterable[pytest.Mark], requested: Iterable[str]) -> dict[str, Awaited]:
    """Return the checks that a test awaits, by name, in the order of its marks from the outside in.

    ``marks`` come nearest first; the nearest mark of a check decides. A mark without names stands
    for all ``requested`` checks, but one with nothing but ``order`` for none. Raises WrongUse.
    """
    result: dict[str, Awaited] = {}
    for mark in reversed(list(marks)):
        for name in mark.args:
            if not isinstance(name, str) or not name.isidentifier():
                names = name
                if isinstance(name, str):
                    names = [word for word in re.split(r"[\s,]+", name) if word.isidentifier()]
                hint = ""
                if isinstance(names, (list, tuple, set)) and names:
                    hint = f": write mark.bgcheck({', '.join(map(repr, names))})"
                raise WrongUse(f"the mark's arguments must be names of checks, not {name!r}{hint}")
        _refuse_unknown("the mark", [row.name for row in MARK_ROWS], mark.kwargs)
        fields = _read(MARK_ROWS, mark.kwargs)
        fields.pop("order", None)
        if not awaits(mark):
            continue
        awaited = Awaited(**fields)
        for name in mark.args or requested:
            result[name] = awaited
    return result


def awaits(mark: pytest.Mark) -> bool:
    """Return whether a mark awaits checks: not if it says of the order, and nothing else."""
    return bool(mark.args) or mark.kwargs.keys() != {"order"}
