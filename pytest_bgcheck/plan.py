"""From selected tests to jobs, and the order of tests. Pure; imports only model.

The host of a job is any hashable value here: the plan only compares it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .model import Check

HostT = TypeVar("HostT", bound=Hashable)


@dataclass(frozen=True)
class Want(Generic[HostT]):
    """A test (by its node id) awaits a check on a host, or only requests its handle."""

    test: str
    check: Check
    host: HostT
    awaits: bool


@dataclass(frozen=True)
class PlannedJob(Generic[HostT]):
    """One run of a check on a host, with the tests that await and that only request it."""

    check: Check
    host: HostT
    awaited_by: tuple[str, ...]
    requested_by: tuple[str, ...]


def jobs(wants: Iterable[Want[HostT]]) -> list[PlannedJob[HostT]]:
    """Return each job once, in the order in which tests first want them."""
    wanted: dict[tuple[Check, HostT], list[Want[HostT]]] = {}
    for want in wants:
        wanted.setdefault((want.check, want.host), []).append(want)

    def tests(of: Iterable[Want[HostT]], awaiting: bool) -> tuple[str, ...]:
        return tuple(dict.fromkeys(want.test for want in of if want.awaits == awaiting))

    return [
        PlannedJob(check, host, awaited_by=tests(of, True), requested_by=tests(of, False))
        for (check, host), of in wanted.items()
    ]


Durations = Mapping[str, Sequence[float]]
"""Seconds that the last runs of a job took, by `duration_key`."""


def duration_key(check: str, host: str) -> str:
    """Return what a job is remembered by, from run to run; ``host``: its label."""
    return f"{check} on {host}"


def past_s(durations: Durations, check: str, host: str) -> float | None:
    """Return what a check took on a host on average, None if it never ran there."""
    past = durations.get(duration_key(check, host))
    return sum(past) / len(past) if past else None


ItemT = TypeVar("ItemT")


def waiting_last(
    items: Sequence[ItemT], expected_s: Callable[[ItemT], float | None]
) -> list[ItemT]:
    """Return the tests that await behind the others, soonest expected first, stably.

    ``expected_s``: when the last job that a test awaits is expected to be ready, None if it awaits
    none. Waiting tests at the end leave the checks the time of all other tests.
    """
    ready = [(expected_s(item), item) for item in items]
    ordinary = [item for seconds, item in ready if seconds is None]
    waiting = [(seconds, item) for seconds, item in ready if seconds is not None]
    return ordinary + [item for _, item in sorted(waiting, key=lambda pair: pair[0])]
