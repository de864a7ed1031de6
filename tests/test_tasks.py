"""The plain data of checks, services and probes."""

from dataclasses import replace

import pytest

from pytest_bgcheck.model import Result, State
from pytest_bgcheck.tasks import Check, Probe, Script, Service, Task

COMMAND = Check("c", ("/bin/sh", "-c", "true"), "true")
SCRIPT = Check("c", ("a",), "x.sh a", script=Script("x.sh", b"true"))
SERVICE = Service("c", ("/bin/sh", "-c", "true"), "true")
PROBE = Probe("c", ("/bin/sh", "-c", "true"), "true")


@pytest.mark.parametrize(
    ("check", "other", "names"),
    [
        (COMMAND, COMMAND, []),
        (COMMAND, replace(COMMAND, argv=("/bin/sh", "-c", "false"), command="false"), ["command"]),
        (COMMAND, replace(COMMAND, timeout_s=1.0, grace_s=1.0), ["timeout", "grace"]),
        (COMMAND, replace(COMMAND, retry_every_s=1.0, env=(("A", "b"),)), ["env", "retry_every"]),
        (COMMAND, SCRIPT, ["command", "script"]),
        (SCRIPT, replace(SCRIPT, argv=("b",), command="x.sh b"), ["args"]),
        (SCRIPT, replace(SCRIPT, command="y.sh a", script=Script("y.sh", b"true")), ["script"]),
        (COMMAND, SERVICE, ["kind"]),
        (SERVICE, replace(SERVICE, ready_argv=("test",), ready="test"), ["ready"]),
        (
            SERVICE,
            replace(SERVICE, ready_timeout_s=1.0, timeout_s=1.0),
            ["timeout", "ready_timeout"],
        ),
        (SERVICE, PROBE, ["kind"]),
        (PROBE, replace(PROBE, every_s=2.0, sample_timeout_s=1.0), ["every", "timeout"]),
    ],
)
def test_two_tasks_differ_in_arguments_as_the_user_names_them(
    check: Task, other: Task, names: list[str]
) -> None:
    assert check.differences(other) == names
    assert other.differences(check) == names


@pytest.mark.parametrize(
    ("told", "state", "detail"),
    [
        (Result(State.CANCELLED, detail="a"), State.STOPPED, "a"),
        (Result(State.TIMED_OUT), State.TIMED_OUT, ""),
        (Result(State.SUCCEEDED, rc=0), State.LOST, "its prober has ended by itself"),
        (
            Result(State.SUCCEEDED, rc=3, detail="a"),
            State.LOST,
            "its prober has ended by itself; a",
        ),
        (Result(State.NOT_READY), State.LOST, "its prober has ended by itself"),
    ],
)
def test_a_probe_that_ends_by_itself_is_lost_whatever_its_target_says(
    told: Result, state: State, detail: str
) -> None:
    assert PROBE.outcome(told) == Result(state, detail=detail)
