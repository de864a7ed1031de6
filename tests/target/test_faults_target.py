"""What can happen to a job on its target: its processes killed, its files taken away.

Most of it under every shell, through the protocol's own requests, since there is no one left in
such a case but the supervisor's own program.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from support.machines import TestUser, require
from support.machines.machine import run, run_checked, wait_until
from support.supervisor_client import Client, nothing_runs, rename, run_of, running

from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests
from pytest_bgcheck.target.requests import Spec

pytestmark = pytest.mark.once


def remove(directory: Path) -> None:
    """As a cleaner does that finds everything too old, also what was made meanwhile."""
    assert wait_until(lambda: run("rm", "-rf", str(directory)).returncode == 0, 10)


READ_ONLY = "its directory on the target can no longer be written"


Harm = Callable[[Client, Spec], None]


def kill_both(client: Client, spec: Spec) -> None:
    client.kill("guard", "run")


def kill_group(client: Client, spec: Spec) -> None:
    (supervisor,) = client.processes(f"run:{spec.id}")
    os.killpg(os.getpgid(supervisor), signal.SIGKILL)


def kill_supervisor(client: Client, spec: Spec) -> None:
    client.kill("run")


def remove_job(client: Client, spec: Spec) -> None:
    remove(run_of(client) / spec.id)


def remove_run(client: Client, spec: Spec) -> None:
    remove(run_of(client))


@pytest.mark.parametrize("harm", [kill_supervisor, kill_both, kill_group, remove_job])
def test_a_harmed_job_is_lost_at_once_and_its_tree_killed(
    clients: dict[str, Client], harm: Harm
) -> None:
    with ExitStack() as stack:
        waiters = {}
        for shell, client in clients.items():
            spec = running(client)
            waiters[shell] = stack.enter_context(client.waiting(spec))
            harm(client, spec)
        states = {shell: waiter.state()[0] for shell, waiter in waiters.items()}
    assert states == dict.fromkeys(clients, State.LOST)
    for client in clients.values():
        nothing_runs(client)


def test_a_removed_run_is_lost_at_once_and_its_tree_killed(clients: dict[str, Client]) -> None:
    with ExitStack() as stack:
        specs, waiters = {}, {}
        for shell, client in clients.items():
            specs[shell] = running(client)
            waiters[shell] = stack.enter_context(client.waiting(specs[shell]))
            remove(run_of(client))
        for shell, client in clients.items():
            waiters[shell].ends()
            assert client.ask(requests.await_request, 1, [specs[shell]]).gone
    for client in clients.values():
        nothing_runs(client)


def _replaced(client: Client, spec: Spec, old: int) -> bool:
    return client.guards(spec) not in ([], [old])


def test_a_killed_guard_is_replaced_at_once(clients: dict[str, Client]) -> None:
    with ExitStack() as stack:
        waiters = {}
        for shell in set(clients) - {"dash", "yash", "bare busybox", "bare yash"}:
            del clients[shell]
        for shell, client in clients.items():
            spec = running(client, timeout=4)
            (old,) = client.guards(spec)
            waiters[shell] = stack.enter_context(client.waiting(spec))
            client.kill("guard")
            client.eventually(partial(_replaced, client, spec, old))
        states = {shell: waiter.state()[0] for shell, waiter in waiters.items()}
    assert states == dict.fromkeys(clients, State.TIMED_OUT)


def test_a_job_is_proven_to_run_by_a_look_at_its_processes(clients: dict[str, Client]) -> None:
    """The states of files alone would tell that of a job whose target has restarted."""
    proof = partial(requests.await_request, proof=True)
    for shell, client in clients.items():
        lost, spec = client.spec("lost", "sleep 91"), client.spec("c", "sleep 92")
        ended = client.spec("ended", "exit 3")
        client.start(lost, spec, ended)
        client.results(ended)
        (told,) = client.ask(proof, 5, [spec, ended, lost]).reports
        assert (told.id, told.result and told.result.rc) == (ended.id, 3), shell
        reply = client.ask(proof, 5, [spec, lost])
        assert (reply.reports, reply.refused) == ((), {}), shell

        for kind in ("guard", "run"):
            for pid in client.processes(f"{kind}:{lost.id}"):
                os.kill(pid, signal.SIGKILL)
        (told,) = client.ask(proof, 20, [spec, lost]).reports
        assert (told.id, told.result and told.result.state) == (lost.id, State.LOST), shell

        (old,) = client.guards(spec)
        os.kill(old, signal.SIGKILL)
        reply = client.ask(proof, 20, [spec])
        assert (reply.reports, reply.refused) == ((), {}), shell

        # It has ended, and its supervisor does not come to say so.
        (supervisor,) = client.processes(f"run:{spec.id}")
        (leader,) = (run_of(client) / spec.id).glob("pid.*")
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(int(leader.name.split(".")[1]), signal.SIGKILL)
        reply = client.ask(proof, 1, [spec])
        assert (reply.reports, list(reply.refused)) == ((), ["*"]), shell
        os.kill(supervisor, signal.SIGCONT)
        (told,) = client.ask(proof, 20, [spec]).reports
        assert (told.id, told.result and told.result.rc) == (spec.id, 137), shell


def test_a_lost_job_is_missed_while_others_end(local: Client) -> None:
    lost = local.spec("lost", "sleep 91")
    others = [local.spec(f"c{n}", f"sleep {2 + n * 0.4:.1f}") for n in range(15)]
    local.start(lost, *others)
    ended = Path(os.fsdecode(local.directory)) / others[0].id
    with local.waiting(lost, *others) as waiter:
        # It has looked at all of them when the first end is told.
        local.eventually(lambda: bool(list(ended.glob("state.exit.*"))))
        for kind in ("guard", "run"):
            for pid in local.processes(f"{kind}:{lost.id}"):
                os.kill(pid, signal.SIGKILL)
        told = [report.id for reply in waiter.replies() for report in reply.reports]
    assert set(told) == {spec.id for spec in [lost, *others]}
    # Found by looking, which must not wait for a pause between the ends.
    assert told[-1] != lost.id


@pytest.fixture
def other(test_user: TestUser) -> Iterator[Client]:
    """A target as another user than root, for whom permissions hold."""
    base = test_user.home / "base"
    base.mkdir()
    os.chown(base, test_user.uid, test_user.gid)
    ours = Client(Path("/bin/sh"), base, user=test_user.uid)
    yield ours
    ours.clean()
    base.rmdir()


def test_a_run_made_read_only_is_lost_at_once_and_its_tree_killed(other: Client) -> None:
    spec = running(other)
    job = run_of(other) / spec.id
    with other.waiting(spec) as waiter:
        job.chmod(0o500)
        run_of(other).chmod(0o500)
        assert waiter.state() == (State.LOST, READ_ONLY)
    other.eventually(lambda: not other.processes(other.run))
    # A later call cannot even make its bell there.
    assert other.results(spec)["c"].detail == READ_ONLY
    run_of(other).chmod(0o700)
    job.chmod(0o700)


def test_a_job_of_root_made_immutable_is_lost(local: Client) -> None:
    spec = running(local)
    job = run_of(local) / spec.id
    done = run("chattr", "+i", str(job))
    require(done.returncode == 0, f"a file system with chattr ({done.stderr.strip()})", "use ext4")
    try:
        with local.waiting(spec) as waiter:
            assert waiter.state() == (State.LOST, READ_ONLY)
        nothing_runs(local)
    finally:
        run_checked("chattr", "-i", str(job))


@pytest.fixture
def innocent() -> Iterator["subprocess.Popen[bytes]"]:
    """Somebody else's process, which leads a session."""
    with subprocess.Popen(["sleep", "94"], start_new_session=True) as process:
        yield process
        process.kill()


