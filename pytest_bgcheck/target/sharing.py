"""One ssh connection for all calls to a target, where the user's settings share none.

A handshake costs some round trips and a tenth of a second of CPU, and a run makes at least three
calls to a host. So testinfra's ssh backends get a ControlPath of our own, and compression, since
what is sent is text. It is for our calls only, and ends with the run. Where the server refuses one
more session on it (MaxSessions), ssh makes a connection of its own: see ssh_config(5),
ControlMaster.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from ..compat.testinfra import ssh_command
from ..originals import os, subprocess, tempfile, threading

_LONGEST = 104 - len("/0123.0123456789abcdef") - 1
"""Characters of a socket's directory. ssh first makes the socket with 17 characters more."""

_CONFIG_S = 5.0
"""How long ``ssh -G`` may take, which reads the user's settings."""

_EXIT_S = 2.0
"""How long ssh may take to end a shared connection."""


class SharedConnection:
    """The connection of one target's calls; none if not ``enabled``. Any thread may call."""

    def __init__(self, enabled: bool = True) -> None:
        self._lock = threading.Lock()
        self._decided = not enabled
        self._directory: Path | None = None
        self._number = 0

    def apply(self, backend: Any) -> None:
        """Let a private copy of a backend use the connection, if it is an ssh that shares none."""
        if backend.get_connection_type() not in ("ssh", "safe-ssh"):
            return
        with self._lock:
            if not self._decided:
                self._decided = True
                if _shares_none(backend):
                    self._directory = _directory()
            elif self._directory is not None and not os.access(self._directory, os.W_OK):
                # Somebody has removed it, and ssh fails where it cannot make its socket.
                self._directory = _directory()
            if self._directory is not None:
                if not backend.controlpath:
                    backend.ssh_extra_args = f"{backend.ssh_extra_args or ''} -o Compression=yes"
                backend.controlpath = f"{self._directory}/{self._number}"

    def renew(self) -> None:
        """Use a new connection from now on: a call has failed, and the old one may be dead."""
        with self._lock:
            self._number += 1

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            directory, self._directory = self._directory, None
        if directory is None:
            return
        try:
            sockets = list(directory.iterdir())
        except OSError:
            sockets = []  # it was removed; the connections end by themselves, as below
        for socket in sockets:
            try:
                subprocess.run(
                    ["ssh", "-F", "/dev/null", "-S", str(socket), "-O", "exit", "target"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=_EXIT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired):
                pass  # it ends by itself, ControlPersist after the last call
        shutil.rmtree(directory, ignore_errors=True)


def _shares_none(backend: Any) -> bool:
    """Return whether neither testinfra's settings nor ssh's have anything of their own."""
    extra = (backend.ssh_extra_args or "").lower()
    if backend.controlpath or not backend.controlpersist or backend.host.password:
        return False
    if "control" in extra or re.search(r"(^|\s)-[a-z]*[ms]", extra):
        return False
    words, arguments = ssh_command(backend)
    command = backend.quote(" ".join(["ssh", "-G", *words[1:]]), *arguments)
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CONFIG_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.search(rb"^controlpath (.*)$", done.stdout, re.MULTILINE)
    return found is None or found[1].strip() == b"none"


def _directory() -> Path | None:
    """Make a directory whose name needs no quoting and is short enough for a socket."""
    try:
        directory = tempfile.mkdtemp(prefix="bgcheck-")
    except OSError:
        return None  # each call connects
    if re.fullmatch(r"[\w./-]+", directory, re.ASCII) and len(directory) <= _LONGEST:
        return Path(directory)
    os.rmdir(directory)
    return None
