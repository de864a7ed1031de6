"""What another local user of a target can do: not have us run his program, nor pretend to be us."""

import os
import secrets
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from support.machines import SHELLS, SSHServer, TestUser, require, shell_as_sh
from support.real_targets import RealRun, target
from support.supervisor_client import Client

from pytest_bgcheck.model import State
from pytest_bgcheck.target import replies, requests
from pytest_bgcheck.target.replies import Reply
from pytest_bgcheck.target.requests import Spec

# The same on every Python.
pytestmark = pytest.mark.once


@pytest.fixture
def base(test_user: TestUser) -> Iterator[Path]:
    """A directory that belongs to another user, who can do there what he likes."""
    require(os.getuid() == 0, "root, to be two users", "run the tests as root")
    path = test_user.home / secrets.token_hex(4)
    path.mkdir()
    os.chown(path, test_user.uid, test_user.gid)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


class Intruder:
    """Another user, who knows all that can be read in argument lists."""

    def __init__(self, user: TestUser, base: Path, run: str) -> None:
        self.uid, self.gid, self.base = user.uid, user.gid, base
        self.root = base / f"pytest-bgcheck-{os.getuid()}"
        self.run = self.root / run
        self.program = self.run / "supervisor.sh"
        self.trace = base / "executed"
        self.away = base / "away"

    def plant(self, root: Path) -> None:
        run = root / self.run.name
        run.mkdir(parents=True)
        program = run / "supervisor.sh"
        program.write_text(f"#!/bin/sh\nid -u >>{self.trace}\n")
        for path, mode in ((program, 0o755), (run, 0o700), (root, 0o700)):
            path.chmod(mode)
            os.chown(path, self.uid, self.gid)

    def replace(self) -> None:
        self.root.rename(self.away)
        self.plant(self.root)

    def link(self) -> None:
        self.root.rename(self.away)
        self.root.symlink_to(self.away)

    def link_to_his(self) -> None:
        self.root.rename(self.away)
        self.plant(self.base / "his")
        self.root.symlink_to(self.base / "his")

    def link_to_run(self) -> None:
        self.run.rename(self.base / "elsewhere")
        self.run.symlink_to(self.base / "elsewhere")

    def undo(self) -> None:
        for moved, place in ((self.away, self.root), (self.base / "elsewhere", self.run)):
            if moved.exists():
                subprocess.run(["rm", "-rf", str(place), str(self.base / "his")], check=True)
                moved.rename(place)
        with suppress(OSError):  # there is none
            os.removexattr(self.root, "system.posix_acl_access")
        for path, mode in ((self.root, 0o700), (self.run, 0o700), (self.program, 0o600)):
            os.chown(path, 0, 0)
            path.chmod(mode)


