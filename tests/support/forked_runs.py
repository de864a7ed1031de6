"""pytest in a process of its own that is forked, not started.

A short run of pytest spends half of its time on imports. A server that has done these forks each
run: a process with an environment, files, signals and threads of its own, as any other. Who tests
how the plugin is imported, or what a test does before that, wants a process that is started: see
the marker ``started``. As a program, this module is the server.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import pytest

OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ")
"""Beginnings of variables that a process reads only once, when it starts."""

FOLLOWED = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""Of these, what a fork can do later."""


def _settings(env: Mapping[str, str]) -> dict[str, str]:
    found = (name for name in env if name.startswith(OF_THE_START) and name not in FOLLOWED)
    return {name: env[name] for name in found}


class ForkServer:
    """Forks runs of pytest until it is closed.

    ``env``: what it starts with. Without `PYTHONDONTWRITEBYTECODE` it leaves all modules of the
    plugin compiled for those that are started.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._settings = _settings(env)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Each run measures itself, from its fork on: see `_become_pytest`.
        besides = ["coverage"] if "COVERAGE_PROCESS_START" in env else []
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *besides],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={name: env[name] for name in env if not name.startswith("COVERAGE_")},
            )

    def suits(self, command: Sequence[object], env: Mapping[str, str]) -> bool:
        """Return whether a fork does what this command does in this environment."""
        return [*command[:2]] == [sys.executable, "-mpytest"] and _settings(env) == self._settings

    def fork(
        self, args: Sequence[str], env: Mapping[str, str], stdin: int, stdout: int, stderr: int
    ) -> "ForkedRun":
        """Begin a run with these arguments, in the working directory of this process."""
        ours, theirs = socket.socketpair()
        request = {"args": [*args], "env": {**env}, "cwd": os.getcwd()}
        with theirs:
            files = [stdin, stdout, stderr, theirs.fileno()]
            socket.send_fds(self._channel, [json.dumps(request).encode()], files)
        return ForkedRun(args, ours)

    def close(self) -> None:
        # Also where a fork of this process has a copy of it.
        self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        self._process.wait(20)


class ForkedRun:
    """What `subprocess.Popen` is to a process that was started, as far as pytester needs it."""

    stdin: None = None

    def __init__(self, args: Sequence[str], replies: socket.socket) -> None:
        self._args = args
        self._replies = replies
        self.pid = self._reply()
        self.returncode: int | None = None

    def _reply(self) -> int:
        data = self._replies.recv(4, socket.MSG_WAITALL)
        if len(data) != 4:
            raise RuntimeError("the server of forked runs is gone, or the run's parent")
        return int.from_bytes(data, sys.byteorder, signed=True)

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status, or the number of the signal that ended it, negative."""
        if self.returncode is None:
            self._replies.settimeout(timeout)
            try:
                self.returncode = self._reply()
            except TimeoutError:
                raise subprocess.TimeoutExpired(self._args, timeout or 0) from None
            self._replies.close()
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def forking(pytester: pytest.Pytester, server: ForkServer) -> Callable[..., Any]:
    """Return a pytester's ``popen`` that forks what suits the server, and starts the rest."""
    start = pytester.popen

    def popen(command: Sequence[str], *, stdout: TextIO, stderr: TextIO, **given: Any) -> Any:
        if given["stdin"] is not pytester.CLOSE_STDIN or not server.suits(command, os.environ):
            return start(command, stdout=stdout, stderr=stderr, **given)
        env = os.environ.copy()
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), env.get("PYTHONPATH")]))
        stdin, writes = os.pipe()
        os.close(writes)
        try:
            return server.fork(command[2:], env, stdin, stdout.fileno(), stderr.fileno())
        finally:
            os.close(stdin)

    return popen


# --- the server -----------------------------------------------------------------------------------


class _Imports:
    """For pytest, which has loaded its plugins, and not begun: imports the rest of ours."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self) -> int:
        import pytest_bgcheck

        # By way of pytest's own import hook, which rewrites the asserts of plugins.
        for module in pkgutil.walk_packages(pytest_bgcheck.__path__, "pytest_bgcheck."):
            importlib.import_module(module.name)
        return 0  # in place of a run: no plugin is configured, none starts a thread


def _serve(channel: socket.socket, besides: Sequence[str]) -> None:
    os.chdir("/")
    if pytest.main(["-c/dev/null", "--rootdir=/"], plugins=[_Imports()]) != 0:
        return
    for name in besides:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is there stays, and its memory is shared
    while True:
        message, files, *_ = socket.recv_fds(channel, 1 << 20, 4)
        if not message:
            return
        if os.fork() == 0:
            channel.close()
            _run(json.loads(message), *files)
        for file in files:
            os.close(file)
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _run(request: Mapping[str, Any], stdin: int, stdout: int, stderr: int, replies: int) -> None:
    """Fork the run, tell its pid and how it has ended; raise SystemExit in the run itself."""
    streams = (stdin, stdout, stderr)
    pid = os.fork()
    if pid == 0:
        os.close(replies)
        _become_pytest(request, streams)
    for stream in streams:
        os.close(stream)
    os.write(replies, pid.to_bytes(4, sys.byteorder, signed=True))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(replies, status.to_bytes(4, sys.byteorder, signed=True))
    os._exit(0)


def _become_pytest(request: Mapping[str, Any], streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [os.getcwd(), *(path for path in named if path and path not in sys.path)]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    tempfile.tempdir = None  # it was found for the server
    if "COVERAGE_PROCESS_START" in os.environ:
        importlib.import_module("coverage").process_startup(force=True)
    sys.argv = ["pytest", *request["args"]]
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    del sys.path[0]  # this directory
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
