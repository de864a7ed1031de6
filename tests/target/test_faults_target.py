"""What can happen to a job on its target: its processes killed or stopped, its files taken away.

Most of it under every shell, through the protocol's own requests, since there is no one left in
such a case but the supervisor's own program.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from support.bench import Bench, target
from support.machines import ChrootDir, TestUser, require
from support.machines.machine import run, run_checked, wait_until
from support.machines.processes import kill, with_argument
from support.supervised import Client, fleet

from pytest_bgcheck import OutputCut
from pytest_bgcheck.model import State
from pytest_bgcheck.target import replies, requests
from pytest_bgcheck.target.replies import Reply
from pytest_bgcheck.target.requests import Spec


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[dict[str, Client]]:
    """A target with each shell, to be harmed all at once: most of the time goes into waiting."""
    ours = fleet(tmp_path)
    yield ours
    for client in ours.values():
        client.clean()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Client]:
    ours = Client(Path("/bin/sh"), tmp_path)
    yield ours
    ours.clean()


def running(client: Client, command: object = "sleep 91 & sleep 92", **given: object) -> Spec:
    """Start a check and see it run."""
    spec = client.spec("c", command, **given)
    reply = client.start(spec)
    assert reply.started == {spec.id}, reply
    client.eventually(lambda: bool(client.processes(f"PYTEST_BGCHECK_JOB={spec.id}")))
    return spec


def nothing_runs(client: Client) -> None:
    client.eventually(lambda: not client.processes(f"PYTEST_BGCHECK_JOB={client.run}"))
    client.eventually(lambda: not client.processes(client.run))


def run_of(client: Client) -> Path:
    return Path(os.fsdecode(client.directory))


def remove(directory: Path) -> None:
    """As a cleaner does that finds everything too old, also what was made meanwhile."""
    assert wait_until(lambda: run("rm", "-rf", str(directory)).returncode == 0, 10)


def rename(job: Path, pattern: str, change: "dict[int, str]") -> None:
    """Change parts, by their numbers, of the name of a job's file."""
    (path,) = job.glob(pattern)
    parts = path.name.split(".")
    for number, part in change.items():
        parts[number] = part
    path.rename(job / ".".join(parts))


READ_ONLY = "its directory on the target cannot be written any more"


# --- killed ---------------------------------------------------------------------------------------


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
    assert "did not come up" in reply.refused[spec.id]
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


# --- taken away -----------------------------------------------------------------------------------


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


# --- after a restart ------------------------------------------------------------------------------


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


# --- checks that do not want to end ---------------------------------------------------------------

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
    assert f"possibly this check's, so not killed: processes {daemon.pid}" in result.detail
    kill([daemon])


def test_a_check_ends_when_its_own_process_does(clients: dict[str, Client]) -> None:
    for client in clients.values():
        result = client.finish("(setsid sleep 97.1 &) 2>/dev/null; sleep 97.1 & echo said; exit 4")
        assert (result.state, result.rc, result.stdout) == (State.SUCCEEDED, 4, "said\n")


def test_a_check_has_the_umask_of_whoever_logs_in(local: Client) -> None:
    assert int(local.finish("umask").stdout, 8) == int(
        subprocess.run("umask", shell=True, capture_output=True, check=True, text=True).stdout, 8
    )


# --- no space left --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Client]:
    """A target with a file system of 64 kB and 40 files for its runs."""
    require(os.getuid() == 0, "root, to mount", "run the tests as root")
    path = tmp_path / "small"
    path.mkdir()
    options = "size=64k,nr_inodes=40,mode=700"
    done = run("mount", "-t", "tmpfs", "-o", options, "bgcheck", str(path))
    require(done.returncode == 0, f"the right to mount ({done.stderr})", "run privileged")
    ours = Client(Path("/bin/sh"), path)
    yield ours
    path.joinpath("filler").unlink(missing_ok=True)
    for file in path.glob("inode.*"):
        file.unlink()
    ours.clean()
    run_checked("umount", "--lazy", str(path))


def fill_space(client: Client) -> None:
    run("dd", "if=/dev/zero", f"of={client.base}/filler", "bs=1k")


def fill_inodes(client: Client) -> None:
    for number in range(100):
        try:
            client.base.joinpath(f"inode.{number}").touch()
        except OSError:
            break


@pytest.mark.parametrize("fill", [fill_space, fill_inodes])
def test_a_full_disk_before_the_start_is_not_started_with_the_reason(
    small: Client, fill: Callable[[Client], None]
) -> None:
    fill(small)
    (reason,) = small.start(small.spec("c", "true")).refused.values()
    assert "No space left on device" in reason


def test_a_specification_that_does_not_fit_is_not_started(small: Client) -> None:
    (reason,) = small.start(small.spec("c", ["echo", "x" * 60_000])).refused.values()
    assert "o space left on device" in reason


def test_a_disk_that_fills_with_output_leaves_the_true_rc_and_says_so(small: Client) -> None:
    loud = "trap '' PIPE; yes 2>/dev/null; echo never >&2; exit 5"
    result = small.finish(loud)
    assert (result.state, result.rc) == (State.SUCCEEDED, 5)
    assert result.detail == "output cut short: no space left where the target keeps it"
    assert result.stdout_kept.text().startswith("y\ny\n")
    with pytest.raises(OutputCut, match="no space left"):
        assert "never" not in result.stderr


def test_a_wait_without_inodes_goes_on(small: Client) -> None:
    spec = running(small, "sleep 2; echo said")
    fill_inodes(small)
    result = small.results(spec)["c"]
    assert (result.state, result.rc, result.stdout) == (State.SUCCEEDED, 0, "said\n")


# --- clocks ---------------------------------------------------------------------------------------

JUMPING = """#!/bin/sh
# Forward by a year, and back.
read n <{file}; echo $((n + 1)) >{file}
case $n in *[13579]) echo $((1800000000 + n)) ;; *) echo $((1700000000 + n)) ;; esac
"""


def test_a_clock_that_jumps_changes_nothing(local: Client, tmp_path: Path) -> None:
    path = tmp_path / "jumping"
    path.mkdir()
    path.joinpath("n").write_text("0\n")
    path.joinpath("date").write_text(JUMPING.format(file=path / "n"))
    path.joinpath("date").chmod(0o755)
    local.env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
    ended, limited = local.spec("a", "sleep 1"), local.spec("b", "sleep 98", timeout=2, grace=0)
    local.start(ended, limited)
    results = local.results(ended, limited)
    assert results["a"].rc == 0
    assert 0.9 < (results["a"].duration or 0) < 20
    assert results["b"].state is State.TIMED_OUT
    assert 1.9 < (results["b"].duration or 0) < 20


def test_without_proc_a_clock_that_jumps_changes_no_verdict() -> None:
    """Where there is no monotonic clock to ask, what the guard has waited counts."""
    with ChrootDir(proc=False) as chroot:
        date = chroot.path / "bin/date"
        date.unlink()
        (chroot.path / "tmp/n").write_text("0\n")
        date.write_text(JUMPING.format(file="/tmp/n"))
        date.chmod(0o755)
        bench = Bench("/tmp")
        place = target(str(chroot.path), connection="chroot")
        ended, limited = bench.submit_all(
            [
                (place, "sleep 1; exit 4", "a", {"timeout": 30}),
                (place, "sleep 98", "b", {"timeout": 2, "grace": 0}),
            ]
        )
        assert bench.result(ended, 20).rc == 4
        assert ended.result is not None
        assert 0 <= (ended.result.duration or 0) <= 30
        assert bench.result(limited, 20).state is State.TIMED_OUT
        assert bench.close() == []
