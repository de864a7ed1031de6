"""Containers that end, logins that are odd, directories that are not ours: over real backends."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import DockerEngine, SSHServer, TestUser, require, tool
from support.machines.machine import run_checked, wait_until
from support.machines.processes import with_argument
from support.real_targets import RealRun, target

from pytest_bgcheck.model import State
from pytest_bgcheck.target.records import Target

# The same on every Python.
pytestmark = pytest.mark.once


@pytest.fixture
def real_run(tmp_path: Path) -> Iterator[RealRun]:
    """Over backends whose files lie elsewhere: in their own /tmp."""
    ours = RealRun()
    yield ours
    ours.close()


# --- containers -----------------------------------------------------------------------------------


def test_a_container_that_ends_has_lost_its_jobs_at_once(
    real_run: RealRun, docker_engine: DockerEngine
) -> None:
    """Restarted, stopped, and gone: what ran in it has ended, that is certain."""
    restarted, stopped, gone = (
        docker_engine.container(),
        docker_engine.container(stays=True),
        docker_engine.container(),
    )
    places = [target(f"docker://{c.name}") for c in (restarted, stopped, gone)]
    jobs = real_run.submit_all([(place, "sleep 86", "c", {}) for place in places])
    real_run.until(lambda: all(job.state is not State.PENDING for job in jobs))
    restarted.restart()
    stopped.halt()
    gone.stop()
    assert [result.state for result in real_run.results(jobs, 30)] == [State.LOST] * 3
    assert real_run.submit(places[0], "true", "again").state is State.PENDING
    assert real_run.close() == []
    stopped.remove()
    restarted.remove()


def test_a_container_that_is_not_there_starts_nothing(
    real_run: RealRun, docker_engine: DockerEngine
) -> None:
    halted = docker_engine.container(stays=True)
    halted.halt()
    places = [target(f"docker://{name}") for name in ("no-such-container-bgc", halted.name)]
    results = real_run.results(
        real_run.submit_all([(place, "true", "c", {}) for place in places]), 30
    )
    assert {result.state for result in results} == {State.NOT_STARTED}
    assert "No such container" in results[0].detail
    assert "is not running" in results[1].detail
    halted.remove()


# --- logins ---------------------------------------------------------------------------------------

ODD = 'it\'s "$HOME" `id` \\n %s ! {{x}} ü\n-n'


@pytest.fixture(scope="module")
def server() -> Iterator[SSHServer]:
    banner = Path("/etc/hostname")
    with SSHServer(config=[f"Banner {banner}"]) as ours:
        yield ours


def login(server: SSHServer, user: TestUser, name: str, tty: bool = False) -> Target:
    config = server.directory / f"config-{name}"
    config.write_text(server.client_config.read_text() + "    RequestTTY force\n" * tty)
    return target(f"ssh://{user.name}@target", name, ssh_config=str(config))


def test_jobs_run_whatever_the_login_shell_and_what_it_says(
    server: SSHServer, test_user: TestUser
) -> None:
    """csh, fish, bash with a noisy .bashrc, a banner, a pty."""
    noisy = 'echo "welcome"; echo "0123 begin hex" >&2; printf "no newline"\n'
    for name in (".bashrc", ".cshrc", ".profile"):
        test_user.home.joinpath(name).write_text(noisy)
    for shell in ("csh", "fish", "bash", "sh"):
        run_checked("usermod", "-s", tool(shell, shell), test_user.name)
        real_run = RealRun()
        places = [login(server, test_user, f"{shell}{n}", tty=n == 1) for n in range(2)]
        jobs = real_run.submit_all(
            [(p, ["printf", "%s|%s", ODD, "\x01"], "c", {"env": {"ODD": ODD}}) for p in places]
        )
        results = real_run.results(jobs)
        told = [(r.state, r.detail, r.stdout) for r in results]
        assert told == [(State.SUCCEEDED, "", f"{ODD}|\x01")] * 2, shell
        assert real_run.close() == []
    for name in (".bashrc", ".cshrc", ".profile"):
        test_user.home.joinpath(name).unlink()


@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        ("rbash", "restricted"),
        ("nologin", "not available"),
        ("true", "the answers do not come from /bin/sh: no reply in 0 bytes of output"),
    ],
)
def test_a_login_that_runs_no_shell_is_not_started_with_the_reason(
    real_run: RealRun, server: SSHServer, test_user: TestUser, shell: str, reason: str
) -> None:
    program = tool("bash", "bash") if shell == "rbash" else tool(shell, "login")
    if shell == "rbash":
        restricted = test_user.home / "rbash"
        restricted.symlink_to(program)
        program = str(restricted)
    run_checked("usermod", "-s", program, test_user.name)
    result = real_run.result(real_run.submit(login(server, test_user, shell), "true"), 30)
    run_checked("usermod", "-s", "/bin/sh", test_user.name)
    assert result.state is State.NOT_STARTED
    assert reason in result.detail


# --- directories ----------------------------------------------------------------------------------


def refusal(user: TestUser, base: Path, server: SSHServer) -> str:
    real_run = RealRun(base)
    result = real_run.result(real_run.submit(login(server, user, "d"), "true"), 30)
    real_run.close()
    assert result.state is State.NOT_STARTED
    return result.detail


def test_a_directory_that_is_not_safely_the_users_is_refused_and_untouched(
    server: SSHServer, test_user: TestUser
) -> None:
    base = test_user.home / "bases"
    elsewhere = base / "elsewhere"
    elsewhere.mkdir(parents=True)
    name = f"pytest-bgcheck-{test_user.uid}"
    for kind in ("link", "file", "open", "foreign", "unwritable", "missing"):
        place = base / kind / name
        if kind != "missing":
            place.parent.mkdir()
        match kind:
            case "link":
                place.symlink_to(elsewhere)
            case "file":
                place.touch()
            case "open" | "foreign":
                place.mkdir(mode=0o700)
                if kind == "open":
                    place.chmod(0o777)
                    os.chown(place, test_user.uid, test_user.gid)
    reasons = {
        "link": "is a link",
        "file": "is not a directory",
        "open": "is open to others",
        "foreign": f"belongs to the user 0, not to {test_user.uid}",
        "unwritable": "Permission denied",
        "missing": "No such file or directory",
    }
    for kind, reason in reasons.items():
        assert reason in refusal(test_user, base / kind, server)
    assert not list(elsewhere.iterdir())
    assert not list((base / "open" / name).iterdir())
    assert not list((base / "foreign" / name).iterdir())
    subprocess.run(["rm", "-rf", str(base)], check=True)


def test_a_noexec_directory_is_good_enough(tmp_path: Path) -> None:
    require(os.getuid() == 0, "root, to mount", "run the tests as root")
    small = tmp_path / "noexec"
    small.mkdir()
    script = tmp_path / "script"
    script.write_text("#!/bin/sh -e\necho $0 | grep -c script\n")
    run_checked("mount", "-t", "tmpfs", "-o", "noexec,size=1m,mode=700", "bgcheck", str(small))
    real_run = RealRun(small)
    result = real_run.result(real_run.submit(target("local://"), None, script=script), 30)
    assert real_run.close() == []
    run_checked("umount", str(small))
    assert (result.state, result.stdout) == (State.SUCCEEDED, "1\n")


# --- secrets --------------------------------------------------------------------------------------


def test_a_secret_in_env_is_in_no_argv_and_no_file_that_others_can_read(
    tmp_path: Path, test_user: TestUser
) -> None:
    tool("sudo", "sudo")
    require(os.getuid() == 0, "root, to run as another user", "run the tests as root")
    log = tmp_path / "sudo.log"
    test_user.sudoers("ALL=(ALL:ALL) NOPASSWD: ALL")
    defaults = Path("/etc/sudoers.d") / f"{test_user.name}-log"
    defaults.write_text(f"Defaults logfile={log}, !syslog\n")
    defaults.chmod(0o440)
    secret = "s3cret-of-the-test"
    try:
        real_run = RealRun(test_user.home)
        place = target("local://", sudo_user=test_user.name)
        job = real_run.running(
            place, "sleep 2; [ -n $TOKEN ]", env={"TOKEN": secret}, cwd=str(test_user.home)
        )
        # For a millisecond it is an argument of env, which becomes the check.
        assert wait_until(lambda: not with_argument(secret), 10)
        files = [p for p in test_user.home.rglob("*") if p.is_file() and p.name != ".bash_logout"]
        holding = [p for p in files if secret.encode() in p.read_bytes()]
        assert [p.name for p in holding] == ["spec"]
        assert holding[0].stat().st_mode & 0o077 == 0
        assert pwd.getpwuid(holding[0].stat().st_uid).pw_name == test_user.name
        assert real_run.result(job).state is State.SUCCEEDED
        assert real_run.close() == []
        assert "COMMAND=" in log.read_text()
        assert secret not in log.read_text()
    finally:
        defaults.unlink()
