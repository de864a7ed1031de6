"""How long checks took in earlier runs, as pytest's cache keeps it.

Anybody may have written to the cache: what is not as expected is left out. Imports only plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..plan import Durations

CACHE = "bgcheck/durations"

KEPT_RUNS = 3
"""How many durations of a job are kept."""

KEPT_JOBS = 2000
"""How many jobs are remembered: those that ran last. A run of more jobs is remembered whole."""

_LONGEST_KEY = 1000


class Cache(Protocol):
    """What is used here of pytest's cache."""

    def get(self, key: str, default: object) -> object: ...

    def set(self, key: str, value: object) -> None: ...


def read(cache: Cache | None) -> dict[str, list[float]]:
    """Return what pytest's cache (None: there is none) says of earlier runs, oldest first."""
    try:
        known = {} if cache is None else cache.get(CACHE, {})
    except Exception:  # so deep or so large that json gives up
        known = {}
    if not isinstance(known, dict):
        return {}
    found = {}
    for key, past in known.items():
        seconds = _seconds(past) if len(key) <= _LONGEST_KEY else []
        if seconds:
            found[key] = seconds
    return found


def _seconds(past: object) -> list[float]:
    if not isinstance(past, list):
        return []
    return [
        float(s)
        for s in past[-KEPT_RUNS:]
        if isinstance(s, (int, float)) and not isinstance(s, bool) and 0 <= s < _LONGEST_S
    ]


_LONGEST_S = 1e9


def remember(known: Durations, took: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    """Return what is known after a run in which jobs, by their keys, took some seconds."""
    after = {key: list(past) for key, past in known.items()}
    seen = set()
    for key, seconds in took:
        # To the end: the jobs that ran longest ago are forgotten first.
        after[key] = [*after.pop(key, []), seconds][-KEPT_RUNS:]
        seen.add(key)
    most = max(KEPT_JOBS, len(seen))
    return dict(list(after.items())[-most:])


def write(cache: Cache | None, known: Durations) -> None:
    if cache is not None and known:
        cache.set(CACHE, {key: list(past) for key, past in known.items()})
