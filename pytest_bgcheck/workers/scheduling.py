"""xdist's ``load`` and ``worksteal``, with the tests that await dealt last, one at a time.

Left to themselves, both hand a worker tests that await while others still have ordinary ones: it
would sit in front of a slow job. Here such a test is dealt only when there is no ordinary test left
that a worker could still be given, soonest ready first. What cannot be had: a worker holds the test
after the one that it runs, so each may have one ordinary test left behind the one that it runs.

The only room that imports xdist; imported by a hook that xdist calls.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling, WorkStealingScheduling

LEAST = 2
"""A worker starts a test only when it knows the next one."""


def scheduler(config: pytest.Config, log: Any, waiting: Collection[str]) -> Any:
    """Return a scheduler for ``--dist load`` and ``worksteal``, None for the other modes.

    ``waiting`` holds the node ids of the tests that are to run last, once a worker has collected.
    """
    kinds: dict[str, Any] = {"load": WaitingLast, "worksteal": WaitingLastStealing}
    kind = kinds.get(config.getoption("dist"))
    return None if kind is None else kind(config, log, waiting)


class _KnowsWaiting(ABC):
    """What both have in common: `_await` holds the tests that await, by their place in the
    collection, from the first dealing on. Where there are none, all is left to xdist."""

    collection: list[str] | None
    node2collection: dict[Any, list[str]]
    pending: list[int]

    def __init__(self, config: pytest.Config, log: Any, waiting: Collection[str]) -> None:
        super().__init__(config, log)  # type: ignore[call-arg]
        self._waiting = waiting
        self._await: frozenset[int] = frozenset()

    def schedule(self) -> None:
        if self.collection is not None or not self._waiting:
            super().schedule()  # type: ignore[misc]
        elif self._check_nodes_have_same_collection():  # type: ignore[attr-defined]
            tests = self.collection = next(iter(self.node2collection.values()))
            self.pending[:] = range(len(tests))
            self._await = frozenset(n for n, test in enumerate(tests) if test in self._waiting)
            self._deal()

    @abstractmethod
    def _deal(self) -> None:
        """Deal the first tests of those that are pending."""


class WaitingLast(_KnowsWaiting, LoadScheduling):  # type: ignore[misc]
    """``load``: no worker holds more than the test that runs and the next one."""

    def _deal(self) -> None:
        self.maxschedchunk = 1
        for _ in range(LEAST):
            for node in self.nodes:
                self._send_tests(node, 1)
        if not self.pending:
            for node in self.nodes:
                node.shutdown()

    def _send_tests(self, node: Any, num: int) -> None:
        # A crashed worker's tests come back at the end of those that are pending.
        ordinary = (n for n in self.pending if n not in self._await)
        waiting = (n for n in self.pending if n in self._await)
        tests = list(itertools.islice(itertools.chain(ordinary, waiting), num))
        if tests:
            self.pending[:] = [n for n in self.pending if n not in tests]
            self.node2pending[node].extend(tests)
            node.send_runtest_some(tests)


class WaitingLastStealing(_KnowsWaiting, WorkStealingScheduling):  # type: ignore[misc]
    """``worksteal``: ordinary tests are dealt and stolen as usual; those that await are held back
    until there is nothing left to steal."""

    def __init__(self, config: pytest.Config, log: Any, waiting: Collection[str]) -> None:
        super().__init__(config, log, waiting)
        self.steal_requested_from_node: Any
        self._held: list[int] = []

    @property
    def tests_finished(self) -> bool:
        return not self._held and super().tests_finished

    @property
    def has_pending(self) -> bool:
        return bool(self._held) or super().has_pending

    def _deal(self) -> None:
        self.check_schedule()

    def check_schedule(self) -> None:
        held = sorted({*self._held, *self._await.intersection(self.pending)})
        if not held:
            super().check_schedule()
            return
        self._held = held
        self.pending[:] = [n for n in self.pending if n not in self._await]
        up = {node: tests for node, tests in self.node2pending.items() if not node.shutting_down}
        idle = [node for node, tests in up.items() if len(tests) < LEAST]
        # Not to a worker that has come to those that await: it would keep them from the others.
        free = [node for node in idle if not self._await.intersection(up[node])]
        takers = free or idle
        for n, node in enumerate(takers):
            self._send_tests(node, len(self.pending) // (len(takers) - n))
        if free and self._steal(up):
            idle = [node for node in idle if node not in free]
        for node in idle:
            while self._held and len(up[node]) < LEAST:
                self.pending.insert(0, self._held.pop(0))
                self._send_tests(node, 1)
        if not self._held:
            super().check_schedule()

    def _steal(self, up: dict[Any, list[int]]) -> bool:
        """Ask the worker with most tests for half of them; return whether there was one to ask."""
        if self.steal_requested_from_node is not None:
            return True
        node, tests = max(up.items(), key=lambda item: len(item[1]))
        count = min(len(tests) // 2, len(tests) - LEAST)
        if count < 1:
            return False
        node.send_steal(tests[-count:])
        self.steal_requested_from_node = node
        return True
