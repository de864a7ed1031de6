"""The arguments of declarations and marks, turned into frozen values once.

A message says which of them was wrong. May import pytest, model and errors.
"""

from __future__ import annotations

import datetime
import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .errors import WrongUse

if TYPE_CHECKING:
    from .model import Check, Script

UNAWAITED = ("warn", "fail", "ignore")
"""What a job can make of the run that nobody judged; the default first."""

LONGEST_S = 10 * 86400.0
"""The supervisor counts centiseconds modulo 11.5 days."""

ARGUMENTS = (
    "script", "args", "timeout", "rc", "retry_every", "grace", "host", "sudo", "sudo_user", "env",
    "cwd", "output_limit", "unawaited",
)  # fmt: skip
"""The arguments of a check beside its command, as ``background_check`` and ``start`` take them."""


def make_check(
    name: object, command: object, given: Mapping[str, Any], *, timeout_s: float, directory: Path
) -> Check:
    """Make a check of a declaration's arguments, or raise WrongUse that names the wrong one.

    Arguments that are None count as not given. ``timeout_s`` is the default; a relative ``script``
    lies in ``directory``.
    """
    if not isinstance(name, str) or not name or not name.isprintable():
        raise WrongUse(f"name must be a non-empty string of printable characters, not {name!r}")
    script = given.get("script")
    if (command is None) == (script is None):
        raise WrongUse("exactly one of command and script must be given, "
                       + ("not both" if script is not None else "got none"))  # fmt: skip
    if script is None and given.get("args") is not None:
        raise WrongUse("args go with script; a command has its arguments in it")
    file = None
    if script is not None:
        file = _script(script, directory)
        argv = _words("args", given.get("args") or (), least=0)
        shown = shlex.join([os.fspath(script), *argv])
    elif isinstance(command, str):
        argv = ("/bin/sh", "-c", _text("command", command))
        shown = command
    else:
        argv = _words("command", command, least=1)
        shown = shlex.join(argv)
    sudo, sudo_user = _sudo(given)
    from .model import Check  # not by those who only read the options

    return Check(
        name=name,
        argv=argv,
        command=shown,
        script=file,
        timeout_s=_seconds("timeout", given, timeout_s, above=0),
        rc=exit_codes("rc", given["rc"]) if given.get("rc") is not None else frozenset({0}),
        retry_every_s=_optional_seconds("retry_every", given),
        grace_s=_seconds("grace", given, 5.0, above=None),
        host=_optional_text("host", given),
        sudo=sudo,
        sudo_user=sudo_user,
        env=_env(given.get("env")),
        cwd=_cwd(given.get("cwd")),
        output_limit=_limit(given.get("output_limit")),
        unawaited=_unawaited(given.get("unawaited")),
    )


def exit_codes(argument: str, value: object) -> frozenset[int]:
    """Return accepted exit codes, given as one or as several."""
    codes = (
        value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else [value]
    )
    result = set()
    for code in codes:
        if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code <= 255:
            raise WrongUse(
                f"{argument} must be an exit code from 0 to 255 or several, not {value!r}"
            )
        result.add(code)
    if not result:
        raise WrongUse(f"{argument} must have at least one exit code, got {value!r}")
    return frozenset(result)


def duration(argument: str, value: object, *, above: float | None = 0) -> float:
    """Return seconds, given as a number or a timedelta; more than ``above``, or from 0 if None."""
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise WrongUse(f"{argument} must be a number of seconds or a timedelta, not {value!r}")
    if value < 0 or (above is not None and value <= above):
        floor = "0 or more" if above is None else f"more than {above:g}"
        raise WrongUse(f"{argument} must be {floor} seconds, not {value!r}")
    if value > LONGEST_S:
        raise WrongUse(f"{argument} must be at most {LONGEST_S:g} seconds (10 days), not {value!r}")
    return max(float(value), 0.01) if above is not None else float(value)


def _seconds(argument: str, given: Mapping[str, Any], default: float, above: float | None) -> float:
    value = given.get(argument)
    return default if value is None else duration(argument, value, above=above)


def _optional_seconds(argument: str, given: Mapping[str, Any]) -> float | None:
    return None if given.get(argument) is None else duration(argument, given[argument])


def _text(argument: str, value: object) -> str:
    if not isinstance(value, str):
        raise WrongUse(f"{argument} must be a string, not {value!r}")
    if not value.strip() or "\0" in value:
        raise WrongUse(f"{argument} must be neither empty nor hold a NUL, got {value!r}")
    return _encodable(argument, value)


