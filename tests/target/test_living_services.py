"""A service that is ready: whether it lives is told truly, whatever its processes do."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.machines.machine import wait_until
from support.machines.processes import find
from support.machines.users import TestUser
from support.supervisor_client import Client, run_of

from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests
from pytest_bgcheck.target.replies import Report
from pytest_bgcheck.target.requests import Spec

pytestmark = pytest.mark.once

SHELLS = ("dash", "bash", "bare yash")


def those(clients: dict[str, Client]) -> list[Client]:
    for shell in set(clients) - set(SHELLS):
        del clients[shell]
    return list(clients.values())


def proof(client: Client, *specs: Spec) -> tuple[Report, ...]:
    """Ask which of some services still run; return what was told of those that have ended."""

    def ask(directory: bytes, nonce: str, shell: str) -> str:
        return requests.await_request(directory, nonce, 10, specs, shell, proof=True)

    begun = time.monotonic()
    reply = client.ask(ask)
    # Else it was not known, and the time was over.
    assert reply.reports or not reply.refused, time.monotonic() - begun
    return reply.reports


def leader(client: Client, spec: Spec) -> int:
    (path,) = (run_of(client) / spec.id).glob("pid.*")
    return int(path.name.split(".")[1])


def test_a_death_is_told_by_the_first_proof_after_it(clients: dict[str, Client]) -> None:
    """By the time that the next request is there its supervisor may not have told it."""
    for client in those(clients):
        specs = [client.service(f"c{n}", "sleep 91 & exec sleep 92") for n in range(3)]
        daemon = client.service("daemon", "sleep 93 & exit 0")
        client.start(*specs, daemon)
        client.decided(*specs, daemon)
        client.eventually((run_of(client) / daemon.id / "stays").exists)
        assert not proof(client, *specs, daemon)
        for spec in specs:
            os.kill(leader(client, spec), signal.SIGKILL)
            (report,) = proof(client, spec)
            assert report.result is not None
            assert report.result.rc == 137
        assert not proof(client, daemon)


def test_a_daemon_that_forks_twice_is_not_lost_sight_of(clients: dict[str, Client]) -> None:
    for client in those(clients):
        twice = "(sleep 98 >/dev/null 2>&1 &) >/dev/null 2>&1 & exit 0"
        client.start(*(client.service(f"c{n}", twice, ready="true") for n in range(6)))
    for client in clients.values():
        told = client.decided(*client.specs.values())
        assert [report.result for report in told.values()] == [None] * 6


def test_one_that_was_ready_lives_on_without_its_first_process_only_if_it_still_answers(
    clients: dict[str, Client],
) -> None:
    """What a server has left that ended with rc 0 need not be a daemon that serves."""
    serves = "sleep 94 >/dev/null 2>&1 & until [ -e $END ]; do sleep 0.1; done; exit 0"
    for client in those(clients):
        end = client.base / client.run
        given = {"env": (("END", str(end)),)}
        gone = client.service("gone", serves, ready="[ ! -e $END ]", **given)
        daemon = client.service("daemon", serves, ready="true", **given)
        client.start(gone, daemon)
        told = client.decided(gone, daemon)
        assert [report.result for report in told.values()] == [None] * 2
        end.touch()
    for client in clients.values():
        result = client.results(client.specs["gone"])["gone"]
        assert (result.state, result.rc) == (State.SUCCEEDED, 0)
        daemon = client.specs["daemon"]
        client.eventually((run_of(client) / daemon.id / "stays").exists)
        assert not proof(client, daemon)


class Hidden(Client):
    """A target whose user sees no processes of others, or with ``none`` no process at all."""

    none = False

    def output(self, request: str) -> bytes:
        mount = "mount -t tmpfs none" if self.none else "mount -t proc -o hidepid=2 proc"
        words = (
            "unshare",
            "-m",
            "sh",
            "-c",
            f'mount --make-rprivate / && {mount} /proc && exec "$@"',
        )
        alone = ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups")
        return subprocess.run(
            [*words, "sh", *alone, "sh", "-c", request],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=60, cwd=self.base,
        ).stdout  # fmt: skip


class Blind(Hidden):
    none = True


def test_a_ready_command_ends_also_where_no_process_can_be_seen(test_user: TestUser) -> None:
    client = Blind(Path("/bin/sh"), test_user.home, user=test_user.uid)
    late = client.service("late", "exec sleep 91", ready="sleep 96; :", ready_timeout_s=2)
    ended = client.service("ended", "exec sleep 92", ready="sleep 97; :")
    client.start(late, ended)
    client.eventually(lambda: bool(client.processes("sleep\x0097")))
    client.ask(requests.cancel_request, [ended])
    told = client.results(late, ended)
    assert [told[name].state for name in ("late", "ended")] == [State.NOT_READY, State.CANCELLED]
    client.eventually(lambda: not client.processes(client.run))
    client.clean()


@pytest.mark.parametrize("kind", [Client, Hidden])
def test_a_program_that_becomes_another_users_is_taken_to_live(
    test_user: TestUser, kind: type[Client]
) -> None:
    """As sudo does: nobody but root can look at its program or its variables."""
    program = test_user.home / "sleep"
    shutil.copy(shutil.which("sleep") or "", program)
    program.chmod(0o4755)
    client = kind(Path("/bin/sh"), test_user.home, user=test_user.uid)
    try:
        spec = client.service("c", f"exec {program} 91", ready="true")
        client.start(spec)
        report = client.decided(spec)["c"]
        assert report.result is None
        assert (report.ready_s or 99) < 5
        assert not proof(client, spec)
        os.kill(leader(client, spec), signal.SIGKILL)
        assert client.results(spec)["c"].rc == 137
    finally:
        client.clean()


@pytest.mark.skipif(os.getuid() != 0, reason="root alone can say which number comes next")
def test_a_stranger_with_the_number_of_a_process_that_has_ended_is_left_alone(
    local: Client,
) -> None:
    spec = local.service("c", "sleep 97.1 & setsid sleep 97.2 >/dev/null 2>&1 & exit 0")
    local.start(spec)
    local.decided(spec)
    local.eventually((run_of(local) / spec.id / "stays").exists)
    number = leader(local, spec)
    (pid,) = local.processes("sleep\x0097.1")
    os.kill(pid, signal.SIGKILL)
    local.eventually(lambda: find(pid) is None)
    with stranger(number) as process:
        (pid,) = local.processes("sleep\x0097.2")
        os.kill(pid, signal.SIGKILL)
        result = local.results(spec)["c"]
        assert (result.state, result.rc) == (State.SUCCEEDED, 0)
        assert process.poll() is None


@contextmanager
def stranger(pid: int) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a process of nobody's with this id, which leads a session of its own."""
    made: list[subprocess.Popen[bytes]] = []

    def is_there() -> bool:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(["sleep", "97.3"], start_new_session=True, env={})
        if process.pid == pid:
            made.append(process)
        else:
            process.kill()
            process.wait()
        return bool(made)

    assert wait_until(is_there, 20), f"another process has the id {pid}"
    yield made[0]
    made[0].kill()
    made[0].wait()
