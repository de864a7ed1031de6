"""What one process of a run sends to another: in order, and without waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from .. import log
from ..clocks import monotonic_s
from ..run.messages import ControllerMessage, WorkerMessage
from ..wire import plain

FLUSH_S = 2.0
"""How long the end waits for what is to be sent or answered: a broken line must not hold it."""


class Channel(Protocol):
    """What is used here of a channel of execnet's."""

    def send(self, item: object) -> None: ...

    def setcallback(self, callback: Callable[[object], None]) -> None:
        """Call from now on, in a thread of execnet's, with whatever comes."""


class Outbox:
    """Sends in a thread of its own, in order; what cannot be sent any more is dropped.

    The thread begins with the first message: a suite without checks has none. A message that cannot
    be sent at all costs only itself, and is told to ``lost`` in a line.
    """

    def __init__(self, channel: Channel, lost: Callable[[str], None]) -> None:
        self._channel = channel
        self._lost = lost
        self._queue: queue.SimpleQueue[tuple[str, object] | threading.Event | None]
        self._queue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, message: WorkerMessage | ControllerMessage) -> None:
        try:
            # Here, and not when it is sent: what it holds may change.
            self._queue.put(plain(message))
        except Exception as error:
            self._bad(type(message).__name__, error)
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="bgcheck-outbox", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            if isinstance(message, threading.Event):
                message.set()
                continue
            try:
                self._channel.send(message)
            except (OSError, EOFError):
                return
            except Exception as error:
                self._bad(message[0], error)

    def _bad(self, kind: str, error: Exception) -> None:
        self._lost(log.internal_error(f"the message {kind!r} was not sent", error))

    def wait_until_sent(self, timeout_s: float) -> None:
        """Wait until what there is now is sent, or cannot be sent."""
        sent = threading.Event()
        self._queue.put(sent)
        deadline_s = monotonic_s() + timeout_s
        thread = self._thread
        while (
            thread is not None
            and thread.is_alive()
            and monotonic_s() < deadline_s
            and not sent.wait(0.05)
        ):
            pass

    def flush(self) -> None:
        """Send what there is, and end."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(FLUSH_S)
