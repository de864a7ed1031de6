"""What one process of a run sends to another: in order, and without waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import log
from ..wire import plain

if TYPE_CHECKING:
    pass

FLUSH_S = 2.0
"""How long the end waits for what is to be sent or answered: a broken line must not hold it."""


class Outbox:
    """Sends in a thread of its own, in order; what cannot be sent any more is dropped.

    A message that cannot be sent at all costs only itself, and is told to ``lost`` in a line.
    """

    def __init__(self, channel: Any, lost: Callable[[str], None]) -> None:
        self._channel = channel
        self._lost = lost
        self._queue: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="bgcheck-outbox", daemon=True)
        self._thread.start()

    def put(self, *message: Any) -> None:
        try:
            # Here, and not when it is sent: what it holds may change.
            self._queue.put(plain(message))
        except Exception as error:
            self._bad(message, error)

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                self._channel.send(message)
            except (OSError, EOFError):
                return
            except Exception as error:
                self._bad(message, error)

    def _bad(self, message: tuple[Any, ...], error: Exception) -> None:
        self._lost(log.internal_error(f"the message {message[0]!r} was not sent", error))

    def flush(self) -> None:
        """Send what there is, and end."""
        self._queue.put(None)
        self._thread.join(FLUSH_S)
