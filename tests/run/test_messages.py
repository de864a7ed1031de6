"""What the processes of a run say to each other: each message can cross, a bad one is told."""

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from pytest_bgcheck.events import Event, JobRequested, JobWanted
from pytest_bgcheck.model import State
from pytest_bgcheck.run import forked
from pytest_bgcheck.run.messages import (
    Cleaned,
    CleanTargets,
    ControllerMessage,
    GoesOn,
    InternalError,
    JobsOnTarget,
    MayGoOn,
    NeverStarted,
    NewOrder,
    NoTestLeft,
    NoWorkerHasTests,
    SessionMessage,
    StopWaiting,
    TargetUsed,
    UnfinishedJob,
    WaitsForStartPoint,
    WhatToClean,
    WorkerMessage,
    WorkerPlace,
    WorkerSetup,
    WrongSuite,
)
from pytest_bgcheck.target.address import Login, TargetAddress
from pytest_bgcheck.wire import Reader, plain

ADDRESS = TargetAddress(
    key="3f/True/None",
    label="ssh://web1",
    connection="ssh",
    settings={"host": Login("web1", None, "me", "secret"), "timeout": 10, "ssh_config": None},
    place="",
    sudo=True,
    sudo_user=None,
)
JOBS = JobsOnTarget("3f/True/None", b"/tmp/x", {"id": "terms"})
SETUP = WorkerSetup(
    "run",
    "salt",
    0,
    2,
    "place",
    {"check on host": (1.5, 2.0)},
    (JOBS,),
    ("fixture",),
    {"key": "why"},
)

UNFINISHED = UnfinishedJob(
    "run-1", ADDRESS.key, "service", "web", "serve", 60.0, 5.0, (), 1, "up", State.READY, 0.5
)

ONE_OF_EACH = [
    InternalError("line"),
    TargetUsed(ADDRESS),
    JOBS,
    NewOrder(("test_it.py::test",), 1, 0),
    WrongSuite("reason"),
    WorkerPlace("0@computer/boot"),
    NoTestLeft(),
    WhatToClean("0@computer/boot"),
    Cleaned((ADDRESS.key,), ("ssh://web1: a file",)),
    SETUP,
    StopWaiting(),
    NoWorkerHasTests(),
    CleanTargets((ADDRESS,), (UNFINISHED,)),
    WaitsForStartPoint(3, "test_it.py::test", {"key": ("fixture",)}),
    GoesOn(3),
    MayGoOn(3),
    NeverStarted({"key": "why"}),
]

MESSAGES: Reader[object] = Reader(WorkerMessage | ControllerMessage | WorkerSetup)


def test_there_is_one_of_each_here() -> None:
    own = {type(message) for message in ONE_OF_EACH}
    assert own | {*get_args(Event)} == {
        *get_args(WorkerMessage), *get_args(ControllerMessage), WorkerSetup
    }  # fmt: skip
    assert {*get_args(SessionMessage)} < {*get_args(WorkerMessage)}


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda message: type(message).__name__)
def test_a_message_is_the_same_in_another_process(message: object) -> None:
    execnet = pytest.importorskip("execnet")
    assert MESSAGES.read(execnet.loads(execnet.dumps(plain(message)))) == message


def test_no_secret_is_shown_of_an_address() -> None:
    assert "secret" not in repr(ADDRESS)
    assert "secret" not in repr(ADDRESS.settings)


class Parent:
    """What is used here of a session."""

    def __init__(self, heard: list[object]) -> None:
        self.link = SimpleNamespace(tell=heard.append)
        self.used_elsewhere = heard.append


def test_a_parent_reads_the_next_message_of_its_children() -> None:
    heard: list[object] = []
    session: Any = Parent(heard)
    file = forked.MessageFile()
    forked._files[session] = file
    file.write(JobWanted(3))  # type: ignore[arg-type]
    file.write(TargetUsed(ADDRESS))
    file.write(JobWanted("key"))
    forked.take_over_from_children(session)
    error, *others = heard
    assert isinstance(error, InternalError)
    assert others == [ADDRESS, JobWanted("key")]


def test_a_parent_knows_its_childrens_tests_by_their_names() -> None:
    # A file's name may be no Unicode: the parent has run that test, and no other.
    heard: list[object] = []
    session: Any = Parent(heard)
    file = forked.MessageFile()
    forked._files[session] = file
    requested = JobRequested("key", "test_\udcff.py::test_it")
    file.write(requested)
    forked.take_over_from_children(session)
    assert heard == [requested]
