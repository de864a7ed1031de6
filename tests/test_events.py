"""The events of a run: each can cross to another process, and the ledger applies each."""

from dataclasses import fields
from typing import get_args

import pytest

from pytest_bgcheck import events
from pytest_bgcheck.events import (
    Event,
    JobEnded,
    JobJudged,
    JobPlanned,
    JobReady,
    JobRequested,
    JobStarted,
    JobWanted,
    StartPointFailed,
    StartPointReached,
    TargetTried,
    WaitBegan,
    WaitEnded,
    WindowClosed,
    WindowRead,
    job_key,
)
from pytest_bgcheck.ledger import JobEntry, Ledger
from pytest_bgcheck.model import Output, Result, State, Tries
from pytest_bgcheck.tasks import Check
from pytest_bgcheck.windows import Gap, Limits, Outage, Window
from pytest_bgcheck.wire import Reader, plain

CHECK = Check("webapp", ("x",), "x", rc=frozenset({2, 0}))
KEY = job_key("id", "target")
RESULT = Result(State.FAILED, 3, 1.5, 1, stdout_kept=Output(9000, b"a" * 9000))
WINDOW = Window(6.2, 12, 4, 8, (Outage(0.0, 6.0, 7, "curl: (7) refused"),), (Gap(6.0, 0.2),))

ONE_OF_EACH: list[Event] = [
    JobPlanned.of("id", "target", CHECK, "ssh://web1", 1.0),
    StartPointReached("::deploy (conftest.deploy)", ("key",)),
    StartPointFailed(("key",), "OSError: no host"),
    JobRequested(KEY, "test_it.py::test"),
    JobStarted(KEY, "gw0", 2.0),
    JobReady(KEY, 0.5, 2.5),
    TargetTried("gw0", (KEY,), Tries(3, 1.0, "Connection refused")),
    JobEnded.of(KEY, RESULT, 3.0),
    JobWanted(KEY),
    JobJudged(KEY),
    WaitBegan("gw0", "test_it.py::test", (KEY,), 2.5),
    WaitEnded("gw0", "test_it.py::test", 3.5, {KEY: 0.5}),
    WindowClosed(KEY, "test_it.py::test", "gw0", 3.0, 9.0, WINDOW, Limits(5.0), exceeded=True),
    WindowRead(KEY),
]


EVENTS: Reader[Event] = Reader(Event)

PARTS = ("Job", "StartPoint", "Target", "Wait", "WindowClosed", "WindowRead")

NAMES = [type(event).__name__ for event in ONE_OF_EACH]


def test_there_is_one_of_each_here() -> None:
    assert [type(event) for event in ONE_OF_EACH] == list(get_args(Event))
    assert [name for name in vars(events) if name.startswith(PARTS)] == NAMES


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=NAMES)
def test_an_event_is_the_same_in_another_process(event: Event) -> None:
    execnet = pytest.importorskip("execnet")
    assert EVENTS.read(execnet.loads(execnet.dumps(plain(event)))) == event


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=NAMES)
def test_the_ledger_applies_an_event_before_its_listeners_hear_it(event: Event) -> None:
    ledger = Ledger()
    if isinstance(event, WaitEnded):
        ledger.tell(WaitBegan(event.worker, event.test, (KEY,), 2.5))
    seen = [repr(ledger.jobs)]
    ledger.listeners.append(lambda event: seen.append(repr(ledger.jobs)))
    ledger.tell(event)
    assert len(set(seen)) == 2


def test_a_planned_job_is_entered_with_all_its_fields() -> None:
    ledger, event = Ledger(), ONE_OF_EACH[0]
    ledger.tell(event)
    (job,) = ledger.jobs.values()
    names = {field.name for field in fields(event)}
    assert names < {field.name for field in fields(JobEntry)}
    assert {name: getattr(job, name) for name in names} == vars(event)
    assert (job.key, job.accepted) == ("id@target", (0, 2))


def test_an_event_of_an_end_holds_only_what_is_shown_of_its_output() -> None:
    event = JobEnded.of(KEY, RESULT, 3.0)
    kept = event.result.stdout_kept
    assert (len(kept.head), len(kept.tail), kept.size) == (events.SHOWN, events.SHOWN, 9000)
    assert event.cut == ()
    assert JobEnded.of(KEY, event.result, 3.0).cut == ("stdout",)
