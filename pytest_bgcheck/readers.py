"""What turns an argument's value into a validated one, or says what is wrong with it.

A message names the argument, what it must be, what was given with its type, and, where one can
tell, what to write. Each takes the argument's name and its value, and raises WrongUse. Imports
errors, model and options.
"""

from __future__ import annotations

import datetime
import inspect
import math
import os
import re
import reprlib
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from .errors import WrongUse
from .options import LONGEST_S, UNAWAITED
from .tasks import ANY_RC


def read_exit_codes(argument: str, value: object) -> frozenset[int]:
    """Return accepted exit codes, given as one or as several, or as None for any."""
    if value is None:
        return ANY_RC
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    result = set()
    for code in value if several else [value]:  # type: ignore[attr-defined]
        if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code <= 255:
            raise WrongUse(
                f"{argument} must be one or more exit codes from 0 to 255, or None for any,"
                f" not {_given(code)}{_to_write(code, int)}"
            )
        result.add(code)
    if not result:
        raise WrongUse(
            f"{argument} must have at least one exit code, not {value!r}: None accepts any"
        )
    return frozenset(result)


def read_seconds(argument: str, value: object, *, zero: bool = False) -> float:
    """Return seconds, given as a number or a timedelta: more than 0, or also 0 if ``zero``."""
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise WrongUse(
            f"{argument} must be a number of seconds or a timedelta,"
            f" not {_given(value)}{_to_write(value, float)}"
        )
    if value < 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise WrongUse(f"{argument} must be {least} seconds, not {value!r}")
    if value > LONGEST_S:
        raise WrongUse(f"{argument} must be at most {LONGEST_S:g} seconds (10 days), not {value!r}")
    return float(value) if zero else max(float(value), 0.01)


def read_seconds_or_0(argument: str, value: object) -> float:
    return read_seconds(argument, value, zero=True)


def read_text(argument: str, value: object) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str):
        raise WrongUse(f"{argument} must be a string, not {_given(value)}")
    if not value.strip() or "\0" in value:
        raise WrongUse(f"{argument} must not be empty or contain a NUL, got {_given(value)}")
    return _encodable(argument, value)


def read_host(argument: str, value: object) -> str | tuple[str, ...]:
    """Return a hostspec; or several, each once, if a sequence was given.

    A set is refused: its order would be another in each worker.
    """
    if isinstance(value, str):
        return read_text(argument, value)
    if isinstance(value, bytes) or not isinstance(value, Sequence):
        raise WrongUse(
            f"{argument} must be a hostspec or a sequence of hostspecs, not {_given(value)}"
        )
    if not value:
        raise WrongUse(f"{argument} must name at least one host, got {value!r}")
    return tuple(dict.fromkeys(read_text(f"{argument}[{i}]", spec) for i, spec in enumerate(value)))


def read_pattern(argument: str, value: object) -> str:
    """Return an extended regular expression of POSIX, for one line."""
    pattern = read_text(argument, value)
    if "\n" in pattern:
        raise WrongUse(f"{argument} must be of one line, for it is compared with single lines")
    foreign = re.search(r"(?<!\\)(?:\\\\)*(\\[dD]|\(\?)", pattern)
    if foreign:
        write = "[0-9]" if foreign[1] == r"\d" else "[^0-9]" if foreign[1] == r"\D" else "( )"
        raise WrongUse(
            f"{argument} must be an extended regular expression of POSIX, as of grep -E, in which"
            f" {foreign[1]} has no meaning, not {pattern!r}: write {write}"
        )
    return pattern


def read_fixture_name(argument: str, value: object) -> str:
    if not isinstance(value, str) or not value.isidentifier():
        raise WrongUse(f"{argument} must be the name of a fixture, not {_given(value)}")
    return str.__str__(value)


def read_directory(argument: str, value: object) -> str:
    """Return the path of a directory on the target."""
    path = read_text(argument, _plain(value))
    if path.startswith("~"):
        raise WrongUse(
            f"{argument}={path!r} would be taken literally, for no shell reads it: write the whole"
            " path, or go there in the command, as in 'cd ~/x && ...'"
        )
    return path


def read_local_file(argument: str, value: object) -> str:
    """Return the path of a file here. Whether it can be read is not looked at."""
    if not isinstance(value, (str, os.PathLike)):
        raise WrongUse(f"{argument} must be the path of a local file, not {_given(value)}")
    path = os.fspath(value)
    if path.startswith("~"):
        raise WrongUse(
            f"{argument}={path!r} would be taken literally: write"
            f" {argument}=pathlib.Path({path!r}).expanduser()"
        )
    return path


