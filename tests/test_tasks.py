"""The plain data of checks and services."""

from dataclasses import replace

import pytest

from pytest_bgcheck.tasks import Check, Script, Service, Task

COMMAND = Check("c", ("/bin/sh", "-c", "true"), "true")
SCRIPT = Check("c", ("a",), "x.sh a", script=Script("x.sh", b"true"))
SERVICE = Service("c", ("/bin/sh", "-c", "true"), "true")


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
    ],
)
def test_two_tasks_differ_in_arguments_as_the_user_names_them(
    check: Task, other: Task, names: list[str]
) -> None:
    assert check.differences(other) == names
    assert other.differences(check) == names
