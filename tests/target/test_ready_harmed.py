"""What can happen to a service that is not ready yet: its processes killed or stopped, its files
taken away, its run ended. It is decided all the same, and nothing of it is left.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest
from support.supervisor_client import Client, nothing_runs, run_of

from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests
from pytest_bgcheck.target.requests import Spec

pytestmark = pytest.mark.once

SHELLS = ("dash", "bare busybox", "bare yash")

LOOK = "sleep 95.3 & [ -e $OPEN ]"
"""Ready as soon as the file is there; it leaves a process each time."""


def starting(client: Client, name: str, **given: object) -> Spec:
    """Start a service, and see its watcher look at it."""
    given = {"ready": LOOK, "env": (("OPEN", str(client.base / client.run)),), **given}
    spec = client.service(name, "sleep 95.4 & sleep 95.4", **given)
    assert client.start(spec).started == {spec.id}
    job = run_of(client) / spec.id
    client.eventually(lambda: bool(list(job.glob("look.out.*"))))
    return spec


def those(clients: dict[str, Client]) -> list[Client]:
    for shell in set(clients) - set(SHELLS):
        del clients[shell]
    return list(clients.values())


def harm(client: Client, *kinds: str, signum: signal.Signals = signal.SIGKILL) -> None:
    client.kill(*kinds, signum=signum)


def test_a_killed_watcher_is_followed_by_another(clients: dict[str, Client]) -> None:
    for client in those(clients):
        starting(client, "c")
        harm(client, "watch")
    begun = time.monotonic()
    for client in clients.values():
        client.base.joinpath(client.run).touch()
        report = client.decided(client.specs["c"])["c"]
        assert report.ready_s is not None, report
    print(f"all ready {time.monotonic() - begun:.1f} s after their watchers were killed")


def test_what_a_guard_looks_after_goes_on_without_it(clients: dict[str, Client]) -> None:
    for client in those(clients):
        starting(client, "becomes")
        starting(client, "never", ready="exit 6", ready_timeout_s=10.0)
        harm(client, "guard", "watch")
        client.base.joinpath(client.run).touch()
    for client in clients.values():
        told = client.decided(*client.specs.values())
        assert told["becomes"].ready_s is not None
        result = told["never"].result
        assert result is not None
        assert (result.state, result.detail) == (
            State.NOT_READY, "its ready command last ended with rc 6",
        )  # fmt: skip


def test_a_stopped_watcher_keeps_nothing_from_its_end(clients: dict[str, Client]) -> None:
    for client in those(clients):
        starting(client, "c", ready_timeout_s=8.0)
        harm(client, "watch", signum=signal.SIGSTOP)
    for client in clients.values():
        result = client.decided(client.specs["c"])["c"].result
        assert result is not None
        assert result.state is State.NOT_READY
        nothing_runs(client)


def kill_supervisor(client: Client, spec: Spec) -> None:
    harm(client, "run")


def kill_all(client: Client, spec: Spec) -> None:
    harm(client, "guard", "run", "watch")


def remove_job(client: Client, spec: Spec) -> None:
    client.eventually(partial(_removed, client, spec))


def _removed(client: Client, spec: Spec) -> bool:
    job = run_of(client) / spec.id
    shutil.rmtree(job, ignore_errors=True)
    return not job.exists()


@pytest.mark.parametrize("harm", [kill_supervisor, kill_all, remove_job])
def test_a_harmed_service_is_lost_at_once_and_its_tree_killed(
    clients: dict[str, Client], harm: Callable[[Client, Spec], None]
) -> None:
    for client in those(clients):
        spec = starting(client, "c")
        with client.waiting(spec, unready={spec.id}) as waiter:
            harm(client, spec)
            assert waiter.state()[0] is State.LOST
    for client in clients.values():
        nothing_runs(client)


def test_a_service_that_is_stopped_before_it_is_ready_leaves_nothing(
    clients: dict[str, Client],
) -> None:
    for client in those(clients):
        spec = starting(client, "c")
        client.ask(requests.cancel_request, [spec])
    for client in clients.values():
        result = client.decided(client.specs["c"])["c"].result
        assert result is not None
        assert (result.state, result.ready_s) == (State.CANCELLED, None)
        nothing_runs(client)


def test_a_run_that_ends_before_a_service_is_ready_leaves_nothing(
    clients: dict[str, Client],
) -> None:
    for number, client in enumerate(those(clients)):
        if number % 2:
            starting(client, "c")
        else:
            # At any moment of its start.
            client.start(client.service("c", "sleep 95.4", ready="sleep 95.3"))
        client.clean()
        client.directory = b""
        nothing_runs(client)


def test_a_stopped_watcher_keeps_no_run_from_its_end(local: Client) -> None:
    starting(local, "c")
    harm(local, "watch", signum=signal.SIGSTOP)
    local.clean()
    local.directory = b""
    nothing_runs(local)


def test_that_a_service_is_ready_is_told_though_nobody_rings(clients: dict[str, Client]) -> None:
    for client in those(clients):
        spec = starting(client, "c")
        with client.waiting(spec, stream=False, unready={spec.id}) as waiter:
            job = run_of(client) / spec.id
            (unready,) = job.glob("unready.*")
            os.rename(unready, job / "ready.7")
            (reply,) = waiter.replies()
        assert [report.ready_s for report in reply.reports] == [0.07]
