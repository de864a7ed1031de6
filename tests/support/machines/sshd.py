"""A real OpenSSH server on loopback, with the ways in which such a server lets a client down."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .machine import Machine, run, run_checked, wait_until
from .processes import Process, find, freeze, kill, kill_tree, tree
from .requirements import require_proc, tool

_SERVER_CONFIG = """\
{extra}
Port {port}
ListenAddress {address}
HostKey {directory}/host_key
PidFile {directory}/pid
AuthorizedKeysFile {directory}/authorized_keys
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserRC no
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 100:30:200
MaxSessions 10
Subsystem sftp internal-sftp
"""

# What the files of our login do at each call is no business of the tests: a login that a test
# killed left the lock of such a file behind, and all later logins waited for it.
_OWN_HOME = """\
Match User {user}
    SetEnv HOME={directory}/home
"""

# testinfra's paramiko backend reads "StrictHostKeyChecking no", and no known_hosts.
_CLIENT_CONFIG = """\
Host {hosts}
    HostName {address}
    Port {port}
    User {user}
    IdentityFile {directory}/client_key
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    UserKnownHostsFile {directory}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking no
    LogLevel ERROR
"""

# %n is the name as the user gave it: the targets, all 127.0.0.1, share no connection.
_SHARING = """\
    ControlMaster auto
    ControlPath {directory}/m-%n
    ControlPersist 60s