def allow(path: Path, uid: int) -> None:
    """Give a directory of mode 0700 an access list, as setfacl does."""
    entries = [(1, 7, -1), (2, 7, uid), (4, 0, -1), (0x10, 0, -1), (0x20, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", acl)


def ask(client: Client, spec: Spec, verb: str) -> Reply:
    """Make a request that goes into the run's directory."""
    match verb:
        case "await":
            return client.ask(requests.await_request, 1, [spec])
        case "tail":
            return client.ask(requests.tail_request, [spec])
        case "cancel":
            return client.ask(requests.cancel_request, [spec])
        case "clean":
            return client.ask(requests.clean_request, client.run, False)
    nonce = secrets.token_hex(8)
    request = requests.clean_request(str(client.base), nonce, client.run, False, client.shell)
    return replies.parse(nonce, client.output(request))


def test_a_clean_up_below_a_directory_that_is_not_there_accuses_no_other(tmp_path: Path) -> None:
    client = Client(Path("/bin/sh"), tmp_path)
    nonce = secrets.token_hex(8)
    request = requests.clean_request(str(tmp_path / "no" / "such"), nonce, client.run, False)
    reply = replies.parse(nonce, client.output(request))
    assert (reply.gone, reply.refused) == (True, {})


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_not_safely_ours_is_not_entered_and_the_reason_told(
    tmp_path: Path, base: Path, test_user: TestUser, shell: str
) -> None:
    client = Client(shell_as_sh(shell, tmp_path), base)
    spec = client.spec("c", "sleep 95")
    assert client.start(spec).refused == {}
    other = Intruder(test_user, base, client.run)
    foreign = f"belongs to the user {test_user.uid}, not to 0"
    attacks: list[tuple[Callable[[], object], str]] = [
        (other.replace, foreign),
        (other.link, f"{other.root} is a link"),
        (other.link_to_his, f"{other.root} is a link"),
        (other.link_to_run, f"{other.run} is a link"),
        (lambda: os.chown(other.root, other.uid, 0), foreign),
        (lambda: os.chown(other.run, other.uid, 0), foreign),
        (lambda: other.root.chmod(0o777), f"{other.root} is open to others (drwxrwxrwx)"),
        (lambda: other.run.chmod(0o750), f"{other.run} is open to others (drwxr-x---)"),
        (lambda: os.chown(other.program, other.uid, 0), "could have been written by others"),
        (lambda: other.program.chmod(0o666), "could have been written by others"),
    ]
    verbs = ["await", "tail", "cancel", "clean", "find"]
    if shell == "dash":
        # Not shown by busybox' ls.
        acl = f"{other.root} is open to others (drwx------+)"
        attacks.append((lambda: allow(other.root, other.uid), acl))
    else:
        attacks, verbs = attacks[::2], verbs[1::3]
    try:
        for number, (attack, reason) in enumerate(attacks):
            attack()
            for verb in verbs:
                reply = ask(client, spec, verb)
                assert reply.gone, (number, verb)
                assert reason in reply.refused.get("*", ""), (number, verb, reply)
            directory = client.directory
            again = client.start(client.spec("late", "true"))
            client.directory = directory
            assert reason in again.refused["*"], number
            other.undo()
    finally:
        other.undo()
    assert not other.trace.exists()
    # The true one has not noticed any of it.
    (report,) = client.ask(requests.tail_request, [spec]).reports
    assert report.result is None
    assert not report.gone
    client.clean()


def test_a_directory_that_is_replaced_while_a_job_runs_is_told_over_ssh(
    base: Path, test_user: TestUser, ssh_server: SSHServer
) -> None:
    real_run = RealRun(base)
    place = target("ssh://target", ssh_config=str(ssh_server.client_config))
    job = real_run.running(place, "sleep 95")
    other = Intruder(test_user, base, real_run.run)
    other.replace()
    real_run.runner.cancel(job)  # which is not done, but wakes nobody
    again = real_run.submit(place, "true", "late")
    assert real_run.result(again).state is State.NOT_STARTED
    assert f"belongs to the user {test_user.uid}" in real_run.result(again).detail
    other.undo()
    assert real_run.close() == []
    assert not other.trace.exists()


def test_nobody_stands_for_a_supervisor_by_what_his_arguments_say(
    tmp_path: Path, test_user: TestUser
) -> None:
    client = Client(Path("/bin/sh"), tmp_path)
    spec = client.spec("c", "sleep 95")
    client.start(spec)
    told = ["./supervisor.sh", "run", "sh", spec.id, f"run:{spec.id}", f"guard:{spec.id}"]
    pretender = subprocess.Popen(
        ["/bin/sh", "-c", "read x", *told],
        stdin=subprocess.PIPE, user=test_user.uid, cwd="/",
    )  # fmt: skip
    try:
        pids = set(client.processes(f"run:{spec.id}")) | set(client.processes(f"guard:{spec.id}"))
        with client.waiting(spec) as waiter:
            for pid in pids - {pretender.pid}:
                os.kill(pid, 9)
            assert waiter.state()[0] is State.LOST
        # Nor does he hold up a clean-up, or is harmed by it.
        assert client.ask(requests.clean_request, client.run, False).left == 0
        assert not Path(os.fsdecode(client.directory)).exists()
        assert pretender.poll() is None
    finally:
        pretender.kill()
        pretender.communicate()


# --- two runs of one user -------------------------------------------------------------------------


VANISHING = """#!/bin/sh
# Another run ends, and with it goes the user's directory, in each place once.
case "$*" in
*pytest-bgcheck-*) {real} "$@"; [ -e {here}/1 ] || {{ >{here}/1; rmdir {root}; }} ;;
*) [ -e {here}/2 ] || {{ >{here}/2; rmdir {root}; }}; exec {real} "$@" ;;
esac
"""


@pytest.mark.parametrize("shell", ["dash", "bash", "ksh93", "zsh", "yash"])
def test_a_start_goes_on_where_another_run_has_removed_the_directory(
    tmp_path: Path, shell: str
) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    root = tmp_path / f"pytest-bgcheck-{os.getuid()}"
    path.joinpath("mkdir").write_text(VANISHING.format(real="/bin/mkdir", here=tmp_path, root=root))
    path.joinpath("mkdir").chmod(0o755)
    client = Client(shell_as_sh(shell, tmp_path), tmp_path,
                    {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"})  # fmt: skip
    spec = client.spec("c", "exit 5")
    assert client.start(spec).refused == {}
    assert tmp_path.joinpath("1").exists()
    assert tmp_path.joinpath("2").exists()
    assert client.results(spec)["c"].rc == 5
    client.clean()


def test_runs_that_begin_and_end_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    def runs(_: int) -> list[dict[str, str]]:
        refused = []
        for _ in range(10):
            client = Client(Path("/bin/sh"), tmp_path)
            refused.append(client.start(client.spec("c", "true")).refused)
            client.ask(requests.clean_request, client.run, False)
        return refused

    with ThreadPoolExecutor(4) as pool:
        assert [told for found in pool.map(runs, range(4)) for told in found] == [{}] * 40


@pytest.mark.parametrize("shell", ["dash", "busybox", "ksh93", "yash"])
def test_old_runs_are_swept_if_nobody_looks_after_them_and_they_are_ours(
    tmp_path: Path, shell: str
) -> None:
    dead, alive, opened, now = (
        Client(shell_as_sh(shell, tmp_path), tmp_path) for _ in ("dead", "alive", "opened", "now")
    )
    places = []
    for client, command in ((dead, "true"), (alive, "sleep 95"), (opened, "true")):
        spec = client.spec("c", command)
        client.start(spec)
        if client is not alive:
            client.results(spec)
        places.append(Path(os.fsdecode(client.directory)))
    places[2].chmod(0o755)
    for place in places:
        os.utime(place, (1, 1))
    now.start(now.spec("c", "true"))
    now.clean()
    assert [place.exists() for place in places] == [False, True, True]
    places[2].chmod(0o700)
    alive.clean()
    opened.clean()


# --- files ----------------------------------------------------------------------------------------


def test_nothing_that_is_made_is_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    client = Client(Path("/bin/sh"), tmp_path)
    output = client.output
    client.output = lambda request: output(f"umask 0; {request}")  # type: ignore[method-assign]
    spec = client.spec("c", "umask; sleep 95")
    client.start(spec)
    nonce = secrets.token_hex(8)
    request = requests.await_request(client.directory, nonce, 60, [spec], client.shell)
    with subprocess.Popen(
        ["/bin/sh", "-c", f"umask 0; {request}"], stdout=subprocess.DEVNULL
    ) as waiter:
        try:
            run = Path(os.fsdecode(client.directory))
            client.eventually(lambda: bool(list(run.glob("bell.*"))))
            paths = [run, *run.rglob("*")]
            opened = {p.name: oct(p.stat().st_mode) for p in paths if p.stat().st_mode & 0o77}
            client.eventually(
                lambda: client.ask(requests.tail_request, [spec]).reports[0].stdout.size > 0
            )
            (report,) = client.ask(requests.tail_request, [spec]).reports
        finally:
            client.clean()
            waiter.wait(20)
    assert opened == {}
    assert int(report.stdout.bytes(), 8) == 0
