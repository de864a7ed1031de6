"""Calls to a host over a testinfra backend, any number of them at once."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.backend.base import BaseBackend

from ..errors import Unreachable
from ..originals import threading
from . import causes
from .connection import SUBPROCESS, Connection, Surroundings, as_user, in_short_words
from .sharing import SharedConnection
from .transport import Answer, Enough


class HostTransport:
    """Calls over a testinfra backend, as the user that its settings or ``sudo`` say.

    ``abrupt``: this process may end in the middle of a call, so nothing may be made that would
    stay: no shared connection, no file. All programs run in the ``surroundings`` of its beginning.
    """

    def __init__(
        self, backend: BaseBackend, sudo: bool | None, sudo_user: str | None, abrupt: bool = False
    ) -> None:
        self._surroundings = Surroundings.present()
        self._backend = backend
        self._sudo = backend.sudo if sudo is None else sudo
        self._sudo_user = backend.sudo_user if sudo is None else sudo_user
        self._become = sudo is not False
        self._short_words = False
        # safe-ssh prints its output at its end, by its design.
        self.streams = backend.get_connection_type() in SUBPROCESS - {"safe-ssh"}
        # The client of a container's engine leaves the program that it started there to the engine.
        self.ends_calls = backend.get_connection_type() in {"local", "chroot", *causes.SSH}
        self._abrupt = abrupt
        self._shared = SharedConnection(not abrupt)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        if self._sudo:
            # Not by the backend's own sudo: safe-ssh would apply it twice.
            request = as_user(self._backend, request, self._sudo_user)
        if not self._short_words:
            answer = self._call(request, timeout_s, on_output)
            # csh's own message. It is a whole line, which nothing that a check wrote ever is.
            if answer.rc == 0 or "Word too long." not in causes.lines(
                answer.stderr + b"\n" + answer.stdout
            ):
                return answer
            self._short_words = True
        return self._call(in_short_words(request), timeout_s, on_output)

    def _call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None
    ) -> Answer:
        with self._lock:
            if self._closed:
                raise Unreachable("the run is over")
            connection = (
                self._idle.pop()
                if self._idle
                else Connection(self._backend, self._become, self._abrupt, self._surroundings)
            )
            self._busy.add(connection)
        try:
            connection.share(self._shared)
            answer = connection.run(request, timeout_s, on_output)
            if answer.backend in causes.SSH and answer.rc == causes.SSH_FAILED:
                self._shared.renew()
        except BaseException as error:
            if not isinstance(error, Enough):
                self._shared.renew()
            # Not used again: its client may be broken, or in use by a thread that was left behind.
            # In a thread, because closing may block.
            try:
                threading.Thread(target=connection.close, name="bgcheck-close", daemon=True).start()
            except RuntimeError:
                pass  # no more threads; what is raised is the call's own error
            raise
        finally:
            with self._lock:
                self._busy.discard(connection)
        with self._lock:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        with self._lock:
            self._closed = True
            ending = [*self._busy, *self._idle]
            self._idle.clear()
        for connection in ending:
            connection.close()
        self._shared.close()
