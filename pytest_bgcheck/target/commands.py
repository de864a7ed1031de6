"""Has the commands made that functions of the suite make of testinfra's Host, when jobs start.

A function may ask its host, and testinfra's calls know no time limit. So it is called in a thread
of its own, which is left behind when its time is over, or the run's.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import WrongUse
from ..model import Result, State
from ..originals import threading
from .records import Record, Records, Target, log_internal_error
from .requests import Spec

MAKING_S = 60.0
"""How long a function may take."""


def make_commands(
    records: Records, target: Target, jobs: Sequence[Record]
) -> tuple[list[Record], list[Record]]:
    """Have the commands of some jobs made, one after the other.

    Returns those that can be started now, and those that another process has started meanwhile. The
    others are not started, and say why; or the run is ending.
    """
    made: list[Record] = []
    attached: list[Record] = []
    for job in jobs:
        if records.attach(job):
            attached.append(job)
        elif spec := _made(records, target, job):
            with records.changed:
                job.spec = spec
            made.append(job)
    return made, attached


def _made(records: Records, target: Target, job: Record) -> Spec | None:
    """Return a job's Spec with its command; None, once it is settled or the run is ending."""
    outcome: list[Spec | WrongUse] = []

    def call() -> None:
        try:
            said: Spec | WrongUse = target.with_command(job.spec)
        except WrongUse as error:
            said = error
        except BaseException as error:  # else the wait below would be in vain
            unexpected = log_internal_error(target, error)
            said = WrongUse(f"{job.spec.task.command}: {unexpected}")
        with records.changed:
            outcome.append(said)
            records.changed.notify_all()

    try:
        threading.Thread(target=call, name=f"bgcheck {job.name}", daemon=True).start()
    except RuntimeError as error:  # no more threads
        outcome.append(WrongUse(str(error)))
    records.pause(MAKING_S, lambda: bool(outcome))
    if records.closing:
        return None
    late = WrongUse(f"{job.spec.task.command} has not returned after {MAKING_S:.0f} s")
    said = outcome[0] if outcome else late
    if isinstance(said, Spec):
        return said
    records.settle(job, Result(State.NOT_STARTED, detail=str(said)))
    return None
