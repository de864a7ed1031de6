"""What a test's marks say of the jobs that it awaits. Imports arguments, readers and tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pytest

from .arguments import Argument, read_given, refuse_unknown
from .errors import WrongUse
from .readers import read_exit_codes, read_order, read_percent, read_seconds, read_seconds_or_0
from .tasks import Service, Task
from .windows import Limits

MARK_ROWS = (
    Argument("rc", "rc", read_exit_codes,
             "the exit codes of checks that are accepted for this test; None: any.",
             default="as declared"),
    Argument("timeout", "timeout_s", read_seconds, "seconds that this test waits."),
    Argument("max_outage", "max_outage_s", read_seconds_or_0,
             "seconds: the longest outage that a probe may see during the test."),
    Argument("min_available", "min_available", read_percent,
             "percent of the test's time in which a probe has to see no outage."),
    Argument("order", "order", read_order, "'keep': leave the test where it is."),
)  # fmt: skip


@dataclass(frozen=True)
class Awaited:
    """What a test's mark says of one job. ``rc`` None: as declared; it is of checks only.
    ``max_outage_s`` and ``min_available`` are of probes only, see `pytest_bgcheck.windows.Limits`.
    """

    rc: frozenset[int] | None = None
    timeout_s: float | None = None
    max_outage_s: float | None = None
    min_available: float | None = None

    @property
    def limits(self) -> Limits:
        """What it allows a probe to see."""
        return Limits(self.max_outage_s, self.min_available)


def read_marks(
    marks: Iterable[pytest.Mark],
    requested: Mapping[str, Task],
    find: Callable[[str], Task | None] = lambda name: None,
) -> dict[str, Awaited]:
    """Return what a test awaits, by name, in the order of its marks from the outside in.

    ``marks`` come nearest first; the nearest mark of a name decides. A mark without names stands
    for all that is ``requested``, but one with nothing but ``order`` for none. ``find`` returns
    what is declared under a name, None if it is not known yet. Raises WrongUse.
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
                raise WrongUse(
                    f"the mark's arguments must be names of checks or services, not {name!r}{hint}"
                )
        refuse_unknown("the mark", [row.name for row in MARK_ROWS], mark.kwargs)
        fields = read_given(MARK_ROWS, mark.kwargs)
        fields.pop("order", None)
        if not awaits(mark):
            continue
        awaited = Awaited(**fields)
        for name in mark.args:
            check_mark(find(name), awaited)
            result[name] = awaited
        if not mark.args:
            for name, task in requested.items():
                of_service = isinstance(task, Service)
                result[name] = replace(awaited, rc=None) if of_service else awaited
    return result


def check_mark(task: Task | None, awaited: Awaited) -> None:
    """Raise WrongUse if a mark that names a job says what there is not of its kind."""
    if awaited.rc is not None and isinstance(task, Service):
        raise WrongUse(
            f"rc is what a check ends with; {task.name!r} is a service: give it a mark without rc"
        )


def awaits(mark: pytest.Mark) -> bool:
    """Return whether a mark awaits jobs: not if it says of the order, and nothing else."""
    return bool(mark.args) or mark.kwargs.keys() != {"order"}