def read_words(
    argument: str, value: object, wanted: str = "a sequence of strings"
) -> tuple[str, ...]:
    """Return words of a command line; ``wanted`` says what the value may be."""
    if isinstance(value, (str, os.PathLike)):
        write = value.split() if isinstance(value, str) else [os.fspath(value)]
        raise WrongUse(f"{argument} must be {wanted}, not {_given(value)}: write {write!r}")
    if isinstance(value, (bytes, Mapping, Set)) or not isinstance(value, Iterable):
        raise WrongUse(f"{argument} must be {wanted}, not {_given(value)}")
    words = []
    for number, word in enumerate(map(_plain, value)):
        if not isinstance(word, str):
            hint = ": write str(...)" if isinstance(word, (int, float)) else ""
            raise WrongUse(
                f"{argument} must be {wanted}, but {argument}[{number}] is {_given(word)}{hint}"
            )
        if "\0" in word:
            raise WrongUse(f"{argument}[{number}] must not contain a NUL, got {_given(word)}")
        words.append(_encodable(argument, word))
    return tuple(words)


def read_argv(argument: str, value: object) -> tuple[str, ...]:
    """Return a command that is given as a sequence: a program and its arguments."""
    words = read_words(argument, value, "a string or a sequence of strings")
    if not words or not words[0]:
        raise WrongUse(f"{argument} must name a program, got {value!r}")
    return words


def read_command(argument: str, value: object) -> tuple[tuple[str, ...], str]:
    """Return a command's argv, and the command as people read it."""
    if isinstance(value, str):
        return ("/bin/sh", "-c", read_text(argument, value)), value
    argv = read_argv(argument, value)
    return argv, shlex.join(argv)


def read_function(argument: str, value: Callable[..., object]) -> Callable[[Any], object]:
    """Return a function that can be called with one value: testinfra's Host."""
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        raise WrongUse(
            f"{argument} must be a function of one argument, testinfra's Host: {value!r} is not"
        ) from None
    except ValueError:
        pass  # of a builtin nothing is known
    return value


def read_bool(argument: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise WrongUse(f"{argument} must be True or False, not {_given(value)}")
    return value


def read_environment(argument: str, value: object) -> tuple[tuple[str, str], ...]:
    """Return variables, sorted by name. No message shows a value: it may be a secret."""
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise WrongUse(
            f"{argument} must be a mapping of names to strings, not {kind}: write"
            f" {argument}={{'NAME': 'value'}}"
        )
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise WrongUse(
                f"{argument} must have names of letters, digits and underscores, got {_given(name)}"
            )
        if name == "PYTEST_BGCHECK_JOB":
            raise WrongUse(f"{argument} must not set {name}: it marks the job's processes")
        if not isinstance(text, str):
            hint = "leave it out" if text is None else "quote its value, or write str(...)"
            kind = "None" if text is None else type(text).__name__
            raise WrongUse(f"{argument}[{name!r}] must be a string, not {kind}: {hint}")
        if "\0" in text:
            raise WrongUse(f"{argument}[{name!r}] must not contain a NUL")
        _encodable(f"{argument}[{name!r}]", text)
    return tuple(sorted(value.items()))


def read_percent(argument: str, value: object) -> float:
    """Return a percentage: more than 1, at most 100.

    0.99 is meant as a share, and as a percentage it would allow nearly everything.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise WrongUse(
            f"{argument} must be a percentage, not {_given(value)}{_to_write(value, float)}"
        )
    if not 0 < value <= 100:
        raise WrongUse(f"{argument} must be more than 1 and at most 100 percent, not {value!r}")
    if value <= 1:
        raise WrongUse(f"{argument} must be a percentage, not a share: 99.5, not {value!r}")
    return float(value)


def read_size(argument: str, value: object) -> int:
    """Return a number of bytes."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongUse(
            f"{argument} must be a whole number of bytes,"
            f" not {_given(value)}{_to_write(value, int)}"
        )
    if value < 1:
        raise WrongUse(f"{argument} must be a positive number of bytes, not {value!r}")
    return value


def read_unawaited(argument: str, value: object) -> str:
    if value not in UNAWAITED:
        allowed = ", ".join(map(repr, UNAWAITED))
        raise WrongUse(f"{argument} must be one of {allowed}, not {_given(value)}")
    return str(value)


def read_order(argument: str, value: object) -> str:
    if value != "keep":
        raise WrongUse(f"{argument} must be 'keep', not {_given(value)}")
    return "keep"


def _given(value: object) -> str:
    """Return a value with its type, for a message. Of what may be large, only the type."""
    if value is None:
        return "None"
    kind = type(value).__name__
    shown = isinstance(value, (str, bytes, bool, int, float, os.PathLike))
    return f"{kind} {reprlib.repr(_plain(value))}" if shown else kind


def _to_write(value: object, kind: Callable[[Any], float]) -> str:
    """Return what to write where a number was given as a text, or a whole one as a float."""
    if not isinstance(value, (str, float)):
        return ""
    try:
        number = kind(value)
    except (ValueError, OverflowError):
        return ""
    if not math.isfinite(number):
        return ""
    if isinstance(value, str):
        return f": write {value.strip()}"
    return f": write {number}" if number == value else ""


def _encodable(argument: str, value: str) -> str:
    """Return a text that has bytes: those of undecodable file names are surrogates, others not."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # The value may be a secret, and the error holds it.
        raise WrongUse(f"{argument} contains characters that cannot be encoded as UTF-8") from None
    return value


def _plain(value: object) -> object:
    """Return a path as a text, anything else as it is."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value
