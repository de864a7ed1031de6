"""Values as they cross to another process: of the exact builtin types, which is all execnet takes.

What a suite says may be more: an ``IntEnum`` for an exit code, a subclass of str, a name with bytes
that are not UTF-8, a numpy number. Imports nothing of the package.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

_LEAST_INT, _MOST_INT = -(1 << 31), 1 << 63
"""What execnet sends of integers, in few bytes; others go as floats."""


def plain(value: Any) -> Any:
    """Return a value as exact builtin types. Raises TypeError or ValueError where it cannot be.

    In strings, what is not Unicode becomes a backslash and digits, the same wherever it is told.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # str() would call what a subclass says of itself: an enum's member is its value.
        return str.__str__(value).encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, Collection):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return plain(os.fspath(value))
    return _number(value)


def _number(value: Any) -> int | float:
    if hasattr(type(value), "__index__"):
        # The exact type, of a subclass and of a number of another library's.
        number = int.__index__(value) if isinstance(value, int) else int(value.__index__())
        return number if _LEAST_INT <= number < _MOST_INT else float(number)
    if hasattr(type(value), "__float__"):
        return float.__float__(value) if isinstance(value, float) else float(value.__float__())
    raise TypeError(f"{type(value).__name__} cannot be told to another process")