def _encodable(argument: str, value: str) -> str:
    """Return a text that has bytes: those of undecodable file names are surrogates, others not."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # The value may be a secret, and the error holds it.
        raise WrongUse(f"{argument} holds characters that cannot be encoded") from None
    return value


def _optional_text(argument: str, given: Mapping[str, Any]) -> str | None:
    return None if given.get(argument) is None else _text(argument, given[argument])


def _cwd(value: object) -> str | None:
    return None if value is None else _text("cwd", _plain(value))


def _plain(value: object) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _words(argument: str, value: object, least: int) -> tuple[str, ...]:
    wanted = (
        "a string or a sequence of strings" if argument == "command" else "a sequence of strings"
    )
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise WrongUse(f"{argument} must be {wanted}, not {value!r}")
    words = [_plain(word) for word in value]
    for word in words:
        if not isinstance(word, str) or "\0" in word:
            raise WrongUse(f"{argument} must be {wanted} without NUL, got {word!r} in it")
        _encodable(argument, word)
    if len(words) < least or (least and not words[0]):
        raise WrongUse(f"{argument} must name a program, got {value!r}")
    return tuple(words)


def _script(value: object, directory: Path) -> Script:
    if not isinstance(value, (str, os.PathLike)):
        raise WrongUse(f"script must be the path of a local file, not {value!r}")
    path = directory / os.fspath(value)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongUse(f"script cannot be read: {path}: {error.strerror}") from None
    if not content:
        raise WrongUse(f"script is empty: {path}")
    from .model import Script

    return Script(os.fspath(value), content)


def _sudo(given: Mapping[str, Any]) -> tuple[bool | None, str | None]:
    sudo, user = given.get("sudo"), _optional_text("sudo_user", given)
    if sudo is not None and not isinstance(sudo, bool):
        raise WrongUse(f"sudo must be True or False, not {sudo!r}")
    if user is not None and sudo is False:
        raise WrongUse(f"sudo_user={user!r} contradicts sudo=False")
    return (True if user is not None else sudo), user


def _env(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise WrongUse(f"env must be a mapping of names to values, not a {type(value).__name__}")
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise WrongUse(f"env must have names of letters, digits and underscores, got {name!r}")
        if name == "PYTEST_BGCHECK_JOB":
            raise WrongUse(f"env must not set {name}: it marks the check's processes")
        # The value may be a secret: it is not shown.
        if not isinstance(text, str) or "\0" in text:
            raise WrongUse(f"env[{name!r}] must be a string without NUL")
        _encodable(f"env[{name!r}]", text)
    return tuple(sorted(value.items()))


def _limit(value: object) -> int:
    if value is None:
        return 1 << 20
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise WrongUse(f"output_limit must be a positive number of bytes, not {value!r}")
    return value


def _unawaited(value: object) -> str | None:
    if value is not None and value not in UNAWAITED:
        raise WrongUse(f"unawaited must be one of {', '.join(UNAWAITED)}, not {value!r}")
    return None if value is None else str(value)


# --- marks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Awaited:
    """What a test's mark says of one check. ``rc`` None: as declared; empty: any."""

    rc: frozenset[int] | None = None
    timeout_s: float | None = None


def read_marks(marks: Iterable[pytest.Mark], requested: Iterable[str]) -> dict[str, Awaited]:
    """Return the checks that a test awaits, by name, in the order of its marks from the outside in.

    ``marks`` come nearest first; the nearest mark of a check decides. A mark without names stands
    for all ``requested`` checks. Raises WrongUse.
    """
    result: dict[str, Awaited] = {}
    for mark in reversed(list(marks)):
        for name in mark.args:
            if not isinstance(name, str) or not name:
                raise WrongUse(f"a mark's arguments are names of checks, not {name!r}")
        unknown = set(mark.kwargs) - {"rc", "timeout"}
        if unknown:
            raise WrongUse(f"the mark takes rc and timeout, not {', '.join(sorted(unknown))}")
        rc: frozenset[int] | None = None
        if "rc" in mark.kwargs:
            given = mark.kwargs["rc"]
            rc = frozenset() if given is None else exit_codes("rc", given)
        timeout = mark.kwargs.get("timeout")
        awaited = Awaited(rc, None if timeout is None else duration("timeout", timeout))
        for name in mark.args or requested:
            result[name] = awaited
    return result
