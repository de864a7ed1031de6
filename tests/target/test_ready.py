"""A service becomes ready, or does not, and lives until it dies: under every shell."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.machines import tool
from support.machines.machine import wait_until
from support.machines.processes import find, with_argument
from support.supervisor_client import Client, nothing_runs, run_of

from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests
from pytest_bgcheck.target.replies import Report
from pytest_bgcheck.tasks import Script

pytestmark = pytest.mark.once

# Some targets have no setsid.
DETACHED = "$(command -v setsid) "


def some(clients: dict[str, Client], *shells: str) -> dict[str, Client]:
    """Leave out the others, where each takes long or many processes."""
    for shell in set(clients) - set(shells):
        del clients[shell]
    return clients


def is_ready(report: Report) -> bool:
    return report.result is None and report.ready_s is not None


def test_a_service_is_ready_when_it_says_so_and_not_before(clients: dict[str, Client]) -> None:
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        # name: its program, and what says that it is ready
        "plain": ("exec sleep 91", {}),
        "script": ("", {"script": Script("s", b"#!/bin/sh\nsleep 91\n")}),
        "command": ("sleep 0.4; >$ID; exec sleep 91", {"ready": "[ -e $ID ]"}),
        "stderr": ("echo no >&2; echo listening on 80 >&2; exec sleep 91",
                   {"ready_output": "^listening on [0-9]+$"}),
        "two writes": ("printf listen; sleep 0.4; echo ing; exec sleep 91",
                       {"ready_output": "^listening$"}),
        "emptied": ("echo listening for a long time >/dev/stdout; exec sleep 91",
                    {"ready_output": "^listening for"}),
        # What each file of output begins with is no output.
        "mark": ("exec sleep 91", {"ready_output": "^[0-9a-f]{14}", "ready_timeout_s": 1.0}),
        "unfinished": ("printf listening; exec sleep 91",
                       {"ready_output": "listening", "ready_timeout_s": 1.0}),
    }  # fmt: skip
    become = list(kinds)[:6]
    for client in clients.values():
        given = {"cwd": str(client.base), "env": (("ID", client.run),), "grace_s": 0.1}
        client.start(*(client.service(n, c, **how, **given) for n, (c, how) in kinds.items()))
    for client in clients.values():
        told = client.decided(*client.specs.values())
        assert [name for name in kinds if is_ready(told[name])] == become, told
        assert all((told[name].ready_s or 0) >= 0.4 for name in ("command", "two writes"))
        for name in ("mark", "unfinished"):
            result = told[name].result
            assert result is not None
            assert (result.state, result.ready_s, result.detail) == (State.NOT_READY, None, "")
        live = [client.specs[name] for name in become]
        client.ask(requests.cancel_request, live)
        for ended in client.results(*live).values():
            assert (ended.state, ended.ready_s is None) == (State.CANCELLED, False)


def test_an_end_before_it_is_ready_is_told_at_once(clients: dict[str, Client]) -> None:
    for client in clients.values():
        client.start(client.service("c", "sleep 0.7; echo bad; exit 3", ready="echo no; exit 7"))
    begun = time.monotonic()
    for client in clients.values():
        result = client.decided(client.specs["c"])["c"].result
        assert result is not None
        assert (result.state, result.rc, result.stdout) == (State.SUCCEEDED, 3, "bad\n")
        assert result.ready_s is None
    print(f"told {time.monotonic() - begun:.2f} s after the start")
    assert time.monotonic() - begun < 45  # and not after the 50 s that they had


def test_a_service_that_has_had_its_time_is_ended_with_its_tree(
    clients: dict[str, Client],
) -> None:
    stubborn = f"trap '' TERM; {DETACHED}sleep 95.1 & sleep 95.1 & sleep 95.1; sleep 95.1"
    look = f"echo no; {DETACHED}sleep 95.2 & exit 7"
    for client in clients.values():
        client.start(client.service("c", stubborn, ready=look, ready_timeout_s=6, grace_s=0.5))
    for client in clients.values():
        result = client.decided(client.specs["c"])["c"].result
        assert result is not None
        assert (result.state, result.rc) == (State.NOT_READY, None)
        assert result.detail.endswith("its ready command last ended with rc 7")
        assert result.look_kept.bytes() == b"no\n"
        nothing_runs(client)


def test_a_ready_command_that_hangs_is_killed_and_run_again_and_leaves_nothing(
    clients: dict[str, Client],
) -> None:
    hangs = (
        f"[ -e FILE ] || {{ >FILE; {DETACHED}sleep 96 & sleep 96; }}; {DETACHED}sleep 97 & exit 0"
    )
    for client in some(clients, "dash", "bash", "zsh", "bare busybox", "bare yash").values():
        look = hangs.replace("FILE", str(client.base / client.run))
        client.start(client.service("c", "exec sleep 91", ready=look))
    for client in clients.values():
        report = client.decided(client.specs["c"])["c"]
        assert is_ready(report)
        assert (report.ready_s or 0) >= 10
        assert not client.processes(f"{client.specs['c'].id}.look")


def test_a_ready_command_that_hangs_until_the_end_is_told_to_hang(local: Client) -> None:
    spec = local.service("c", "exec sleep 91", ready="sleep 96", ready_timeout_s=1.0)
    local.start(spec)
    result = local.decided(spec)["c"].result
    assert result is not None
    assert result.detail == "its ready command has not ended once"
    nothing_runs(local)


def test_a_line_is_found_however_much_is_written_around_it(clients: dict[str, Client]) -> None:
    loud = "yes other | head -n 8400000; echo listening; yes | head -c 9000000; exec sleep 91"
    for client in some(clients, "dash", "mksh").values():
        spec = client.service("c", loud, ready_output="^listening$", output_limit=1000)
        client.start(spec)
        assert is_ready(client.decided(spec)["c"])


def test_a_line_that_is_cut_out_before_its_watcher_comes_to_it_is_found(
    clients: dict[str, Client],
) -> None:
    """While its watcher is stopped. On some targets a cut leaves a hole, on others a short file."""
    fill = "head -c {} /dev/zero | tr '\\000' y"
    loud = f"sleep 2; {fill.format(6000)}; echo; echo listening; {fill.format(9000000)}; sleep 91"
    for client in some(clients, "dash", "bash", "bare busybox", "bare yash").values():
        spec = client.service("c", loud, ready_output="^listening$", output_limit=1000)
        client.start(spec)
        job = run_of(client) / spec.id
        client.eventually(partial(_has, job, "unready.[1-9]*"))
        client.kill("watch", signum=signal.SIGSTOP)
        client.eventually(partial(_is_cut, job))
        client.kill("watch", signum=signal.SIGCONT)
        assert is_ready(client.decided(spec)["c"])


def _has(job: Path, *patterns: str) -> bool:
    return any(list(job.glob(pattern)) for pattern in patterns)


def _is_cut(job: Path) -> bool:
    return _has(job, "hole.*", "cut.*[0-9]") and b"listening" not in (job / "out").read_bytes()


def test_an_expression_that_grep_does_not_take_is_refused_with_its_words(
    clients: dict[str, Client],
) -> None:
    for client in clients.values():
        spec = client.service("c", "exec sleep 91", ready_output="a(b")
        (reason,) = client.start(spec).refused.values()
        assert reason.startswith("grep does not take its pattern: ")
        assert "grep: " in reason
        assert not list(run_of(client).glob("*-*"))


# --- a first process that ends --------------------------------------------------------------------


def test_a_daemon_lives_on_without_its_first_process_until_it_dies(
    clients: dict[str, Client],
) -> None:
    daemon = f"{DETACHED}sleep 98.1 >/dev/null 2>&1 & exit 0"
    fails = f"{DETACHED}sleep 98.2 >/dev/null 2>&1 & sleep 98.3; exit 1"
    for client in clients.values():
        client.start(client.service("daemon", daemon, ready="true"), client.service("fails", fails))
    for client in clients.values():
        told = client.decided(*client.specs.values())
        assert all(is_ready(report) for report in told.values()), told
        end(client, "sleep\0" + "98.3")
    for client in clients.values():
        result = client.results(client.specs["fails"])["fails"]
        assert (result.rc, result.ready_s is None) == (1, False)
        # A successor can have its port.
        assert not its_own(client, "sleep\0" + "98.2")
        assert not client.ask(requests.await_request, 0, [client.specs["daemon"]]).reports
        end(client, "sleep\0" + "98.1")
    for client in clients.values():
        result = client.results(client.specs["daemon"])["daemon"]
        assert (result.rc, result.ready_s is None) == (0, False)
        nothing_runs(client)


def its_own(client: Client, what: str) -> list[int]:
    """Return the processes of this client alone."""
    return sorted({*client.processes(what)} & {*client.processes(client.run)})


def end(client: Client, what: str) -> None:
    (pid,) = its_own(client, what)
    os.kill(pid, signal.SIGTERM)


def test_a_daemon_is_ended_with_its_run(local: Client) -> None:
    spec = local.service("daemon", "setsid sleep 98.1 >/dev/null 2>&1 & exit 0")
    local.start(spec)
    assert is_ready(local.decided(spec)["daemon"])
    local.ask(requests.cancel_request, [spec])
    assert local.results(spec)["daemon"].state is State.CANCELLED
    nothing_runs(local)


OVERWRITES = (
    "exit 0 if fork; require POSIX; POSIX::setsid(); exit 0 if fork;"
    ' open STDOUT, ">/dev/null"; open STDERR, ">/dev/null"; $0 = "a title " x 1000; sleep 98'
)
"""A daemon in Perl, that writes its title over its environment, as nginx does."""


def test_a_daemon_that_cannot_be_told_to_be_the_services_own_is_named(local: Client) -> None:
    spec = local.service("daemon", f"exec {tool('perl', 'perl')} -e {shlex.quote(OVERWRITES)}")
    local.start(spec)
    result = local.results(spec)["daemon"]
    named = result.detail.rpartition("possibly of this job, so not killed: processes ")[2]
    (daemon,) = with_argument("a title " * 3)
    assert str(daemon.pid) in named.split(", ")
    daemon.send(signal.SIGKILL)


# --- what a service does, and not only that it runs -----------------------------------------------


@contextmanager
def busy() -> Iterator[None]:
    """Keep all processors busy."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(3)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


