"""A service whose outages are planted: when it was down is known to the fraction of a millisecond.

It speaks HTTP on a port of loopback. Nothing here imports the package.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from contextlib import suppress

from .machine import Machine

_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nup\n"


class PlantedService(Machine):
    """It is up, but for the outages that ``plant`` has asked for, also from other processes.

    ``port`` is the service's own, ``control_port`` where outages are asked for. Both stay the same,
    and are refused to others, while it is down.
    """

    port: int
    control_port: int

    def start(self) -> None:
        # Bound and never listening: it keeps the port while the service is down.
        self._keeper = _bound(0)
        self.port = self._keeper.getsockname()[1]
        self._control = _bound(0)
        self.control_port = self._control.getsockname()[1]
        self._control.listen()
        self._listener: socket.socket | None = None
        self._asker: socket.socket | None = None  # of the outage that there is
        self._began = self._ends = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._control, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._come_up()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if not hasattr(self, "_thread"):
            return
        self._wake.close()
        self._thread.join(10)
        for ours in (self._keeper, self._control, self._woken, self._listener, self._asker):
            if ours is not None:
                ours.close()
        self._selector.close()
        del self._thread

    def _serve(self) -> None:
        while True:
            left_s = max(0.0, self._ends - time.monotonic())
            for key, _ in self._selector.select(None if self._asker is None else left_s):
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._control:
                    self._go_down()
                elif key.fileobj is self._listener:
                    self._answer()
            if self._asker is not None and self._ends <= time.monotonic():
                self._end_outage(self._asker)

    def _answer(self) -> None:
        assert self._listener is not None
        connection, _ = self._listener.accept()
        with connection, suppress(OSError):  # who asked may have gone
            connection.settimeout(1)
            connection.recv(1 << 16)
            connection.sendall(_ANSWER)

    def _go_down(self) -> None:
        """Read what a client of the control port asks for, and begin with it."""
        asker, _ = self._control.accept()
        asker.settimeout(10)
        asked = json.loads(asker.makefile().readline())
        if self._listener is None or self._asker is not None:
            asker.close()  # it is down already: who asks gets no times
            return
        self._asker = asker
        self._began = time.monotonic()
        self._ends = self._began + asked["seconds"]
        self._selector.unregister(self._listener)
        if not asked["silent"]:
            self._listener.close()
            self._listener = None

    def _end_outage(self, asker: socket.socket) -> None:
        self._come_up()
        times = [self._began, time.monotonic()]
        self._asker = None
        with asker, suppress(OSError):
            asker.sendall(json.dumps(times).encode() + b"\n")

    def _come_up(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen(128)
        self._selector.register(self._listener, selectors.EVENT_READ)


def plant(control_port: int, seconds: float, silent: bool = False) -> tuple[float, float]:
    """Have a service be down for so long; return when it was, by this computer's monotonic clock.

    ``silent``: it takes connections and says nothing, and answers them when it is up again; else it
    refuses them. Waits for the end of the outage.
    """
    with socket.create_connection(("127.0.0.1", control_port), seconds + 30) as control:
        control.sendall(json.dumps({"seconds": seconds, "silent": silent}).encode() + b"\n")
        began, ended = json.loads(control.makefile().readline())
    return began, ended


def _bound(port: int) -> socket.socket:
    """Return a socket on a port of loopback, 0: one that is free, beside others of ours on it."""
    ours = socket.socket()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    ours.bind(("127.0.0.1", port))
    return ours
