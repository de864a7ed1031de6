"""The supervisor on this computer, spoken to through one shell by the protocol's own requests."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import BadReply
from pytest_bgcheck.model import Result, State
from pytest_bgcheck.target import replies, requests
from pytest_bgcheck.target.replies import Reply, Report
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.tasks import Probe, Service, Task
from pytest_bgcheck.windows import Window
from support.machines import SHELLS, shell_as_sh
from support.machines.processes import find

BASIC = (
    "cat", "chmod", "date", "dd", "echo", "false", "test", "true", "grep", "head",
    "id", "ls", "mkdir", "mkfifo", "mv", "od",
    "printf", "ps", "rm", "rmdir", "sed", "sleep", "sh", "tail", "tr", "wc", "[", "env",
)  # fmt: skip


def spec_of(task: Task, run: str) -> Spec:
    terms = task.terms("salt")
    return Spec(task.id_on("here", run, terms), task, terms)


class Client:
    """A run on this machine, spoken to through one shell."""

    def __init__(
        self,
        shell: Path,
        base: Path,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        self.user = user
        self.shell, self.base = str(shell), base
        self.env = dict(env) if env is not None else None
        self.run = secrets.token_hex(6)
        self.directory = b""
        self.specs: dict[str, Spec] = {}

    def spec(self, name: str, command: object, **given: Any) -> Spec:
        check = make_check(name, command, given, timeout_s=60, directory=self.base)
        return self.specs.setdefault(name, spec_of(check, self.run))

    def service(self, name: str, command: str, **given: Any) -> Spec:
        """Return a service; ``command`` and ``ready`` are for a shell, or it has a ``script``."""
        given.setdefault("ready_timeout_s", 50.0)  # the machine may be busy
        ready = given.pop("ready", None)
        look = () if ready is None else ("/bin/sh", "-c", ready)
        argv = () if "script" in given else ("/bin/sh", "-c", command)
        task = Service(name, argv, command, ready_argv=look, ready=ready or "", **given)
        return self.specs.setdefault(name, spec_of(task, self.run))

    def probe(self, name: str, command: str, **given: Any) -> Spec:
        """Return a probe whose ``command`` is for a shell."""
        task = Probe(name, ("/bin/sh", "-c", command), command, **given)
        return self.specs.setdefault(name, spec_of(task, self.run))

    def sampled(self, *specs: Spec) -> None:
        """Wait until each probe has taken a sample."""
        told = self.decided(*specs)
        assert all(report.ready_s is not None for report in told.values()), told

    def open(self, *windows: tuple[Spec, str]) -> Reply:
        return self.ask(requests.open_request, windows)

    def close(self, *windows: tuple[Spec, str], expire_s: int = 20) -> Reply:
        return self.ask(requests.close_request, expire_s, windows)

    def seen(self, spec: Spec, window: str) -> Window:
        """Close a window, and return what was seen in it."""
        reply = self.close((spec, window))
        seen = reply.windows.get((spec.id, window))
        assert seen is not None, reply
        return seen

    def life(self, spec: Spec) -> Window:
        """Return what a probe that runs has seen so far."""
        (report,) = self.ask(requests.tail_request, [spec]).reports
        assert report.window is not None, report
        return report.window

    def decided(self, *specs: Spec) -> dict[str, Report]:
        """Wait until each service is ready or has ended; return what was told of it."""
        found: dict[str, Report] = {}
        deadline = time.monotonic() + 60
        while left := [spec for spec in specs if spec.task.name not in found]:
            assert time.monotonic() < deadline, found
            wait = partial(requests.await_request, unready={spec.id for spec in left})
            for report in self.ask(wait, 3, left).reports:
                name = next(spec.task.name for spec in left if spec.id == report.id)
                found[name] = report
        return found

    def output(self, request: str) -> bytes:
        done = subprocess.run(
            ["/bin/sh", "-c", request], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env=self.env, check=True, timeout=60, user=self.user, cwd=self.base,
            start_new_session=True,
        )  # fmt: skip
        return done.stdout

    def start(self, *specs: Spec) -> Reply:
        reply = Reply()
        nonces = iter(lambda: secrets.token_hex(8), "")
        for nonce, request, _ in requests.start_requests(
            self.run, str(self.base), specs, nonces, self.shell
        ):
            reply = replies.parse(nonce, self.output(request))
            self.directory = reply.directory or b""
        return reply

    def ask(self, build: Callable[..., str], *args: Any) -> Reply:
        nonce = secrets.token_hex(8)
        return replies.parse(nonce, self.output(build(self.directory, nonce, *args, self.shell)))

    def results(self, *specs: Spec) -> dict[str, Result]:
        """Wait for all to end."""
        found: dict[str, Result] = {}
        deadline = time.monotonic() + 40
        while len(found) < len(specs):
            assert time.monotonic() < deadline, found
            left = [s for s in specs if s.task.name not in found]
            for report in self.ask(requests.await_request, 3, left).reports:
                assert report.result is not None, report
                name = next(s.task.name for s in specs if s.id == report.id)
                found[name] = report.result
        return found

    def finish(self, command: object, **given: Any) -> Result:
        spec = self.spec("c", command, **given)
        self.start(spec)
        return self.results(spec)["c"]

    @contextmanager
    def waiting(
        self, *specs: Spec, stream: bool = True, unready: Container[str] = ()
    ) -> Iterator["Waiter"]:
        """Have one call wait for jobs, as the runner has, for 60 s at the most."""
        nonce = secrets.token_hex(8)
        request = requests.await_request(
            self.directory, nonce, 60, specs, self.shell, stream, unready=unready
        )
        bells = set(Path(os.fsdecode(self.directory)).glob("bell.*"))
        with subprocess.Popen(
            ["/bin/sh", "-c", request], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env=self.env, user=self.user,
        ) as process:  # fmt: skip
            run = Path(os.fsdecode(self.directory))
            self.eventually(lambda: bool(set(run.glob("bell.*")) - bells))
            try:
                yield Waiter(process, nonce, stream)
            finally:
                process.kill()

    def processes(self, what: str) -> list[int]:
        """Return the processes whose command line or environment holds a text."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if what.encode() in told and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return found

    def kill(self, *kinds: str, signum: signal.Signals = signal.SIGKILL) -> None:
        # A subshell that is stopped, and not what it belongs to, is nobody's to end.
        which = self.shells if signum == signal.SIGSTOP else self.processes
        for kind in kinds:
            pids = [p for spec in self.specs.values() for p in which(f"{kind}:{spec.id}")]
            assert pids, kind
            for pid in pids:
                with suppress(ProcessLookupError):  # the timer of a shell that cannot bound a read
                    os.kill(pid, signum)

    def guards(self, spec: Spec) -> list[int]:
        """Return a job's guards, not the subshells of one that cannot bound a read."""
        return self.shells(f"guard:{spec.id}")

    def shells(self, what: str) -> list[int]:
        """Return what `processes` does, without the subshells of shells that are in it."""
        found = {p: find(p) for p in self.processes(what)}
        return [pid for pid, process in found.items() if process and process.parent not in found]

    def eventually(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def clean(self) -> None:
        if self.directory:
            assert self.ask(requests.clean_request, self.run, False).left == 0
            assert not Path(os.fsdecode(self.directory)).exists()
            self.eventually(lambda: not self.processes(self.run))


class Waiter:
    """A call that waits for jobs."""

    def __init__(self, process: "subprocess.Popen[bytes]", nonce: str, stream: bool) -> None:
        self._process, self._nonce, self._stream = process, nonce, stream

    def replies(self) -> list[Reply]:
        """Return what it told, once it has come to its end; it has 20 s."""
        begun = time.monotonic()
        output = self._process.communicate(timeout=20)[0]
        print(f"the waiter ended {time.monotonic() - begun:.2f} s later")  # what was seen
        if not self._stream:
            return [replies.parse(self._nonce, output)]
        return list(replies.Stream(self._nonce).feed(output))

    def ends(self) -> None:
        """See it end, with or without a whole reply."""
        try:
            self.replies()
        except BadReply as error:
            print(error)

    def state(self) -> tuple[State, str]:
        """Return what became of its one job, as the runner would tell it."""
        told = [report for reply in self.replies() for report in reply.reports]
        if not told:
            return State.LOST, "asks again"
        assert len(told) == 1, told
        if told[0].gone:
            return State.LOST, "gone"
        assert told[0].result is not None
        return told[0].result.state, told[0].result.detail


def bare_client(shell: str, directory: Path) -> Client:
    """Return a target without setsid, base64, timeout, nohup, flock, python and bash."""
    path = directory / "bin"
    path.mkdir()
    for tool in BASIC:
        found = shutil.which(tool)
        assert found is not None, tool
        path.joinpath(tool).symlink_to(found)
    return Client(shell_as_sh(shell, directory), directory, {"PATH": str(path)})


def fleet(directory: Path) -> dict[str, Client]:
    """Return a target with each shell; "bare": without setsid, base64, bash and the like."""
    clients = {}
    for shell in SHELLS:
        clients[shell] = Client(shell_as_sh(shell, directory), directory)
    for shell in ("dash", "busybox", "yash"):
        folder = directory / f"bare-{shell}"
        folder.mkdir()
        clients[f"bare {shell}"] = bare_client(shell, folder)
    return clients


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


def rename(job: Path, pattern: str, change: "dict[int, str]") -> None:
    """Change parts, by their numbers, of the name of a job's file."""
    (path,) = job.glob(pattern)
    parts = path.name.split(".")
    for number, part in change.items():
        parts[number] = part
    path.rename(job / ".".join(parts))