RECORDER = """
import asyncio, email, http.server, json, sys, time
file = open(sys.argv[1])
file.seek(0, 2)
while True:
    print(file.readline(), end="", flush=True)
    time.sleep(0.2)
"""


def test_a_recorder_that_is_ready_misses_nothing(clients: dict[str, Client]) -> None:
    """Nor does one that takes a while until it has opened what it is to record."""
    with busy():
        for client in some(clients, "dash", "bash", "busybox").values():
            slow = client.base / "recorder.py"
            slow.write_text(RECORDER)
            programs = ["exec tail -n0 -F", f"exec {sys.executable} {slow}"] * 3
            specs = [client.service(f"{n}", f"{program} {client.base}/log{n}", grace_s=0.1)
                     for n, program in enumerate(programs)]  # fmt: skip
            for spec in specs:
                client.base.joinpath(f"log{spec.task.name}").write_text("before\n")
            client.start(*specs)
            left = {spec.id: spec for spec in specs}
            while left:
                wait = partial(requests.await_request, unready=set(left))
                for report in client.ask(wait, 3, left.values()).reports:
                    assert is_ready(report)
                    log = client.base / f"log{left.pop(report.id).task.name}"
                    with log.open("a") as file:
                        file.write("after\n")
            outputs = [run_of(client) / spec.id / "out" for spec in specs]
            client.eventually(partial(_all_have, outputs, b"after"))