"""

_HOSTS = ("target", "target2 target3")
_LONGEST_DIRECTORY = 108 - len("/m-target2.0123456789abcdef") - 1  # of a socket; ssh adds 17


class SSHServer(Machine):
    """An sshd of its own for the current user, who gets in as ``target``, ``target2``, ``target3``
    and has an empty home there.

    Attributes, known once started: ``directory``, ``port`` (the same after a `restart`),
    ``client_config`` (for ``ssh -F``), and ``shared_config``, the same with a ControlMaster.
    Other users of this computer get in with the same key (``ssh -l``), unless the directory
    given is closed to them.

    ``directory``: where its files go, and stay; if None, a temporary one that goes with it.
    ``config``: lines of sshd_config, no Match block; they win over those of this server.
    ``names``: patterns, as in ssh_config, of further names to get in as.
    ``runner``: a command that runs the server, to be put before its own and to end with it.
    ``address``: where to listen, in the network that the runner has it run in.
    """

    port: int
    directory: Path

    def __init__(
        self,
        directory: Path | None = None,
        config: Sequence[str] = (),
        names: Sequence[str] = (),
        runner: Sequence[str] = (),
        address: str = "127.0.0.1",
    ) -> None:
        self._given = directory
        self._config = tuple(config)
        self._hosts = (*_HOSTS, *names)
        self._runner = tuple(runner)
        self._address = address
        self._listener: subprocess.Popen[bytes] | None = None
        self._orphans: list[Process] = []

    @property
    def client_config(self) -> Path:
        return self.directory / "ssh_config"

    @property
    def shared_config(self) -> Path:
        return self.directory / "ssh_config_shared"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def start(self) -> None:
        require_proc()
        self._sshd = tool("sshd", "openssh-server")
        keygen = tool("ssh-keygen", "openssh-client")
        tool("ssh", "openssh-client")
        if os.geteuid() == 0:
            # Where an sshd of root locks its unprivileged half in; a service file makes it else.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._make_directory(keygen)
        for _ in range(5):
            self.port = _free_port()
            self._write_configs()
            if self._listen():
                return
        raise RuntimeError(f"sshd got no port to listen on:\n{self.log.read_text()}")

    def _make_directory(self, keygen: str) -> None:
        self.directory = self._given or Path(tempfile.mkdtemp(prefix="bgc-", dir="/tmp"))
        if len(os.fsencode(self.directory)) > _LONGEST_DIRECTORY:
            raise ValueError(f"{self.directory} is too long for the path of a ControlMaster")
        # sshd reads the authorized keys with the rights of whoever logs in.
        self.directory.chmod(0o711)
        (self.directory / "home").mkdir(mode=0o700, exist_ok=True)
        for name in ("host_key", "client_key"):
            path = self.directory / name
            path.unlink(missing_ok=True)
            run_checked(keygen, "-q", "-t", "ed25519", "-N", "", "-C", "bgcheck", "-f", str(path))
        authorized = self.directory / "authorized_keys"
        shutil.copyfile(self.directory / "client_key.pub", authorized)
        authorized.chmod(0o644)
        self.log.write_bytes(b"")

    def _write_configs(self) -> None:
        fields = {
            "address": self._address,
            "directory": self.directory,
            "port": self.port,
            "user": pwd.getpwuid(os.geteuid()).pw_name,
        }
        # First comes first, but for MaxStartups, of which the last counts.
        own = {line.split()[0] for line in self._config}
        template = [line for line in _SERVER_CONFIG.splitlines() if line.split()[0] not in own]
        server = "\n".join(template).format(extra="\n".join(self._config), **fields) + "\n"
        home = _OWN_HOME.format(**fields)
        path = self.directory / "sshd_config"
        # OpenSSH 9.8 and later shut an address out for a while after a few broken connections.
        path.write_text(server + "PerSourcePenalties no\n" + home)
        if run(self._sshd, "-t", "-f", str(path)).returncode != 0:
            path.write_text(server + home)
            run_checked(self._sshd, "-t", "-f", str(path))  # says what is wrong with `config`

        blocks = [_CLIENT_CONFIG.format(hosts=hosts, **fields) for hosts in self._hosts]
        sharing = _SHARING.format(**fields)
        self.client_config.write_text("\n".join(blocks))
        self.shared_config.write_text("\n".join(block + sharing for block in blocks))
        key = (self.directory / "host_key.pub").read_text()
        (self.directory / "known_hosts").write_text(f"[{self._address}]:{self.port} {key}")

    def _listen(self) -> bool:
        """Start the listener; return False if somebody else has the port."""
        logged = len(self.log.read_bytes())

        def news() -> str:
            return self.log.read_bytes()[logged:].decode(errors="replace")

        config = str(self.directory / "sshd_config")
        listener = subprocess.Popen(
            (*self._runner, self._sshd, "-D", "-f", config, "-E", str(self.log)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the tests is for the tests alone
        )
        self._listener = listener
        wait_until(lambda: "Server listening" in news() or listener.poll() is not None, 10)
        if "Server listening" in news():
            return True
        kill_tree(listener.pid)
        listener.wait()
        self._listener = None
        if "Address already in use" in news():
            return False
        raise RuntimeError(f"sshd does not listen:\n{news()}")

    def connections(self) -> int:
        """Return how many times somebody has been let in so far, `restart` or not."""
        return self.log.read_text(errors="replace").count("Accepted publickey")

    def restart(self) -> None:
        """Kill the listener and all sessions, and listen on the same port again."""
        self.go_down()
        self.come_back()

    def go_down(self) -> None:
        """Kill the listener and all sessions; what runs in these is not told, and goes on."""
        self._kill_listener(sessions_only=True)

    def come_back(self) -> None:
        """Listen on the same port again after `go_down`."""
        # The port may be in use by another process for a moment, as an outgoing one.
        if not wait_until(self._listen, 10, poll_s=0.2):
            raise RuntimeError(f"port {self.port} is not free any more")

    def kill_sessions(self) -> None:
        """Kill the sessions there are, as a broken line does: what runs in them is not told."""
        sessions = [process for process in tree(self.pid) if process.pid != self.pid]
        self._orphans += [process for process in sessions if not _is_sshd(process)]
        kill(filter(_is_sshd, sessions))

    def pause(self) -> None:
        """Stop the listener and the sessions: connections hang, new ones too, none breaks."""
        freeze(self.pid, only=_is_sshd)

    def resume(self) -> None:
        """Let the server go on after a `pause`."""
        for process in filter(_is_sshd, tree(self.pid)):
            process.send(signal.SIGCONT)

    def stop(self) -> None:
        """End the server, its sessions, what runs in them, and the ControlMasters.

        A process that has left its session (a daemon) is nobody's child and stays.
        """
        if not hasattr(self, "directory"):
            return
        self._end_masters()
        if self._listener is not None:
            self._kill_listener(sessions_only=False)
        # Their sessions were killed earlier, so they descend from the listener no more.
        kill_tree(*(process.pid for process in self._orphans if process.is_running()))
        self._orphans.clear()
        if self._given is None:
            shutil.rmtree(self.directory)
        del self.directory

    @property
    def pid(self) -> int:
        """The process from which all sessions descend: the listener, or its ``runner``."""
        if self._listener is None:
            raise RuntimeError("the SSH server is not running")
        return self._listener.pid

    def _kill_listener(self, sessions_only: bool) -> None:
        found = freeze(self.pid, only=_is_sshd if sessions_only else lambda _: True)
        if sessions_only:
            self._orphans += [p for p in tree(self.pid) if not _is_sshd(p)]
        kill(found)
        assert self._listener is not None
        self._listener.wait()
        self._listener = None

    def _end_masters(self) -> None:
        for path in self.directory.glob("m-*"):
            end_master(path)


def end_master(control_path: Path) -> None:
    """End the ControlMaster that listens on this socket, and remove the socket."""
    ssh = ("ssh", "-F", "/dev/null", "-S", str(control_path), "-O")
    said = re.search(r"pid=(\d+)", run(*ssh, "check", "target").stderr)
    master = find(int(said[1])) if said else None
    if master is not None:
        run(*ssh, "exit", "target")
        if not wait_until(lambda: not master.is_running(), 5):
            kill([master])
    control_path.unlink(missing_ok=True)


def _is_sshd(process: Process) -> bool:
    return process.name.startswith("sshd")  # since OpenSSH 9.8 also sshd-session, sshd-auth


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
