"""A target whose userland lacks a tool."""

import os
import shutil
from pathlib import Path

import pytest
from support.machines import shell_as_sh
from support.supervisor_client import Client

from pytest_bgcheck.model import State
from pytest_bgcheck.target import command_line, requests

pytestmark = pytest.mark.once

NEEDED = (
    "[", "cat", "chmod", "echo", "env", "grep", "head", "id", "ls", "mkdir", "mkfifo",
    "mv", "od", "printf", "rm", "rmdir", "sed", "sleep", "tail", "tr", "wc",
)  # fmt: skip


def with_tools(shell: str, directory: Path, *missing: str) -> Client:
    """Return a target whose only programs are those that are needed, but for the missing ones."""
    path = directory / "-".join(["bin", *missing])
    path.mkdir()
    for tool in ("sh", *NEEDED):
        if tool not in missing:
            path.joinpath(tool).symlink_to(shutil.which(tool) or "")
    return Client(shell_as_sh(shell, directory), directory, {"PATH": str(path)})


@pytest.mark.parametrize("shell", ["dash", "bash", "yash"])
def test_what_is_needed_is_enough(tmp_path: Path, shell: str) -> None:
    client = with_tools(shell, tmp_path)
    specs = [
        client.spec("ends", "exit 3"),
        client.spec("limit", "sleep 95 & sleep 95", timeout=0.5, grace=0.1),
        client.spec("lost", "sleep 95"),
        client.spec("much", "echo x; while read x; do :; done </dev/zero & kill $!; exit 0"),
        client.spec("again", "[ -e f ] || { >f; exit 1; }", retry_every=0.1, cwd=str(tmp_path)),
        client.spec("variable", ["sh", "-c", "exit $A"], env={"A": "4"}),
        client.spec("binary", "printf '\\000'; printf '%09999d' 1", output_limit=1000),
    ]
    assert client.start(*specs).refused == {}
    client.eventually(lambda: bool(client.processes(f"PYTEST_BGCHECK_JOB={specs[2].id}")))
    for pid in client.processes(f"run:{specs[2].id}"):
        os.kill(pid, 9)
    results = client.results(*specs)
    client.clean()
    assert {name: results[name].rc for name in ("ends", "again", "variable", "much")} == {
        "ends": 3, "again": 0, "variable": 4, "much": 0,
    }  # fmt: skip
    assert results["limit"].state is State.TIMED_OUT
    assert results["lost"].state is State.LOST
    assert results["binary"].stdout_kept.size == 10_000
    assert results["binary"].stdout_kept.head[:4] == b"\x00000"


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "ksh93", "yash", "zsh"])
def test_a_target_without_a_tool_is_not_started_and_names_it(tmp_path: Path, shell: str) -> None:
    for tool in NEEDED:
        client = with_tools(shell, tmp_path, tool)
        if builtin(client, tool):
            continue
        reply = client.start(client.spec("c", "sleep 95"))
        assert reply.started == set(), tool
        assert reply.refused == {"*": f"the target has no {tool}"}
        assert not client.processes(client.run)
        assert not list(tmp_path.glob("pytest-bgcheck-*"))


def test_a_clock_is_needed_where_the_kernel_tells_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = command_line.SUPERVISOR.replace("/proc/uptime", "/no/such")
    monkeypatch.setattr(requests, "SUPERVISOR", program)
    client = with_tools("dash", tmp_path)
    assert client.start(client.spec("refused", "true")).refused == {"*": "the target has no date"}
    (tmp_path / "bin" / "date").symlink_to(shutil.which("date") or "")
    assert client.finish("exit 3").rc == 3
    client.clean()


def builtin(client: Client, tool: str) -> bool:
    """Has the shell got it without a program?"""
    return client.output(f"{client.shell} -c 'command -v {tool} || :'").strip() == tool.encode()
