"""What a test's marks say of the jobs that it awaits. Imports pytest, arguments and readers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from .arguments import Argument, read_given, refuse_unknown
from .errors import WrongUse
from .readers import read_exit_codes, read_order, read_seconds

MARK_ROWS = (
    Argument("rc", "rc", read_exit_codes, "the exit codes accepted for this test; None: any.",
             default="as declared"),
    Argument("timeout", "timeout_s", read_seconds, "seconds that this test waits."),
    Argument("order", "order", read_order, "'keep': leave the test where it is."),
)  # fmt: skip


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
        refuse_unknown("the mark", [row.name for row in MARK_ROWS], mark.kwargs)
        fields = read_given(MARK_ROWS, mark.kwargs)
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
