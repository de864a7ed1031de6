"""xdist's schedulers with the tests that await held back, against simulated workers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("xdist")

from xdist.remote import Producer

from pytest_bgcheck.workers.scheduling import scheduler


class Config:
    """As much of a config as the schedulers ask for."""

    def __init__(self, dist: str, workers: int) -> None:
        self._values = {"dist": dist, "tx": ["popen"] * workers, "maxschedchunk": None}

    def getvalue(self, name: str) -> Any:
        return self._values[name]

    getoption = getvalue


class Worker:
    """A worker as the scheduler sees it; it runs a test only when it knows the next one."""

    class gateway:
        id = "gw"

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: list[int] = []
        self.stolen: list[list[int]] = []
        self.shutting_down = False
        self.running: int | None = None
        self.free_at = 0.0

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.queue += indices

    def send_steal(self, indices: list[int]) -> None:
        self.stolen.append(list(indices))

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def can_begin(self) -> bool:
        least = 1 if self.shutting_down else 2
        return self.running is None and len(self.queue) >= least


class Simulation:
    """A run of some tests on some workers, in simulated time."""

    def __init__(
        self,
        dist: str,
        workers: int,
        durations: list[float],
        ready: list[float],
        ids: list[str] | None = None,
    ) -> None:
        self.durations, self.ready = durations, ready
        self.ordinary = len(durations)
        ordinary = [f"o{n}" for n in range(len(durations))]
        self.ids = ids or ordinary + [f"w{n}" for n in range(len(ready))]
        self.workers = [Worker(n) for n in range(workers)]
        waiting = dict.fromkeys(self.ids[self.ordinary :])
        self.scheduler = scheduler(Config(dist, workers), Producer("", enabled=False), waiting)  # type: ignore[arg-type]
        self.now = 0.0
        self.ended: list[int] = []
        self.left_behind = 0
        for worker in self.workers:
            self.scheduler.add_node(worker)
        for worker in self.workers:
            self.scheduler.add_node_collection(worker, self.ids)
        self.scheduler.schedule()

    def crash(self, worker: Worker, test: int) -> None:
        """Have a worker die in a test; xdist replaces it."""
        self.workers.remove(worker)
        assert self.scheduler.remove_node(worker) == self.ids[test]
        replacement = Worker(worker.number)
        self.workers.append(replacement)
        self.scheduler.add_node(replacement)
        self.scheduler.add_node_collection(replacement, self.ids)
        self.scheduler.schedule()

    def run(self, crash_at: int | None = None) -> None:
        for _ in range(100 * len(self.ids) + 100):
            if self.scheduler.tests_finished:
                for worker in self.workers:
                    worker.shutdown()
            if not self.step(crash_at):
                return
        raise AssertionError(f"no end: {self.ended} of {self.ids}")

    def step(self, crash_at: int | None) -> bool:
        for worker in self.workers:
            for indices in worker.stolen:
                held = worker.queue[1:]  # it knows the next one already
                given = indices if set(indices) <= set(held) else []
                worker.queue = [n for n in worker.queue if n not in given]
                self.scheduler.remove_pending_tests_from_node(worker, given)
            worker.stolen.clear()
        for worker in self.workers:
            if worker.can_begin:
                self.begin(worker)
        busy = [worker for worker in self.workers if worker.running is not None]
        if not busy:
            return False
        worker = min(busy, key=lambda w: (w.free_at, w.number))
        self.now = worker.free_at
        assert worker.running is not None
        test, worker.running = worker.running, None
        if len(self.ended) == crash_at:
            self.ended.append(test)
            self.crash(worker, test)
            return True
        self.ended.append(test)
        self.scheduler.mark_test_complete(worker, test, 0.0)
        return True

    def begin(self, worker: Worker) -> None:
        test = worker.running = worker.queue.pop(0)
        if test < self.ordinary:
            worker.free_at = self.now + self.durations[test]
        else:
            worker.free_at = max(self.now, self.ready[test - self.ordinary]) + 0.001
            behind = [
                sum(n < self.ordinary for n in other.queue)
                for other in self.workers
                if other is not worker
            ]
            self.left_behind = max([self.left_behind, *behind])
            assert all(n >= self.ordinary for n in worker.queue)


TIMES = st.floats(0.01, 10)
RUNS = st.tuples(
    st.sampled_from(["load", "worksteal"]),
    st.integers(1, 5),
    st.lists(TIMES, max_size=30),
    st.lists(TIMES.map(lambda t: 5 * t), min_size=1, max_size=12).map(sorted),
)


@settings(deadline=None)
@given(RUNS)
def test_every_test_runs_once_and_no_worker_waits_in_front_of_ordinary_tests(
    run: tuple[str, int, list[float], list[float]],
) -> None:
    simulation = Simulation(*run)
    simulation.run()
    assert sorted(simulation.ended) == list(range(len(simulation.ids)))
    # Behind the one that runs; a worker holds the next one already.
    assert simulation.left_behind <= 1


@settings(deadline=None)
@given(RUNS, st.integers(0, 20), st.integers(1, 6))
def test_every_test_runs_once_when_a_worker_crashes(
    run: tuple[str, int, list[float], list[float]], crash_at: int, of_class: int
) -> None:
    ids = [f"o.py::C{n // of_class}::test_{n}" for n in range(len(run[2]))]
    ids += [f"w.py::C{n // of_class}::test_{n}" for n in range(len(run[3]))]
    simulation = Simulation(*run, ids if of_class > 1 else None)
    simulation.run(crash_at)
    assert sorted(simulation.ended) == list(range(len(simulation.ids)))


@pytest.mark.parametrize("dist", ["load", "worksteal"])
def test_waiting_tests_are_dealt_in_their_order(dist: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt: list[int] = []

    def send(worker: Worker, indices: list[int]) -> None:
        worker.queue += indices
        dealt.extend(indices)

    monkeypatch.setattr(Worker, "send_runtest_some", send)
    simulation = Simulation(dist, 3, [0.5] * 7, [float(n) for n in range(1, 9)])
    simulation.run()
    assert [n for n in dealt if n >= 7] == list(range(7, 15))


@pytest.mark.parametrize("dist", ["load", "worksteal"])
@pytest.mark.parametrize("workers", [2, 3, 5])
def test_a_class_that_awaits_runs_on_one_worker_in_its_order(
    dist: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"a.py::test_{n}" for n in range(7)]
    ids += [f"a.py::C::test_{n}" for n in range(4)] + ["a.py::test_w[a::b]", "a.py::test_w[a::c]"]
    ids += [f"a.py::D::Inner::test_{n}[h{h}]" for h in range(2) for n in range(3)]
    ran: dict[int, list[int]] = {}
    begin = Simulation.begin

    def begun(self: Simulation, worker: Worker) -> None:
        ran.setdefault(worker.number, []).append(worker.queue[0])
        begin(self, worker)

    monkeypatch.setattr(Simulation, "begin", begun)
    Simulation(dist, workers, [0.5] * 7, [1.0] * 12, ids).run()
    assert sorted(n for tests in ran.values() for n in tests) == list(range(len(ids)))
    for name in ("::C::", "::D::"):
        of_class = [n for n, test in enumerate(ids) if name in test]
        (worker,) = [w for w, tests in ran.items() if set(of_class) & set(tests)]
        assert [n for n in ran[worker] if n in of_class] == of_class


def test_an_ordinary_class_runs_on_one_worker_with_load() -> None:
    ids = ["a.py::C::test_1", "a.py::C::test_2", "a.py::C::test_3", "a.py::test", "a.py::test_w"]
    simulation = Simulation("load", 2, [1.0] * 4, [9.0], ids)
    assert [worker.queue for worker in simulation.workers] == [[0, 1, 2], [3, 4]]
    simulation.run()
    assert sorted(simulation.ended) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dist", ["loadscope", "loadfile", "loadgroup", "each"])
def test_other_modes_are_left_to_xdist(dist: str) -> None:
    assert scheduler(Config(dist, 2), Producer("", enabled=False), {}) is None  # type: ignore[arg-type]
