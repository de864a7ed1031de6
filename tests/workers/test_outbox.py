"""What a worker and the controller send: one bad message costs only itself."""

import math

from pytest_bgcheck.events import JobStarted
from pytest_bgcheck.run.messages import InternalError
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
