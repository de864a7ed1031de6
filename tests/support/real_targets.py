"""Jobs on real targets over the runner, without a pytest in between."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import testinfra

from pytest_bgcheck.arguments import make_check, make_task
from pytest_bgcheck.model import Result, State
from pytest_bgcheck.target import cleaner, requests
from pytest_bgcheck.target.host_transport import HostTransport
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import Answer, Transport
from pytest_bgcheck.tasks import Probe
from support.scripted_transport import words_of


def target(spec: str, name: str = "", sudo_user: str | None = None, **options: object) -> Target:
    """Return a target over a testinfra backend; ``name`` tells it from others of the same spec."""
    backend = testinfra.get_host(spec, **options).backend
    way = HostTransport(backend, None if sudo_user is None else True, sudo_user)
    return Target(f"{spec}{name}", f"{spec}{name}", way)


class RealRun:
    """A run on some targets, with its files in a directory of the targets."""

    def __init__(self, base: Path | str = "", forks: int = 32) -> None:
        self.run = secrets.token_hex(6)
        self.base = base
        self.runner = Runner(self.run, base=str(base), forks=forks)
        self.targets: list[Target] = []

    def submit(self, target: Target, command: object, name: str = "c", **given: object) -> Record:
        (record,) = self.submit_all([(target, command, name, given)])
        return record

    def submit_all(
        self,
        wanted: Sequence[tuple[Target, object, str, Mapping[str, object]]],
        owner: str = "",
    ) -> list[Record]:
        """Have jobs started in one go, a call for each target. ``owner``: see `Task.id_on`."""
        specs = []
        for place, command, name, given in wanted:
            check = make_check(name, command, given, timeout_s=60, directory=Path())
            terms = check.terms("salt")
            id = check.id_on(place.identity, self.run, terms, owner)
            specs.append((requests.Spec(id, check, terms), place))
            if place not in self.targets:
                self.targets.append(place)
        return self.runner.submit(specs)

    def running(self, target: Target, command: object, **given: object) -> Record:
        """Return a job that is known to run."""
        (record,) = self.submit_all([(target, command, "c", given)])
        self.until(lambda: record.state is not State.PENDING)
        assert record.state is State.RUNNING, record.result
        return record

    def watching(self, target: Target, command: object, name: str = "p", **given: object) -> Record:
        """Return a probe that has taken a sample."""
        task = make_task(Probe, name, command, given, timeout_s=60, directory=Path())
        terms = task.terms("salt")
        id = task.id_on(target.identity, self.run, terms)
        if target not in self.targets:
            self.targets.append(target)
        (record,) = self.runner.submit([(requests.Spec(id, task, terms), target)])
        self.until(lambda: record.decided)
        assert record.state is State.RUNNING, record.result
        return record

    def result(self, record: Record, within_s: float = 60) -> Result:
        begun = time.monotonic()
        self.until(lambda: record.result is not None, within_s)
        print(f"{record.state} after {time.monotonic() - begun:.2f} s: {record.result}")
        assert record.result is not None
        return record.result

    def results(self, records: list[Record], within_s: float = 100) -> list[Result]:
        self.until(lambda: all(record.result is not None for record in records), within_s)
        return [record.result for record in records if record.result is not None]

    def until(self, ready: Callable[[], bool], within_s: float = 60) -> None:
        assert self.runner.wait_for(ready, self.runner.records.values(), within_s)

    def close(self) -> list[str]:
        begun, targets = time.monotonic(), self.targets
        self.targets = []
        troubles = self.runner.close(targets)
        took = time.monotonic() - begun
        print(f"closed after {took:.2f} s: {troubles}")
        assert took < cleaner.CLEAN_S + 6
        return troubles


class Counting:
    """A transport that counts its calls, and can lose what was answered to the first ones."""

    def __init__(self, way: Transport, lose: int = 0) -> None:
        self.streams = way.streams
        self.ends_calls = way.ends_calls
        self.calls: list[str] = []
        self._way, self._lose = way, lose
        self._lock = threading.Lock()

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        with self._lock:
            self.calls.append(next(verb for verb in VERBS if verb in words_of(request)))
            lose = len(self.calls) <= self._lose
        answer = self._way.call(request, timeout_s, None if lose else on_output)
        return Answer(255, b"", b"Connection reset by peer") if lose else answer

    def close(self) -> None:
        self._way.close()


VERBS = (
    "start", "await", "tail", "cancel", "clean", "present", "store", "follow", "unfollow",
    "open", "close",
)  # fmt: skip
