"""One call at a time over a testinfra backend, with a time limit and with our errors.

testinfra's ``host.run`` knows no time limit, logs every command at DEBUG, and changes with
``host.sudo()`` on the test's thread. So a call uses a private copy of the host's backend. All
backends that run a local program do so by ``run_local``, which is replaced: its process has a time
limit, is not logged, and is killed when the connection is closed. Other backends (paramiko, ansible
by itself, salt) cannot be interrupted: their call runs in a daemon thread, which is left behind
when the time is over.
"""

from __future__ import annotations

import logging
import queue
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from testinfra.backend.base import BaseBackend, CommandResult

from ..clocks import monotonic_s
from ..compat.testinfra import (
    bounded_copy,
    close_client,
    delegate_of,
    local_result,
    outputs_of,
    result_in,
)
from ..errors import NoAnswer, TargetError, Unreachable
from ..originals import io, os, selectors, subprocess, tempfile, threading
from . import causes
from .sharing import SharedConnection
from .specification import quote
from .transport import Answer

_STDIN = 'request=$(cat); eval "$request"'


def as_user(backend: BaseBackend, request: str, user: str | None) -> str:
    """Return the request that runs another one by sudo.

    It reaches sudo's shell by stdin: sudo logs its arguments, and in them are others' secrets.
    """
    sudo = backend.get_sudo_command(_STDIN, user)
    program = f'printf "%s\\n" "$1" | {sudo}'
    return " ".join(["/bin/sh", "-c", quote(program), "pytest-bgcheck",
                     quote(request)])  # fmt: skip


def in_short_words(request: str) -> str:
    """Return the request that runs another one, for a csh, whose words have 1,024 characters."""
    step = 700
    parts = [request[start : start + step] for start in range(0, len(request), step)]
    program = 'request=; for part do request=$request$part; done; eval "$request"'
    return " ".join(["/bin/sh", "-c", quote(program), "pytest-bgcheck",
                     *map(quote, parts)])  # fmt: skip


_ANSIBLE = {"ANSIBLE_NO_TARGET_SYSLOG": "1", "ANSIBLE_LOG_PATH": "/dev/null"}
"""Keep Ansible from logging requests here and on the target. Only for Ansible: the environment of a
local check is the login's."""

SUBPROCESS = frozenset(
    {"local", "ssh", "safe-ssh", "docker", "podman", "kubectl", "openshift", "lxc", "chroot"}
)
"""testinfra's names of the backends that run a local program for each call."""


@dataclass(frozen=True)
class Surroundings:
    """What a program is started in. A call must not depend on what the test that runs just now has
    done to them: a wait may need the login's ssh agent, or a configuration by a relative path.

    ``directory`` None: there is none any more.
    """

    environment: Mapping[str, str] = field(repr=False)
    directory: str | None

    @classmethod
    def present(cls) -> Surroundings:
        try:
            directory = os.getcwd()
        except OSError:
            directory = None
        return cls(dict(os.environ), directory)


class Connection:
    """A private copy of a backend, for one call at a time.

    ``become``: the sudo settings of an Ansible inventory count. ``abrupt``: see `HostTransport`.
    """

    def __init__(
        self, backend: BaseBackend, become: bool, abrupt: bool, surroundings: Surroundings
    ) -> None:
        self._abrupt = abrupt
        self._surroundings = surroundings
        try:
            delegate = delegate_of(backend)
        except Exception as error:
            raise causes.of_exception(error) from error
        self._backend = bounded_copy(delegate or backend, self._run_local)
        # The caller has applied sudo. A delegate has its own, of the inventory.
        self._sudo = delegate is not None and become and delegate.sudo
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._timeout_s = 0.0
        self._on_output: Callable[[bytes], None] | None = None

    def share(self, shared: SharedConnection) -> None:
        """Go over a shared connection from now on."""
        shared.apply(self._backend)

    def run(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None
    ) -> Answer:
        """Run a request. See `Transport.call`."""
        reader = None if on_output is None else _Reader(on_output)
        self._timeout_s, self._on_output = timeout_s, reader
        if self._sudo:
            request = as_user(self._backend, request, self._backend.sudo_user)
        if self._backend.get_connection_type() in SUBPROCESS:
            with _own_log(self._backend, not self._abrupt) as read_log:
                try:
                    answer = _run(self._backend, request)
                except TargetError:
                    if reader is not None and reader.error is not None:
                        raise reader.error from None
                    raise
                return replace(answer, log=read_log())
        return _abandonable(lambda: _run(self._backend, request), timeout_s)

    def _run_local(self, command: str, *args: str) -> CommandResult:
        """Stand in for ``BaseBackend.run_local``: bounded, silent, away from the terminal."""
        command = self._backend.quote(command, *args)
        quiet = _ANSIBLE if self._backend.get_connection_type() == "ansible" else {}
        with subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for pytest, and no password can be asked for
            env={**self._surroundings.environment, **quiet},
            cwd=self._surroundings.directory,
        ) as process:
            self._process = process
            try:
                if self._closed:
                    self.close()
                stdout, stderr = _outputs(process, self._timeout_s, self._on_output)
            except subprocess.TimeoutExpired:
                self.close()
                # Without its cause, whose text holds the request.
                raise NoAnswer(f"no answer in {self._timeout_s:.0f} s") from None
            except BaseException:
                self.close()
                raise
            finally:
                self._process = None
        return local_result(self._backend, process.returncode, command, stdout, stderr)

    def close(self) -> None:
        """End the call that is under way. Any thread may call."""
        self._closed = True
        process = self._process
        # A mock's number is 1, and the group 1 would be all processes of this user. None gets here,
        # since `originals` is out of a test's reach; but too much would be lost.
        if process is not None and type(process.pid) is int and process.pid > 1:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        close_client(self._backend)


