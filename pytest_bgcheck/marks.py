"""What a test's marks say of the jobs that it awaits. Imports arguments, readers, tasks and
windows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pytest

from .arguments import Argument, read_given, refuse_unknown
from .errors import WrongUse
from .readers import read_exit_codes, read_order, read_percent, read_seconds, read_seconds_or_0
from .tasks import Check, Probe, Task
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

OF_ONE_KIND: Mapping[str, tuple[type[Task], str, str]] = {
    "rc": (Check, "rc", "what a check ends with"),
    "max_outage": (Probe, "max_outage_s", "what a probe may see"),
    "min_available": (Probe, "min_available", "what a probe has to see"),
}
"""The arguments that are of one kind of job: that kind, their fields of `Awaited`, and what they
are."""


@dataclass(frozen=True)
class Awaited:
    """What a test's mark says of one job, as far as that is of the job's kind.

    ``rc`` None: as declared; it is of checks only. ``max_outage_s`` and ``min_available`` are of
    probes only, see `pytest_bgcheck.windows.Limits`.
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
    what is declared under a name, None if it is not known yet. An argument of one kind holds for
    the jobs of that kind that a mark stands for; WrongUse is raised if there are none.
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
                    "the mark's arguments must be names of checks, services or probes, not"
                    f" {name!r}{hint}"
                )
        refuse_unknown("the mark", [row.name for row in MARK_ROWS], mark.kwargs)
        fields = read_given(MARK_ROWS, mark.kwargs)
        fields.pop("order", None)
        if not awaits(mark):
            continue
        tasks = {name: find(name) for name in mark.args} or requested
        result |= _by_name(tasks, Awaited(**fields))
    return result


def _by_name(tasks: Mapping[str, Task | None], awaited: Awaited) -> dict[str, Awaited]:
    """Return what a mark says of each job that it stands for. Raises WrongUse.

    A job that is not known yet may be of any kind.
    """
    known = {name: task for name, task in tasks.items() if task is not None}
    result = dict.fromkeys(tasks, awaited)
    for argument, (kind, field, _) in OF_ONE_KIND.items():
        if getattr(awaited, field) is None:
            continue
        if not any(isinstance(task, kind) for task in known.values()):
            if known and len(known) == len(tasks):
                raise WrongUse(_fits_none(argument, known))
            continue
        for name, task in tasks.items():
            # Only a declaration makes a probe, so what is not known yet is none.
            if not isinstance(task, kind) and (task is not None or kind is Probe):
                result[name] = replace(result[name], **{field: None})
    return result


def check_mark(task: Task, awaited: Awaited) -> None:
    """Raise WrongUse if what a mark says of a job, which was not known before, is of none of its
    kind."""
    for argument, (kind, field, _) in OF_ONE_KIND.items():
        if getattr(awaited, field) is not None and not isinstance(task, kind):
            raise WrongUse(_fits_none(argument, {task.name: task}))


def _fits_none(argument: str, tasks: Mapping[str, Task]) -> str:
    """Return the message for an argument that is of none of the jobs that a mark stands for."""
    *others, last = [f"{name!r} is a {task.kind}" for name, task in tasks.items()]
    said = f"{', '.join(others)} and {last}" if others else last
    them = "them" if others else "it"
    return (
        f"{argument} is {OF_ONE_KIND[argument][2]}; {said}: give {them} a mark without {argument}"
    )


def awaits(mark: pytest.Mark) -> bool:
    """Return whether a mark awaits jobs: not if it says of the order, and nothing else."""
    return bool(mark.args) or mark.kwargs.keys() != {"order"}
