"""When no worker can set up any more what jobs are held back for (``after=``).

A worker that waits for such jobs and for nothing else sets nothing up, nor does one that has no
test left. Once all workers are in one of these two, the jobs that they wait for are never started.
That is proof, not a guess by time: each worker's messages arrive in their order, and a worker that
would leave its wait for another reason asks first (`pytest_bgcheck.run.start_points`).

Pure; knows no xdist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from ..events import StartPointReached
from ..run.messages import GoesOn, WaitsForStartPoint


class HeldBack:
    """What the workers have said of jobs that are held back. Its caller has a lock.

    ``reached``: the fixtures that were set up. ``never_started``: why, by the jobs' keys.
    """

    def __init__(self, why: Callable[[str, str], str]) -> None:
        """``why``: why a job is never started, by its key and the test that awaits it."""
        self.reached: set[str] = set()
        self.never_started: dict[str, str] = {}
        self._why = why
        self._waits: dict[str, dict[int, WaitsForStartPoint]] = {}

    @property
    def is_awaited(self) -> bool:
        return any(self._waits.values())

    def note_reached(self, message: StartPointReached) -> bool:
        """Note that a fixture was set up; return whether that is new."""
        new = message.fixture not in self.reached
        self.reached.add(message.fixture)
        return new

    def note_wait(self, worker: str, message: WaitsForStartPoint) -> None:
        self._waits.setdefault(worker, {})[message.number] = message

    def note_end_of_wait(self, worker: str, message: GoesOn) -> None:
        self._waits.get(worker, {}).pop(message.number, None)

    def forget(self, worker: str) -> None:
        """A worker is gone."""
        self._waits.pop(worker, None)

    def never_started_now(self, workers: Collection[str]) -> dict[str, str]:
        """Return the jobs that are never started, by key, and why: none while one of these workers,
        which have tests left, could set a fixture up."""
        stuck = [list(self._stuck(worker)) for worker in workers]
        if not all(stuck):
            return {}
        details = {
            key: self._why(key, wait.test) for waits in stuck for wait in waits for key in wait.jobs
        }
        self.never_started.update(details)
        return details

    def _stuck(self, worker: str) -> Iterator[WaitsForStartPoint]:
        """Yield a worker's waits of which it cannot know yet that they are over, nor do we."""
        for wait in self._waits.get(worker, {}).values():
            known = not self.never_started.keys().isdisjoint(wait.jobs)
            started = any(not self.reached.isdisjoint(fixtures) for fixtures in wait.jobs.values())
            if not known and not started:
                yield wait