def test_who_got_a_process_id_of_the_check_after_a_restart_is_not_harmed(
    clients: dict[str, Client], innocent: "subprocess.Popen[bytes]"
) -> None:
    """A restarted target gives the same numbers to others."""
    for client in clients.values():
        spec = running(client)
        client.kill("guard", "run")
        for pid in client.processes(f"PYTEST_BGCHECK_JOB={spec.id}"):
            os.kill(pid, signal.SIGKILL)
        job = run_of(client) / spec.id
        # Its clock has begun anew: the job began in the future.
        rename(job, "state.run.*", {2: "99999000", 5: str(innocent.pid), 6: str(innocent.pid)})
        rename(job, "pid.*", {1: str(innocent.pid)})
        assert client.results(spec)["c"].state is State.LOST
    assert innocent.poll() is None


def test_a_new_guard_that_got_the_number_of_the_old_supervisor_takes_itself_for_none(
    local: Client,
) -> None:
    spec = running(local)
    local.kill("guard", "run")
    for pid in local.processes(f"PYTEST_BGCHECK_JOB={spec.id}"):
        os.kill(pid, signal.SIGKILL)
    job = run_of(local) / spec.id
    # Any process of ours that is in the job's directory stands for the new guard.
    with subprocess.Popen(["sleep", "94"], cwd=job) as other:
        rename(job, "state.run.*", {5: str(other.pid)})
        try:
            assert local.results(spec)["c"].state is State.LOST
        finally:
            other.kill()
