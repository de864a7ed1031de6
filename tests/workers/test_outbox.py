"""What a worker and the controller send: one bad message costs only itself."""

import math
import threading
import time

from pytest_bgcheck.events import JobStarted
from pytest_bgcheck.run.messages import InternalError, StopWaiting
from pytest_bgcheck.wire import plain
from pytest_bgcheck.workers.outbox import Outbox


class Channel:
    """As execnet's, which refuses some messages."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    def send(self, item: object) -> None:
        if item == plain(InternalError("refused")):
            raise ValueError("strings must be something else")
        self.sent.append(item)

    def setcallback(self, callback: object) -> None:
        raise NotImplementedError


def test_one_bad_message_costs_only_itself_and_is_told() -> None:
    channel = Channel()
    told: list[str] = []
    outbox = Outbox(channel, told.append)
    outbox.put(JobStarted("key", "gw0", math.inf))
    outbox.put(JobStarted("key", object(), 1.0))  # type: ignore[arg-type]
    outbox.put(InternalError("refused"))
    outbox.put(InternalError("line"))
    outbox.flush()
    assert channel.sent == [
        plain(JobStarted("key", "gw0", math.inf)),
        plain(InternalError("line")),
    ]
    assert len(told) == 2
    assert all(line.startswith("internal error: ") for line in told)


def test_who_waits_until_all_is_sent_goes_on_when_it_is() -> None:
    on, channel = threading.Event(), Channel()

    def send(item: object) -> None:
        on.wait(30)
        channel.sent.append(item)

    channel.send = send  # type: ignore[method-assign]
    outbox = Outbox(channel, lambda line: None)
    outbox.put(StopWaiting())
    threading.Timer(0.2, on.set).start()
    outbox.wait_until_sent(30)
    assert channel.sent == [plain(StopWaiting())]


def test_who_waits_for_a_broken_line_is_not_held() -> None:
    def broken(item: object) -> None:
        raise OSError("the worker is gone")

    channel = Channel()
    channel.send = broken  # type: ignore[method-assign]
    outbox = Outbox(channel, lambda line: None)
    outbox.wait_until_sent(30)  # nothing was ever sent
    outbox.put(StopWaiting())
    begun = time.monotonic()
    outbox.wait_until_sent(60)
    assert time.monotonic() - begun < 30
