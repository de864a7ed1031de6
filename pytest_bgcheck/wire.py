"""Values as they cross to another process: of the exact builtin types, which is all execnet takes.

What a suite says may be more: an ``IntEnum`` for an exit code, a subclass of str, a name with bytes
that are not UTF-8, a numpy number. What crosses is made of frozen dataclasses: `plain` makes them
plain, and a `Reader` makes them again, by the annotations of their fields. ``Any`` stands here for
what has no type yet. Imports nothing of the package.
"""

from __future__ import annotations

import enum
import os
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

KindT = TypeVar("KindT")

_LEAST_INT, _MOST_INT = -(1 << 31), 1 << 63
"""What execnet sends of integers, in few bytes; others go as floats."""


def plain(value: Any, surrogates: str = "backslashreplace") -> Any:
    """Return a value as exact builtin types. Raises TypeError or ValueError where it cannot be.

    A dataclass becomes its name and a dict of its fields. In strings, what is not Unicode becomes a
    backslash and digits, the same wherever it is told; ``surrogatepass`` leaves it as it is, for
    what is not execnet.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # str() would call what a subclass says of itself: an enum's member is its value.
        return str.__str__(value).encode("utf-8", surrogates).decode("utf-8", "surrogatepass")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping):
        return {plain(key, surrogates): plain(item, surrogates) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(item, surrogates) for item in value)
    if isinstance(value, Collection):
        return [plain(item, surrogates) for item in value]
    if isinstance(value, os.PathLike):
        return plain(os.fspath(value), surrogates)
    if is_dataclass(value):
        given = vars(value).items()
        return type(value).__name__, {name: plain(field, surrogates) for name, field in given}
    return _number(value)


def _number(value: Any) -> int | float:
    if hasattr(type(value), "__index__"):
        # The exact type, of a subclass and of a number of another library's.
        number = int.__index__(value) if isinstance(value, int) else int(value.__index__())
        return number if _LEAST_INT <= number < _MOST_INT else float(number)
    if hasattr(type(value), "__float__"):
        return float.__float__(value) if isinstance(value, float) else float(value.__float__())
    raise TypeError(f"{type(value).__name__} cannot be sent to another process")


class Reader(Generic[KindT]):
    """Makes values of a kind again from what `plain` made of them.

    ``kind`` is a dataclass or a union of some. Their fields hold builtin values, enums and such
    dataclasses, tuples and mappings of them, and unions of builtin values and dataclasses. Raises
    TypeError for any other field: here, and not when the first value is read.
    """

    def __init__(self, kind: object) -> None:
        self._read = _reader(kind)

    def read(self, plain: object) -> KindT:
        """Return the value. Raises TypeError, ValueError or LookupError where it is another."""
        return cast(KindT, self._read(plain))


_Read = Callable[[Any], object]

_BUILTIN: tuple[type, ...] = (str, bytes, bool, int, float, types.NoneType)


def _reader(kind: Any) -> _Read:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union_reader(args)
    if is_dataclass(kind):
        return _union_reader((kind,))
    if origin is tuple and args[1:] == (...,):
        item = _reader(args[0])
        return lambda value: tuple(map(item, _exactly(value, tuple, list)))
    if origin is Mapping:
        key, item = map(_reader, args)
        return lambda value: {key(k): item(v) for k, v in _exactly(value, dict).items()}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind
    if kind in (int, float):  # `plain` may have made a float of an integer
        return lambda value: kind(_exactly(value, kind, int, float))
    if kind in _BUILTIN:
        return lambda value: _exactly(value, kind)
    raise TypeError(f"a field of the type {kind} cannot be sent to another process")


def _union_reader(kinds: Collection[Any]) -> _Read:
    """Return the reader of one of these kinds: dataclasses by their names, others by their type."""
    by_type = {kind: _reader(kind) for kind in kinds if kind in _BUILTIN}
    by_name = {kind.__name__: _fields_reader(kind) for kind in kinds if kind not in _BUILTIN}
    for number, other in ((int, float), (float, int)):
        if number in by_type:
            by_type.setdefault(other, by_type[number])

    def read(value: Any) -> object:
        if type(value) is tuple:
            name, given = value
            return by_name[name](given)
        return by_type[type(value)](value)

    return read


def _fields_reader(kind: Any) -> _Read:
    # Not by the class's own names: `Output` has a method `bytes`.
    hints = get_type_hints(kind, localns={})
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    return lambda given: kind(**{k: readers[k](v) for k, v in _exactly(given, dict).items()})


def _exactly(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise TypeError(f"{type(value).__name__} came where {kinds[0].__name__} belongs")
    return value
