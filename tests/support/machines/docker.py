"""A real Docker engine, and containers in it with nothing but busybox."""

import os
import secrets
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Literal

from .busybox import APP_HOME, APP_ID, make_root
from .machine import Machine, run, run_checked, wait_until
from .mounts import remove_tree
from .processes import kill, kill_tree, tree, with_argument
from .requirements import require, require_proc, tool

_INSTALL = "apt-get install docker.io, and start it or run the tests as root"


class Container:
    """One container, by its ``name``; Docker removes it as soon as it stops, unless it stays."""

    def __init__(self, docker: str, name: str) -> None:
        self._docker = docker
        self.name = name

    def exec(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as root, and return what came of it, whatever the rc."""
        return run(self._docker, "exec", self.name, *argv)

    def restart(self) -> None:
        """Kill everything in the container and start it again; its files stay."""
        # PID 1 is a sleep, which has no handler and so gets no SIGTERM: no use in a grace period.
        run_checked(self._docker, "restart", "-t", "0", self.name)
        # The engine says so before the container can be spoken to.
        if not wait_until(lambda: self.exec("true").returncode == 0, 20, poll_s=0.1):
            raise RuntimeError(f"the container {self.name} does not answer after its restart")

    def halt(self) -> None:
        """Kill everything in the container."""
        run_checked(self._docker, "stop", "-t", "0", self.name)

    def stop(self) -> None:
        """Kill everything in the container, which is removed by that."""
        self.halt()
        self.remove()

    def remove(self) -> None:
        """Remove the container, running or not, and wait until it is gone."""
        # An rc other than 0: it is gone already, or on its way by --rm.
        run(self._docker, "rm", "-f", "-v", self.name)
        if not wait_until(lambda: not self._exists(), 20, poll_s=0.1):
            raise RuntimeError(f"the container {self.name} cannot be removed")

    def _exists(self) -> bool:
        return run(self._docker, "container", "inspect", self.name).returncode == 0


class DockerEngine(Machine):
    """The Docker engine that answers ``docker version``, else, for root, one of its own.

    Its own has a socket and all data in ``directory`` (None for one that was there before),
    touches no firewall and no network, and is what ``DOCKER_HOST`` in os.environ names until
    it is stopped. Stopping removes the containers and images made here, and no others.
    """

    def __init__(self) -> None:
        self.directory: Path | None = None
        self._prefix = f"bgcheck-{secrets.token_hex(4)}"
        self._images: dict[frozenset[str] | None, str] = {}
        self._containers: list[Container] = []
        self._daemon: subprocess.Popen[bytes] | None = None
        self._docker_host: str | None = None

    def start(self) -> None:
        self._docker = tool("docker", "docker.io")
        if not self._answers():
            self._start_daemon()

    def _answers(self) -> bool:
        try:
            done = run(self._docker, "version", "--format", "{{.Server.Version}}", timeout_s=20)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _start_daemon(self) -> None:
        require(os.geteuid() == 0, "a Docker engine that answers", _INSTALL)
        require_proc()
        dockerd = tool("dockerd", "docker.io")
        # Short: the sockets of containers are deep below it, and a socket's path has 107 bytes.
        directory = self.directory = Path(tempfile.mkdtemp(prefix="bgc-", dir="/tmp"))
        (directory / "daemon.json").write_text("{}")  # not the computer's own settings
        socket = f"unix://{directory}/docker.sock"
        log = directory / "log"
        with log.open("wb") as output:
            self._daemon = subprocess.Popen(
                (
                    dockerd,
                    *("-H", socket),
                    f"--config-file={directory}/daemon.json",
                    f"--data-root={directory}/data",
                    f"--exec-root={directory}/exec",
                    f"--pidfile={directory}/pid",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--ip-forward=false",
                ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the tests is for the tests alone
            )
        self._docker_host = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = socket
        daemon = self._daemon
        wait_until(lambda: daemon.poll() is not None or self._answers(), 60, poll_s=0.2)
        if daemon.poll() is not None or not self._answers():
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            require(False, f"a dockerd that can run here, this one said:\n{last}\n", _INSTALL)

    def image(self, applets: AbstractSet[str] | None = None) -> str:
        """Return the name of an image of busybox with these applets; see `busybox.make_root`."""
        key = None if applets is None else frozenset(applets)
        if key not in self._images:
            name = f"{self._prefix}:{len(self._images)}"
            with tempfile.TemporaryDirectory(prefix="bgc-") as folder:
                root, archive = Path(folder, "root"), Path(folder, "root.tar")
                make_root(root, key)
                with tarfile.open(archive, "w") as tar:
                    tar.add(root, arcname=".", filter=_owned)
                self._images[key] = name
                run_checked(self._docker, "import", str(archive), name)
        return self._images[key]

    def container(
        self,
        *,
        applets: AbstractSet[str] | None = None,
        stays: bool = False,
        **options: str | Literal[True],
    ) -> Container:
        """Start a container whose PID 1 is a sleep, without a network, which reaps no zombies.

        It is removed when it stops, unless it ``stays``. ``applets``: as for `image`. The options
        are those of ``docker run``: ``container(user="app", read_only=True)`` runs ``--user=app
        --read-only``.
        """
        image = self.image(applets)
        container = Container(self._docker, f"{self._prefix}-{len(self._containers)}")
        self._containers.append(container)
        flags = [
            f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
            for name, value in {"net": "none", "name": container.name, **options}.items()
        ]
        if not stays:
            flags.append("--rm")
        run_checked(self._docker, "run", "-d", *flags, image, "/bin/sleep", "100000")
        return container

    def stop(self) -> None:
        try:
            for container in self._containers:
                container.remove()
            if self._images:
                run_checked(self._docker, "image", "rm", "-f", *self._images.values())
        finally:
            self._containers.clear()
            self._images.clear()
            self._stop_daemon()

    def _stop_daemon(self) -> None:
        if self._daemon is not None:
            children = tree(self._daemon.pid)
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(30)
            except subprocess.TimeoutExpired:
                kill_tree(self._daemon.pid)
                self._daemon.wait()
            kill(children)
            self._daemon = None
            if self._docker_host is None:
                del os.environ["DOCKER_HOST"]
            else:
                os.environ["DOCKER_HOST"] = self._docker_host
        if self.directory is not None:
            # A container's shim is no child of the daemon, but it is told where the socket is.
            shims = with_argument(f"{self.directory}/")
            kill(process for process in shims if process.name.startswith("containerd"))
            remove_tree(self.directory)
            self.directory = None


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give a file of the image to root, but its home to `app`, whoever made the archive."""
    member.uid = member.gid = APP_ID if member.name == f"./{APP_HOME}" else 0
    member.uname = member.gname = ""
    return member
