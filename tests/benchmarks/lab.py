"""Where contenders run: the targets, a directory for each run, an environment that is known."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.machines import DockerEngine, SSHServer
from support.machines.sshd import end_master

from . import meter, playbooks
from .commands import Usage, measured
from .line import Line
from .record import Record

_HERE = Path(__file__).parent
_INI = "[pytest]\nmarkers =\naddopts = -q\n"


@dataclass(frozen=True)
class Target:
    """Where the checks of a run go: testinfra's hosts, and an ssh_config to reach them by."""

    hosts: str
    ssh_config: Path | None = None

    @property
    def options(self) -> list[str]:
        config = [] if self.ssh_config is None else [f"--ssh-config={self.ssh_config}"]
        return [f"--hosts={self.hosts}", *config]


@dataclass(frozen=True)
class Task:
    """What a contender has to do: run these commands on the target, one test awaiting each."""

    target: Target
    commands: Sequence[str]
    ordinary: int = 0
    poll_s: float = 1.0
    every_s: float = 1.0
    body_s: float = 0.0
    awaits: bool = True
    memory: bool = False


@dataclass(frozen=True)
class Stamp:
    """A moment that a test noted, and what its check had printed. A clock on the wall can be set
    while a bench runs: ``monotonic`` is for the time between two stamps."""

    name: str
    time: float
    output: str
    monotonic: float = 0.0


@dataclass(frozen=True)
class Run:
    """A contender's run: what it took, and the moments noted in it."""

    usage: Usage
    stamps: Sequence[Stamp] = ()


@dataclass
class Lab:
    """All that a bench needs. Use it as ``with lab():``."""

    quick: bool
    record: Record
    directory: Path
    stack: ExitStack
    server: SSHServer
    _docker: list[Target] = field(default_factory=list)

    @property
    def local(self) -> Target:
        return Target("local://")

    @property
    def ssh(self) -> Target:
        return Target("ssh://target", self.server.client_config)

    @property
    def shared(self) -> Target:
        """The ssh target with a shared connection, which is there already."""
        return Target("ssh://target", self.server.shared_config)

    @property
    def docker(self) -> Target:
        """A container. Skips, as the tests do, where there can be none."""
        if not self._docker:
            engine = self.stack.enter_context(DockerEngine())
            self._docker.append(Target(f"docker://{engine.container().name}"))
        return self._docker[0]

    @contextmanager
    def line(self, round_trip_s: float = 0.0) -> Iterator[tuple[Line, Target]]:
        """Yield a line to the ssh server, and the target at its end."""
        with self.scratch() as directory, Line(self.server.port, round_trip_s) as line:
            config = self._config(directory, f"Port {line.port}")
            yield line, Target("ssh://target", config)

    @contextmanager
    def hosts(self, number: int) -> Iterator[Target]:
        """Yield so many hosts: addresses of loopback from which lines lead to the ssh server.

        sshd itself listens on sixteen addresses at the most.
        """
        names = [f"127.0.1.{n}" for n in range(1, number + 1)]
        line = Line(self.server.port, addresses=names)
        with self.scratch() as directory, line:
            own = f"Host 127.*\nHostName %h\nHost *\nPort {line.port}"
            yield Target(",".join(f"ssh://{n}" for n in names), self._config(directory, own))

    def _config(self, directory: Path, lines: str) -> Path:
        path = directory / "ssh_config"
        # In front of the server's own: the first value that ssh reads counts.
        path.write_text(f"{lines}\nInclude {self.server.client_config}\n")
        return path

    def repeats(self, usual: int, quick: int = 1) -> int:
        return quick if self.quick else usual

    def count_there(self) -> meter.Count:
        """Return what the ssh server and all that came of its sessions have used so far."""
        return meter.count(self.server.pid)

    def idle_count_there(self) -> meter.Count:
        """Return the same as soon as nothing of an earlier run is at work there any more."""
        deadline = time.monotonic() + 15
        count = self.count_there()
        while time.monotonic() < deadline:
            time.sleep(0.5)
            before, count = count, self.count_there()
            if count.processes == before.processes and count.cpu_s - before.cpu_s < 0.001:
                break
        return count

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        try:
            yield directory
        finally:
            shutil.rmtree(directory)

    # --- contenders -------------------------------------------------------------------------------

    def pytest(self, suite: str, task: Task, *options: str) -> Run:
        """Run one of the suites in pytest. Raises Failed unless all its tests pass."""
        with self.scratch() as directory:
            for name in ("task.py", f"{suite}.py"):
                shutil.copyfile(_HERE / "suites" / name, directory / name)
            (directory / "pytest.ini").write_text(_INI)
            stamps = directory / "stamps"
            told = {
                "commands": list(task.commands),
                "poll_s": task.poll_s,
                "every_s": task.every_s,
                "body_s": task.body_s,
                "ordinary": task.ordinary,
                "awaits": task.awaits,
                "stamps": str(stamps),
            }
            environment = {**clean_environment(), "BENCH_TASK": json.dumps(told)}
            argv = [sys.executable, "-m", "pytest", *task.target.options, *options, f"{suite}.py"]
            usage = measured(argv, directory, environment, task.memory)
            lines = stamps.read_text().splitlines() if stamps.exists() else []
            return Run(usage, [Stamp(*json.loads(line)) for line in lines])

    def ansible(self, play: playbooks.Play, task: Task, warm: bool = False) -> Run:
        """Run a playbook with Ansible. ``warm``: its shared connections are there already."""
        assert task.target.ssh_config is not None
        hosts = [host.partition("://")[2] for host in task.target.hosts.split(",")]
        with self.scratch() as directory:
            control = self.directory / "control" if warm else directory / "c"
            control.mkdir(exist_ok=True)
            playbooks.write(directory, play, task.commands, hosts)
            environment = playbooks.environment(
                clean_environment(), directory, control, task.target.ssh_config, play
            )
            program = Path(sys.executable).with_name("ansible-playbook")
            argv = [str(program), "-i", "inventory", "playbook.json"]
            try:
                usage = measured(argv, directory, environment, task.memory)
                moments = playbooks.moments(usage.output)
                return Run(usage, [Stamp(*moment) for moment in moments])
            finally:
                if not warm:
                    end_masters(control)


def end_masters(control: Path) -> None:
    """End the ControlMasters whose sockets lie in a directory."""
    for path in control.iterdir():
        if path.is_socket():
            end_master(path)


def clean_environment() -> dict[str, str]:
    """Return our environment without what changes how a contender behaves."""
    prefixes = ("PYTEST_", "ANSIBLE_", "COV_", "BGCHECK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {**kept, "LC_ALL": "C.UTF-8"}


@contextmanager
def lab(quick: bool, record: Record) -> Iterator[Lab]:
    """Yield a lab with an ssh server, all ended and removed at the end."""
    with ExitStack() as stack:
        # Short: the path of a ControlMaster's socket has 107 bytes.
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="bgb-", dir="/tmp"))
        )
        server = SSHServer(
            names=["127.*"],
            # So that bash takes its own start for a nested one and reads no .bashrc: what its
            # owner does there at each call is no business of the contenders.
            config=["SetEnv SHLVL=1"],
            runner=[sys.executable, str(_HERE / "meter.py")],
        )
        stack.enter_context(server)
        made = Lab(quick, record, directory, stack, server)
        (directory / "control").mkdir()
        stack.callback(lambda: end_masters(directory / "control"))
        yield made
