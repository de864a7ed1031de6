"""What a suite declares and wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..target.job import Job, JobsOnHosts
    from .declaration import Declaration

DECLARED_JOB: pytest.StashKey[Callable[[Declaration, str, object], Job | JobsOnHosts]] = (
    pytest.StashKey()
)
"""On the config: what a declared fixture calls with its declaration, its name and its host."""


def nodes_of(items: Iterable[pytest.Item]) -> Iterator[Any]:
    """Yield each item and what it is in, each once: to look at a module once for each of its tests
    takes long."""
    seen: set[int] = set()
    for item in items:
        for node in item.listchain():
            if id(node) not in seen:
                seen.add(id(node))
                yield node
