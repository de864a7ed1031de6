"""A line to a server on loopback that counts its bytes and delays them: a TCP proxy.

The nearest thing to ``tc netem delay`` that needs neither root nor a kernel built with netem. It
models what a distance costs: a round trip to set up the connection, half of one for each byte, and
TCP's slow start, in which a sender may have ten segments on their way and one more for each that
was acknowledged, and starts anew after a silence (RFC 6928, RFC 5681). It models no loss and no
bandwidth.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from support.machines.machine import Machine

_SEGMENT = 1448
_FIRST_WINDOW = 10 * _SEGMENT
_CHUNK = 1 << 16


class Line(Machine):
    """A listener on loopback whose connections end at ``server_port`` of 127.0.0.1.

    ``port`` is the same for all of its ``addresses``. ``sent`` and ``received`` count the bytes
    from and to those who connect; ``connected`` has the times at which they did.
    """

    port: int

    def __init__(
        self,
        server_port: int,
        round_trip_s: float = 0.0,
        addresses: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        self._server_port = server_port
        self._addresses = addresses
        self._round_trip_s = round_trip_s
        self.sent = self.received = 0
        self.connected: list[float] = []

    def start(self) -> None:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the line does not listen")

    def stop(self) -> None:
        if hasattr(self, "_thread") and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._open: set[asyncio.Task[None]] = set()
        self.port = _free_port(self._addresses)
        server = await asyncio.start_server(
            self._connected, self._addresses, self.port, backlog=256
        )
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await server.wait_closed()

    async def _connected(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connected.append(time.time())
        writers = [back]
        carries: list[asyncio.Task[None]] = []
        try:
            up, down = _Way(self._round_trip_s), _Way(self._round_trip_s)
            # The server sees the connection when the third packet of its set-up arrives; what the
            # client sends meanwhile waits in the reader, though it could have left before.
            await asyncio.sleep(self._round_trip_s * 1.5)
            up.ahead_s = self._round_trip_s / 2
            there, on = await asyncio.open_connection("127.0.0.1", self._server_port)
            writers.append(on)
            carries.append(asyncio.ensure_future(self._carry(here, on, up, "sent")))
            carries.append(asyncio.ensure_future(self._carry(there, back, down, "received")))
            await asyncio.gather(*carries)
        except (OSError, asyncio.CancelledError):
            pass  # either end has broken off: so does the other; or the line is stopped
        finally:
            # All, before the first await: a line that is stopped cancels that.
            for writer in writers:
                writer.close()
            for carry in carries:
                carry.cancel()
            for writer in writers:
                with suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()
            self._open.discard(task)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: _Way, counter: str
    ) -> None:
        parts: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                arrives, data = await parts.get()
                await asyncio.sleep(max(0.0, arrives - self._loop.time()))
                if not data:
                    break
                sink.write(data)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()

        delivery = asyncio.ensure_future(deliver())
        try:
            while data := await source.read(_CHUNK):
                setattr(self, counter, getattr(self, counter) + len(data))
                for part in way.parts(self._loop.time(), data):
                    parts.put_nowait(part)
            parts.put_nowait((self._loop.time() + self._round_trip_s / 2, b""))
            await delivery
        finally:
            delivery.cancel()


class _Way:
    """One direction of a connection: when what is sent now arrives."""

    def __init__(self, round_trip_s: float) -> None:
        self._round_trip_s = round_trip_s
        self._window = float(_FIRST_WINDOW)
        self._under_way: deque[tuple[float, int]] = deque()  # (acknowledged at, bytes)
        self._flight = 0
        self._last = 0.0
        self.ahead_s = 0.0

    def parts(self, now: float, data: bytes) -> list[tuple[float, bytes]]:
        """Return the data in parts, each with the time at which it arrives."""
        if not self._round_trip_s:
            return [(now, data)]
        leaves, self.ahead_s = max(self._last, now - self.ahead_s), 0.0
        silence = leaves - self._last
        pause = self._round_trip_s + 0.2  # about Linux's retransmission time-out
        if silence > pause:
            self._window = max(_FIRST_WINDOW, self._window / 2 ** min(30, silence // pause))
        result = []
        for place in range(0, len(data), _SEGMENT):
            segment = data[place : place + _SEGMENT]
            self._acknowledge(leaves)
            while self._flight + len(segment) > self._window:
                leaves = max(leaves, self._under_way[0][0])
                self._acknowledge(leaves)
            self._under_way.append((leaves + self._round_trip_s, len(segment)))
            self._flight += len(segment)
            result.append((leaves + self._round_trip_s / 2, segment))
        self._last = leaves
        return result

    def _acknowledge(self, now: float) -> None:
        while self._under_way and self._under_way[0][0] <= now:
            size = self._under_way.popleft()[1]
            self._flight -= size
            self._window += size


def _free_port(addresses: Sequence[str]) -> int:
    """Return a port that is free on the first of some addresses."""
    with socket.socket() as probe:
        probe.bind((addresses[0], 0))
        port: int = probe.getsockname()[1]
        return port
