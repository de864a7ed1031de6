"""How a check's processes end: at its limit all that can be found, else its own only."""

import subprocess

import pytest
from support.machines.processes import kill, with_argument
from support.supervisor_client import Client

from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests

pytestmark = pytest.mark.once

HARD = {
    "double fork": "(sleep 95.9 & sleep 95.9 &) & wait; sleep 95.9",
    "own session": "setsid sleep 95.9 & sleep 95.9",
    "no environment": "env -i sleep 95.9 & env -i sleep 95.9",
    "no environment in a session of its own": "env -i setsid sleep 95.9 & wait",
    "no environment, no parent, its output open": "(env -i setsid sleep 95.9 &) ; exec sleep 95.9",
    "another group": "set -m; sleep 95.9 & env -i sleep 95.9 & wait",
    "ignores TERM": "trap '' TERM HUP INT; sleep 95.9 & while :; do sleep 1; done",
    "closes all": "exec <&- >&- 2>&-; sleep 95.9 & sleep 95.9",
    "stopped": "kill -STOP $$; sleep 95.9",
}


def test_at_its_limit_the_whole_tree_is_killed_however_it_hides(local: Client) -> None:
    specs = [
        local.spec(f"c{n}", command, timeout=1, grace=1) for n, command in enumerate(HARD.values())
    ]
    local.start(*specs)
    results = local.results(*specs)
    told = {kind: results[f"c{n}"] for n, kind in enumerate(HARD)}
    assert {kind: r.state for kind, r in told.items()} == dict.fromkeys(HARD, State.TIMED_OUT)
    assert told["stopped"].detail.startswith("it had been stopped (SIGSTOP)")
    left = with_argument("sleep\0" + "95.9\0")
    assert not left, (left, {kind: r.detail for kind, r in told.items()})


def test_a_daemon_that_hides_perfectly_is_left_and_told(local: Client) -> None:
    hidden = "(env -i setsid sleep 96.1 </dev/null >/dev/null 2>&1 &); sleep 96.2"
    result = local.finish(hidden, timeout=1, grace=1)
    (daemon,) = with_argument("sleep\0" + "96.1\0")
    assert result.state is State.TIMED_OUT
    assert f"possibly of this job, so not killed: processes {daemon.pid}" in result.detail
    kill([daemon])


def test_a_job_with_more_such_daemons_than_a_file_name_has_room_for_ends(local: Client) -> None:
    hidden = "(env -i setsid sleep 96.3 </dev/null >/dev/null 2>&1 &)"
    result = local.finish(f"for n in $(seq 60); do {hidden}; done; sleep 96.2", timeout=3, grace=1)
    daemons = with_argument("sleep\0" + "96.3\0")
    named = result.detail.rpartition("possibly of this job, so not killed: processes ")[2]
    *pids, others = named.split(", ")
    assert (result.state, len(pids), others) == (State.TIMED_OUT, 20, "and others"), result
    assert {int(pid) for pid in pids} <= {daemon.pid for daemon in daemons}
    kill(daemons)


def test_such_daemons_that_samples_of_a_probe_have_left_are_told(local: Client) -> None:
    """Also between two samples."""
    hidden = "(env -i setsid sleep 96.4 </dev/null >/dev/null 2>&1 &)"
    once = local.base / "once"
    spec = local.probe("p", f"[ -e {once} ] || {{ >{once}; {hidden}; }}", every_s=0.5)
    local.start(spec)
    local.eventually(lambda: local.life(spec).good >= 2)
    (daemon,) = with_argument("sleep\0" + "96.4\0")
    local.ask(requests.cancel_request, [spec])
    result = local.results(spec)["p"]
    assert result.state is State.CANCELLED
    assert result.detail == f"possibly of this job, so not killed: processes {daemon.pid}"
    kill([daemon])


def test_a_check_ends_when_its_own_process_does(clients: dict[str, Client]) -> None:
    for client in clients.values():
        result = client.finish("(setsid sleep 97.1 &) 2>/dev/null; sleep 97.1 & echo said; exit 4")
        assert (result.state, result.rc, result.stdout) == (State.SUCCEEDED, 4, "said\n")


def test_a_check_has_the_umask_of_whoever_logs_in(local: Client) -> None:
    assert int(local.finish("umask").stdout, 8) == int(
        subprocess.run("umask", shell=True, capture_output=True, check=True, text=True).stdout, 8
    )


def test_a_check_that_ends_by_a_signal_is_not_lost(clients: dict[str, Client]) -> None:
    for client in clients.values():
        for name in ("INT", "QUIT", "PIPE"):
            client.spec(name, f"command -v setsid >/dev/null && kill -{name} $$; exit 9")
        client.start(*client.specs.values())
    for client in clients.values():
        told = client.results(*client.specs.values())
        # Without setsid these are ignored.
        codes = [told[name].rc for name in ("INT", "QUIT", "PIPE")]
        assert codes in ([130, 131, 141], [9, 9, 9]), client.shell
