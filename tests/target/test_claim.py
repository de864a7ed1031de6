"""A start that is held up or killed halfway: the job runs once, or it has not started."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from support.supervisor_client import Client

from pytest_bgcheck.model import State
from pytest_bgcheck.target import replies, requests
from pytest_bgcheck.target.replies import Reply
from pytest_bgcheck.target.requests import Spec

pytestmark = pytest.mark.once


def hold(client: Client, tmp_path: Path, program: str, what: str, after: bool = False) -> None:
    """Have a program of the target wait, where its words match, until there is a file `go`.

    It waits before it does its work, or ``after`` that.
    """
    real, path = shutil.which(program), tmp_path / "slow"
    path.mkdir()
    path.joinpath(program).write_text(
        f'#!/bin/sh\ncase "$*" in {what}) ;; *) exec {real} "$@" ;; esac\n'
        + (f'{real} "$@"\n' if after else "")
        + f"echo >>{tmp_path}/waits\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\n"
        + ("" if after else f'exec {real} "$@"\n')
    )
    path.joinpath(program).chmod(0o755)
    client.env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}


def start_and_kill_supervisor_in_mv(client: Client, base: Path, spec: Spec) -> Reply:
    """Kill the supervisor while its mv waits, with that mv; return the start's reply."""
    nonce = "0123456789abcdef"
    ((_, request, _),) = requests.start_requests(client.run, str(base), [spec], iter([nonce]))
    with subprocess.Popen(
        ["/bin/sh", "-c", request], stdout=subprocess.PIPE, env=client.env
    ) as process:
        client.eventually((base / "waits").exists)
        # With the mv that is its child, and as such holds what the supervisor does.
        (supervisor,) = client.processes(f"run:{spec.id}")
        os.killpg(supervisor, signal.SIGKILL)
        reply = replies.parse(nonce, process.communicate(timeout=20)[0])
    client.directory = reply.directory or b""
    client.env = None
    return reply


def test_a_supervisor_killed_before_its_claim_has_not_started(
    local: Client, tmp_path: Path
) -> None:
    hold(local, tmp_path, "mv", "../new.*")
    spec = local.spec("c", f"echo >>{tmp_path}/ran")
    reply = start_and_kill_supervisor_in_mv(local, tmp_path, spec)
    assert "did not start" in reply.refused[spec.id]
    assert not tmp_path.joinpath("ran").exists()
    # Nobody has claimed it: the next caller may.
    assert local.start(spec).started == {spec.id}
    assert local.results(spec)["c"].rc == 0


def test_a_supervisor_killed_after_the_check_is_lost(local: Client, tmp_path: Path) -> None:
    hold(local, tmp_path, "mv", "*state.exit.*")
    spec = local.spec("c", f"echo >>{tmp_path}/ran")
    reply = start_and_kill_supervisor_in_mv(local, tmp_path, spec)
    assert reply.started == {spec.id}
    assert local.results(spec)["c"].state is State.LOST
    assert tmp_path.joinpath("ran").exists()


@pytest.mark.parametrize("how", ["timeout", "cancel", "killed"])
def test_a_check_does_not_begin_when_its_job_is_over(
    local: Client, tmp_path: Path, how: str
) -> None:
    hold(local, tmp_path, "setsid", "*launch*")
    spec = local.spec("c", f"echo >>{tmp_path}/ran; sleep 94", timeout=1, grace=0)
    local.start(spec)
    local.eventually((tmp_path / "waits").exists)
    if how == "cancel":
        local.ask(requests.cancel_request, [spec])
    elif how == "killed":
        (supervisor,) = local.processes(f"run:{spec.id}")
        os.kill(supervisor, signal.SIGKILL)
    states = {"timeout": State.TIMED_OUT, "cancel": State.CANCELLED, "killed": State.LOST}
    assert local.results(spec)["c"].state is states[how]
    tmp_path.joinpath("go").touch()
    local.eventually(lambda: not local.processes(spec.id))
    assert not tmp_path.joinpath("ran").exists()


def test_a_limit_holds_for_a_supervisor_that_does_not_go_on_after_its_claim(
    local: Client, tmp_path: Path
) -> None:
    hold(local, tmp_path, "mv", "../new.*", after=True)
    spec = local.spec("c", f"echo >>{tmp_path}/ran", timeout=1, grace=0)
    ((_, request, _),) = requests.start_requests(
        local.run, str(tmp_path), [spec], iter(["0123456789abcdef"])
    )
    with subprocess.Popen(
        ["/bin/sh", "-c", request], stdout=subprocess.DEVNULL, env=local.env
    ) as process:
        try:
            local.eventually((tmp_path / "waits").exists)
            # As another worker would, which has nothing to wait for but the job itself.
            assert local.start(spec).attached == {spec.id}
            assert local.results(spec)["c"].state is State.TIMED_OUT
        finally:
            tmp_path.joinpath("go").touch()
            process.wait(20)
    local.eventually(lambda: not local.processes(spec.id))
    assert not tmp_path.joinpath("ran").exists()
