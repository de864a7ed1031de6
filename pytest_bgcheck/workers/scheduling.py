"""xdist's ``load`` and ``worksteal``, with the tests that await dealt last, one at a time.

Left to themselves, both hand a worker tests that await while others still have ordinary ones: it
would sit in front of a slow job. Here such a test is dealt only when there is no ordinary test left
that a worker could still be given, soonest ready first. What cannot be had: a worker holds the test
after the one that it runs, so each may have one ordinary test left behind the one that it runs.

One at a time, but for the tests of a class: neighbours of one class go to one worker, in their
order. Dealt in turns they would run at the same time, seldom so in xdist's own larger shares.

The only room that imports xdist; imported by a hook that xdist calls.
"""

from __future__ import annotations

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


def _class_of(test: str) -> str:
    """Return the file and the outermost class of a test, by its node id; "" if it has no class."""
    file, *names = test.partition("[")[0].split("::")
    return f"{file}::{names[0]}" if len(names) > 1 else ""


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
        self._classes: list[str] = []

    def _until_class_ends(self, tests: list[int], count: int) -> int:
        """Return how many of the tests go to a worker: so many, and what is left of their class."""
        while 0 < count < len(tests):
            of_class = self._classes[tests[count - 1]]
            if not of_class or self._classes[tests[count]] != of_class:
                break
            count += 1
        return count

    def schedule(self) -> None:
        if self.collection is not None or not self._waiting:
            super().schedule()  # type: ignore[misc]
        elif self._check_nodes_have_same_collection():  # type: ignore[attr-defined]
            tests = self.collection = next(iter(self.node2collection.values()))
            self.pending[:] = range(len(tests))
            self._await = frozenset(n for n, test in enumerate(tests) if test in self._waiting)
            self._classes = [_class_of(test) for test in tests]
            self._deal()

    @abstractmethod
    def _deal(self) -> None:
        """Deal the first tests of those that are pending."""


class WaitingLast(_KnowsWaiting, LoadScheduling):  # type: ignore[misc]
    """``load``: no worker holds more than the test that runs and the next one, or class."""

    _left = 0

    def _deal(self) -> None:
        self.maxschedchunk = 1
        for _ in range(LEAST):
            for node in self.nodes:
                if len(self.node2pending[node]) < LEAST:
                    self._send_tests(node, 1)
        if not self.pending:
            for node in self.nodes:
                node.shutdown()

    def _send_tests(self, node: Any, num: int) -> None:
        if self._await:
            if len(self.pending) > self._left:  # all of them, or a crashed worker's came back
                self.pending.sort()  # those that await are the last of the collection
            num = self._until_class_ends(self.pending, num)
        super()._send_tests(node, num)
        self._left = len(self.pending)


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
        if not self._await:
            super().check_schedule()
            return
        self._held = sorted({*self._held, *self._await.intersection(self.pending)})
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
                count = self._until_class_ends(self._held, 1)
                self.pending[:0] = self._held[:count]
                del self._held[:count]
                self._send_tests(node, count)
            if len(up[node]) < LEAST:
                node.shutdown()  # nothing is left for it

    def _steal(self, up: dict[Any, list[int]]) -> bool:
        """Ask the worker with most ordinary tests for half of them; return whether there is one."""
        if self.steal_requested_from_node is not None:
            return True
        # Not of those that await: they are a class, which is to stay together.
        robbed = {n: tests for n, tests in up.items() if not self._await.intersection(tests)}
        node, tests = max(robbed.items(), key=lambda item: len(item[1]), default=(None, []))
        count = min(len(tests) // 2, len(tests) - LEAST)
        if node is None or count < 1:
            return False
        node.send_steal(tests[-count:])
        self.steal_requested_from_node = node
        return True