def _all_have(files: list[Path], what: bytes) -> bool:
    return all(what in file.read_bytes() for file in files)


def test_a_service_that_fails_as_its_predecessor_has_its_port_is_not_ready(local: Client) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    url = f"http://127.0.0.1:{port}/"
    ask = f"{sys.executable} -c 'import urllib.request as u; u.urlopen(\"{url}\")'"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with busy(), subprocess.Popen(serve, cwd=local.base, **quiet) as predecessor:  # type: ignore[call-overload]
        assert wait_until(lambda: _answers(url), 20)
        specs = [local.service(f"c{n}", f"exec {' '.join(serve)}", ready=ask) for n in range(4)]
        local.start(*specs)
        told = local.decided(*specs)
        predecessor.kill()
    results = [told[spec.task.name].result for spec in specs]
    assert [(r.rc, r.ready_s) for r in results if r] == [(1, None)] * 4, results
    assert results[0]
    assert "Address already in use" in results[0].stderr
    spec = local.service("successor", f"exec {' '.join(serve)}", ready=ask)
    local.start(spec)
    assert is_ready(local.decided(spec)["successor"])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def test_many_services_that_start_at_once_are_all_ready(local: Client) -> None:
    specs = [local.service(f"c{n}", "exec sleep 91", ready="true") for n in range(25)]
    begun = time.monotonic()
    local.start(*specs)
    told = local.decided(*specs)
    print(f"all ready after {time.monotonic() - begun:.1f} s")
    assert all(is_ready(report) for report in told.values())
    assert not with_argument(f"watch:{local.run}")


def test_contending_starts_have_one_watcher(clients: dict[str, Client]) -> None:
    for client in some(clients, "dash", "bash", "ksh93", "bare yash").values():
        spec = client.service("c", "exec sleep 91", ready="exit 1")
        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(client.start, [spec] * 4))
        assert [reply.started for reply in replies] == [{spec.id}] * 4
        for kind in ("watch", "run"):
            client.eventually(partial(_is_alone, client, f"{kind}:{spec.id}"))


def _is_alone(client: Client, what: str) -> bool:
    """Is there one such process, beside the children that it forks?"""
    found = {pid: find(pid) for pid in client.processes(what)}
    return (
        sum(process is not None and process.parent not in found for process in found.values()) == 1
    )
