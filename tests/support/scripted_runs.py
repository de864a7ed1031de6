"""Runs whose target answers from a script: `support.scripted_transport`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_bgcheck import State
from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.target import recovery, waiting
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.tasks import Probe, Service
from support.scripted_transport import Scripted

RUN = "0123456789ab"
DIRECTORY = f"/d/{RUN}".encode()


def shorten_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses short; what is decided stays the same."""
    monkeypatch.setattr(recovery, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(recovery, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(waiting, "BATCH_S", 0.01)


def check(name: str = "c", timeout: float = 60) -> Spec:
    given = {"timeout": timeout, "grace": 0}
    made = make_check(name, "true", given, timeout_s=1, directory=Path())
    return Spec(made.id_on("host", RUN), made)


def service(name: str = "s", ready_timeout_s: float = 60) -> Spec:
    made = Service(name, ("true",), "true", grace_s=0, ready_timeout_s=ready_timeout_s)
    return Spec(made.id_on("host", RUN), made)


def probe(name: str = "p", every_s: float = 1.0, sample_timeout_s: float = 60) -> Spec:
    made = Probe(
        name, ("true",), "true", grace_s=0, every_s=every_s, sample_timeout_s=sample_timeout_s
    )
    return Spec(made.id_on("host", RUN), made)


def finish(transport: Scripted, *checks: Spec) -> tuple[Runner, list[Record]]:
    """Run checks on one target to their ends."""
    target = Target("host", "host", transport)
    ours = Runner(RUN)
    records = ours.submit([(c, target) for c in checks or (check(),)])
    assert ours.wait_for(lambda: all(r.result is not None for r in records), records, 30)
    return ours, records


Run = Callable[..., tuple[Runner, Sequence[Record]]]
"""What `scripted_runs` gives: it takes the transport of each target."""


@contextmanager
def scripted_runs(make: Callable[[], Spec]) -> Iterator[Run]:
    """Give what starts a service, or a probe, on each of some targets, and sees it ready."""
    runners: dict[Runner, list[Target]] = {}

    def start(*ways: Scripted) -> tuple[Runner, Sequence[Record]]:
        runner = Runner(RUN)
        targets = [Target(f"host{n}", f"host{n}", way, f"k{n}") for n, way in enumerate(ways)]
        runners[runner] = targets
        records = runner.submit([(make(), target) for target in targets])
        assert runner.wait_for(lambda: all(record.runs for record in records), records, 30)
        for record in records:
            runner.records.note_ready(record, 0.5)
        return runner, records

    yield start
    for runner, targets in runners.items():
        runner.stop(targets)  # else its waiters go on


def state_of(transport: Scripted) -> tuple[State, str]:
    """Run one check to its end; return its state and the detail of its result."""
    _, (record,) = finish(transport)
    assert record.result is not None
    return record.result.state, record.result.detail
