"""The machines that the other tests stand on really run, and leave nothing behind."""

import os
import pwd
import secrets
import socket
import subprocess
import time
from pathlib import Path

import pytest
from support.machines import (
    SHELLS,
    ChrootDir,
    Container,
    DockerEngine,
    SSHServer,
    TestUser,
    applets,
    require,
    shell_as_sh,
    tool,
)
from support.machines.machine import run, run_checked, wait_until
from support.machines.mounts import mounts_below
from support.machines.processes import Process, find, kill_tree, tree, with_argument, with_uid

pytestmark = pytest.mark.once


def ssh(config: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return run("ssh", "-F", str(config), *argv)


def start_sleep(config: Path, seconds: int) -> "subprocess.Popen[bytes]":
    """Start an ssh client whose session runs a sleep, and wait until it does."""
    client = subprocess.Popen(
        ("ssh", "-F", str(config), "target", f"sleep {seconds}"),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert wait_until(lambda: bool(sleeps(seconds)), 10)
    return client


def unique_seconds() -> int:
    """Return for how long to sleep, so that this sleep is known among all others."""
    return 100_000 + secrets.randbelow(900_000)


def sleeps(seconds: int) -> list[Process]:
    # /proc ends each argument with a NUL; an ssh client has "sleep 123" as one argument.
    return with_argument(f"sleep\0{seconds}\0")


def test_a_missing_tool_skips_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BGCHECK_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no-such-tool: apt-get install rare"):
        tool("no-such-tool", "rare")


def test_a_missing_tool_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BGCHECK_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="needs a thing: get one"):
        require(False, "a thing", "get one")


@pytest.mark.parametrize("host", ["target", "target2", "target3"])
def test_ssh_lets_the_current_user_in(ssh_server: SSHServer, host: str) -> None:
    done = ssh(ssh_server.client_config, host, "id -un; echo $SSH_CONNECTION; exit 7")
    name, connection = done.stdout.splitlines()
    assert name == pwd.getpwuid(os.geteuid()).pw_name
    assert connection.split()[2:] == ["127.0.0.1", str(ssh_server.port)]
    assert (done.stderr, done.returncode) == ("", 7)


def test_ssh_knows_the_key_of_the_host(ssh_server: SSHServer) -> None:
    done = ssh(ssh_server.client_config, "-o", "StrictHostKeyChecking=yes", "target", "true")
    assert (done.stderr, done.returncode) == ("", 0)


def test_ssh_lets_another_user_in(ssh_server: SSHServer, test_user: TestUser) -> None:
    done = ssh(ssh_server.client_config, "-l", test_user.name, "target", "id -u")
    assert (done.stdout, done.stderr) == (f"{test_user.uid}\n", "")


def test_ssh_connections_are_counted_and_shared_ones_count_once() -> None:
    with SSHServer() as server:
        assert server.connections() == 0
        for _ in range(2):
            assert ssh(server.client_config, "target", "true").returncode == 0
        assert server.connections() == 2
        for _ in range(3):
            assert ssh(server.shared_config, "target", "true").returncode == 0
            assert ssh(server.shared_config, "target2", "true").returncode == 0
        assert server.connections() == 4
        server.restart()
        assert server.connections() == 4


def test_ssh_extra_config_wins() -> None:
    with SSHServer(config=("ForceCommand echo forced",)) as server:
        assert ssh(server.client_config, "target", "echo asked").stdout == "forced\n"
    with pytest.raises(RuntimeError, match="Bad configuration option: NoSuchOption"):
        SSHServer(config=("NoSuchOption yes",)).__enter__()


def test_ssh_kill_sessions_breaks_the_connection_and_leaves_what_ran_in_it() -> None:
    seconds = unique_seconds()
    with SSHServer() as server:
        client = start_sleep(server.client_config, seconds)
        server.kill_sessions()
        assert client.wait(10) == 255
        assert sleeps(seconds)
        assert ssh(server.client_config, "target", "true").returncode == 0
    assert not sleeps(seconds)


def test_ssh_restart_breaks_the_connections_and_keeps_the_port() -> None:
    seconds = unique_seconds()
    with SSHServer() as server:
        port = server.port
        client = start_sleep(server.client_config, seconds)
        server.restart()
        assert client.wait(10) == 255
        assert server.port == port
        assert ssh(server.client_config, "target", "true").returncode == 0
    assert not sleeps(seconds)


def test_ssh_pause_hangs_old_and_new_connections_until_resume() -> None:
    with SSHServer() as server:
        config = str(server.client_config)
        old = subprocess.Popen(
            ("ssh", "-F", config, "target", "cat"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert old.stdin is not None
        assert wait_until(lambda: any(p.name == "cat" for p in tree(server_pid(server))), 10)
        server.pause()
        old.stdin.write(b"through\n")
        old.stdin.close()
        new = subprocess.Popen(("ssh", "-F", config, "target", "true"))
        time.sleep(0.5)  # that nothing happens has no condition to wait for
        assert (old.poll(), new.poll()) == (None, None)
        server.resume()
        assert (old.wait(10), new.wait(10)) == (0, 0)
        assert old.stdout is not None
        with old.stdout as output:
            assert output.read() == b"through\n"


def server_pid(server: SSHServer) -> int:
    return int((server.directory / "pid").read_text())


@pytest.mark.parametrize("paused", [False, True])
def test_ssh_stop_leaves_no_process_and_no_file(paused: bool) -> None:
    seconds = unique_seconds()
    with SSHServer() as server:
        client = start_sleep(server.client_config, seconds)
        assert ssh(server.shared_config, "target", "true").returncode == 0
        directory, port = server.directory, server.port
        family = tree(server_pid(server))
        masters = with_argument(f"{directory}/m-target")
        assert len(family) >= 4
        assert masters
        if paused:
            server.pause()
    assert not [p for p in (*family, *masters) if p.is_running()]
    assert not sleeps(seconds)
    assert client.wait(10) == 255
    assert not directory.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_ssh_in_a_directory_that_is_given_leaves_its_files_there(tmp_path: Path) -> None:
    with SSHServer(tmp_path) as server:
        assert ssh(server.client_config, "target", "true").returncode == 0
    assert (tmp_path / "log").exists()


def test_docker_runs_a_container_with_nothing_but_busybox(docker_container: Container) -> None:
    done = docker_container.exec("sh", "-c", "readlink /proc/1/exe; id -un; ls /bin | wc -l")
    assert done.stdout.split() == ["/bin/busybox", "root", str(len(applets()))]
    assert docker_container.exec("sh", "-c", "echo to stderr >&2; exit 3").returncode == 3


def test_docker_keeps_zombies(docker_container: Container) -> None:
    docker_container.exec("sh", "-c", "(sleep 0.1 >/dev/null 2>&1 &)")
    listed = ""

    def zombie() -> bool:
        nonlocal listed
        listed = docker_container.exec("sh", "-c", "cat /proc/[0-9]*/stat").stdout
        return "(sleep) Z 1 " in listed

    assert wait_until(zombie, 10, poll_s=0.1), listed


def test_docker_takes_options_and_leaves_applets_out(docker_engine: DockerEngine) -> None:
    wanted = applets() - {"setsid", "base64", "timeout"}
    container = docker_engine.container(applets=wanted, user="app", read_only=True)
    script = "id -u; command -v setsid base64 timeout; setsid true; echo $?; >/tmp/x; echo $?"
    done = container.exec("sh", "-c", script)
    assert done.stdout.split() == ["1000", "127", "1"]
    assert "setsid: not found" in done.stderr
    assert container.exec("env", "timeout", "1", "true").returncode == 127
    container.stop()
    assert container.exec("true").returncode != 0
    container.remove()


def test_docker_restart_ends_what_ran_and_keeps_the_files(docker_engine: DockerEngine) -> None:
    seconds = unique_seconds()
    container = docker_engine.container()
    container.exec("sh", "-c", f"sleep {seconds} >/dev/null 2>&1 & echo kept >/tmp/file")
    assert f"sleep {seconds}" in container.exec("ps").stdout
    container.restart()
    assert f"sleep {seconds}" not in container.exec("ps").stdout
    assert container.exec("cat", "/tmp/file").stdout == "kept\n"
    container.remove()


def test_docker_stop_leaves_no_process_no_mount_and_no_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = unique_seconds()
    monkeypatch.delenv("DOCKER_HOST", raising=False)  # not the engine of the session
    with DockerEngine() as engine:
        directory, host = engine.directory, os.environ.get("DOCKER_HOST")
        container, image = engine.container(), engine.image()
        container.exec("sh", "-c", f"sleep {seconds} >/dev/null 2>&1 &")
        assert f"sleep {seconds}" in container.exec("ps").stdout
    assert not sleeps(seconds)
    if directory is None:
        assert run("docker", "container", "inspect", container.name).returncode != 0
        assert run("docker", "image", "inspect", image).returncode != 0
    else:
        assert host == f"unix://{directory}/docker.sock"
        assert "DOCKER_HOST" not in os.environ
        assert not with_argument(str(directory))
        assert not mounts_below(directory)
        assert not directory.exists()


def test_chroot_has_nothing_but_busybox(chroot_dir: ChrootDir) -> None:
    script = "echo ok >/tmp/x; cat /tmp/x; readlink /proc/self/exe; cat /etc/shadow 2>/dev/null"
    done = chroot_dir.exec("/bin/sh", "-c", f"{script}; head -c 3 /dev/zero | wc -c")
    assert (done.stdout.split(), done.stderr) == (["ok", "/bin/busybox", "3"], "")
    assert chroot_dir.exec("bash", "-c", "true").returncode == 127


def test_chroot_can_have_very_few_applets_and_no_proc() -> None:
    with ChrootDir(applets={"sh", "cat"}, proc=False) as chroot:
        done = chroot.exec("sh", "-c", "cat /etc/group; ls; cat /proc/self/stat")
        assert done.stdout.startswith("root:x:0:\n")
        assert "ls: not found" in done.stderr
        assert "/proc/self/stat" in done.stderr


def test_chroot_stop_leaves_no_process_no_mount_and_no_file() -> None:
    seconds = unique_seconds()
    with ChrootDir() as chroot:
        path = chroot.path
        chroot.exec("sh", "-c", f"cd /proc; sleep {seconds} >/dev/null 2>&1 &")
        assert mounts_below(path) == [f"{path}/proc"]
        assert wait_until(lambda: bool(sleeps(seconds)), 10)
    assert not sleeps(seconds)
    assert not mounts_below(path)
    assert not path.exists()


@pytest.mark.parametrize("name", SHELLS)
def test_shell_runs_as_sh(name: str, tmp_path: Path) -> None:
    shell = shell_as_sh(name, tmp_path)
    assert shell == shell_as_sh(name, tmp_path) == tmp_path / name / "sh"
    assert run_checked(str(shell), "-c", "echo ok; echo $0") == f"ok\n{shell}\n"


def test_user_has_a_uid_and_a_home_of_its_own(test_user: TestUser) -> None:
    done = test_user.exec("sh", "-c", "id -un; id -u; pwd; touch file && echo ok")
    assert done.stdout.split() == [test_user.name, str(test_user.uid), str(test_user.home), "ok"]
    assert test_user.uid != os.geteuid()


def test_user_may_do_what_the_sudo_rule_says() -> None:
    with TestUser() as user:
        assert user.exec("sudo", "-n", "id", "-u").returncode != 0
        user.sudoers("ALL=(ALL:ALL) NOPASSWD: ALL")
        assert user.exec("sudo", "-n", "id", "-u").stdout == "0\n"
        with pytest.raises(RuntimeError, match="syntax error"):
            user.sudoers("no rule at all")
        assert user.exec("sudo", "-n", "id", "-u").stdout == "0\n"
    assert not list(Path("/etc/sudoers.d").glob(f"{user.name}*"))


def test_user_stop_leaves_no_process_no_home_and_no_entry() -> None:
    with TestUser() as user:
        uid = user.uid
        user.exec("sh", "-c", "sleep 10000 >/dev/null 2>&1 &")
        zombie = subprocess.Popen(("true",), user=uid)
        assert wait_until(lambda: (p := find(zombie.pid)) is not None and p.has_ended, 10)
        assert wait_until(lambda: [p.name for p in with_uid(uid)] == ["sleep"], 10)
    zombie.wait()
    assert not with_uid(uid)
    assert not user.home.exists()
    with pytest.raises(KeyError):
        pwd.getpwnam(user.name)


def test_processes_are_found_with_their_descendants() -> None:
    seconds = unique_seconds()
    # The second command keeps the shell from becoming the sleep itself.
    child = subprocess.Popen(("sh", "-c", f"sleep {seconds}; exit 1"))
    assert wait_until(lambda: bool(sleeps(seconds)), 10)
    try:
        (sleep,) = sleeps(seconds)
        assert [p.pid for p in tree(child.pid)] == [child.pid, sleep.pid]
        assert {child.pid, sleep.pid} < {p.pid for p in tree(os.getpid())}
        assert sleep.is_running()
    finally:
        kill_tree(child.pid)
        child.wait()
    assert not sleep.is_running()
    assert tree(child.pid) == []