class _Reader:
    """Passes output on, and keeps the error that this raises: it is not the connection's."""

    def __init__(self, on_output: Callable[[bytes], None]) -> None:
        self._on_output = on_output
        self.error: Exception | None = None

    def __call__(self, data: bytes) -> None:
        try:
            self._on_output(data)
        except Exception as error:
            self.error = error
            raise


_LOG_KEPT = 1 << 16
_HAS_LOG = re.compile(r"(^|\s)-[46AaCfGgKkMNnqsTtVvXxYy]*E")
"""An ``-E`` of the user's, perhaps behind options that take no argument."""


@contextmanager
def _own_log(backend: Any, enabled: bool) -> Iterator[Callable[[], bytes]]:
    """Have ssh's client write its messages to a file, apart from the stderr of the other side.

    Yields what reads them: nothing, where there is no such file.
    """
    given = getattr(backend, "ssh_extra_args", None)
    path = ""
    ssh = backend.get_connection_type() in causes.SSH
    if enabled and ssh and not _HAS_LOG.search(given or ""):
        try:
            file, path = tempfile.mkstemp(prefix="bgcheck-", suffix=".log")
            os.close(file)
        except OSError:
            pass  # its messages are unknown then; nothing else may pass for them
    if not path:
        yield lambda: b""
        return

    def read() -> bytes:
        try:
            with io.open(path, "rb") as file:
                return file.read()[-_LOG_KEPT:]
        except OSError:
            return b""

    backend.ssh_extra_args = f"{given or ''} -E {quote(path)}"
    try:
        yield read
    finally:
        backend.ssh_extra_args = given
        try:
            os.unlink(path)
        except OSError:
            pass


def _outputs(
    process: subprocess.Popen[bytes], timeout_s: float, on_output: Callable[[bytes], None] | None
) -> tuple[bytes, bytes]:
    """Read a process to its end. Raises TimeoutExpired, or what ``on_output`` raises."""
    if on_output is None:
        return process.communicate(timeout=timeout_s)
    deadline = monotonic_s() + timeout_s
    kept = {process.stdout: b"", process.stderr: b""}
    with selectors.DefaultSelector() as selector:
        for pipe in kept:
            assert pipe is not None
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left_s = deadline - monotonic_s()
            ready = selector.select(max(0.0, left_s))
            if not ready and left_s <= 0:
                raise subprocess.TimeoutExpired(process.args, timeout_s)
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    on_output(data)
                pipe = process.stdout if key.fileobj is process.stdout else process.stderr
                kept[pipe] = (kept[pipe] + data)[-causes.KEPT :]
    process.wait(max(0.1, deadline - monotonic_s()))
    return kept[process.stdout], kept[process.stderr]


def _run(backend: BaseBackend, request: str) -> Answer:
    _quiet.on = True
    try:
        result = backend.run(request)
    except TargetError:
        raise
    except Exception as error:
        found = result_in(error)
        if found is None:
            raise causes.of_exception(error, backend.get_connection_type()) from error
        result = found
    finally:
        _quiet.on = False
    kind = backend.get_connection_type()
    return Answer(result.rc, *outputs_of(result), kind)


ResultT = TypeVar("ResultT")


def _abandonable(function: Callable[[], ResultT], timeout_s: float) -> ResultT:
    """Return a call's result or raise its error; leave it behind when the time is over."""
    box: queue.SimpleQueue[tuple[ResultT | None, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            box.put((function(), None))
        except Exception as error:
            box.put((None, error))

    try:
        threading.Thread(target=work, name="bgcheck-call", daemon=True).start()
    except RuntimeError as error:  # no more threads
        raise Unreachable(str(error)) from error
    try:
        result, raised = box.get(timeout=timeout_s)
    except queue.Empty:
        raise NoAnswer(f"no answer in {timeout_s:.0f} s") from None
    if raised is not None:
        raise raised
    return result  # type: ignore[return-value]


# --- testinfra's log -----------------------------------------------------------------------------


class _Quiet(threading.local):
    """Whether the current thread is in one of our calls."""

    on = False


_quiet = _Quiet()


def _not_ours(record: logging.LogRecord) -> bool:
    return not _quiet.on


def silence() -> Callable[[], None]:
    """Keep our requests, which may hold secrets, out of testinfra's log; return the undoing."""
    logger = logging.getLogger("testinfra")
    logger.addFilter(_not_ours)
    return lambda: logger.removeFilter(_not_ours)
