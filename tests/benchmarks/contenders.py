"""Contenders of a bench, and their turns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .commands import Failed
from .lab import Run
from .record import Record

MANY = 1000


@dataclass(frozen=True)
class Contender:
    """One that is measured: ``run`` does it once. ``rounds`` limits one that takes long."""

    name: str
    run: Callable[[], object]
    rounds: int = MANY


def interleaved(record: Record, bench: str, rounds: int, contenders: Sequence[Contender]) -> None:
    """Let all run in turn, ``rounds`` times, each time another one first.

    One that fails is noted, and has no figure of that round; what it said goes to stderr.
    """
    for number in range(rounds):
        first = number % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            if number < contender.rounds:
                try:
                    contender.run()
                except Failed as error:
                    record.note(bench, f"{contender.name} failed at least once.")
                    print(f"{bench}: {contender.name}: {error}", file=sys.stderr, flush=True)


def timed(
    record: Record, bench: str, case: str, name: str, run: Callable[[], Run], rounds: int = MANY
) -> Contender:
    """Return a contender whose figure is the wall time of its command."""

    def once() -> None:
        record.add(bench, case, name, "wall", "s", run().usage.wall_s)

    return Contender(name, once, rounds)
