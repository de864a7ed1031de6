"""One call to a target: what goes over the line, asked and parsed.

The interface of a way to a target (`host_transport` has the one over testinfra's backends), and the
two ways to ask by it. Knows no testinfra.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..errors import BadReply, Refused, TargetError, Unreachable
from . import causes, replies, requests


@dataclass(frozen=True)
class Answer:
    """What came back of a call: everything, not yet looked at."""

    rc: int
    stdout: bytes
    stderr: bytes
    backend: str = ""
    log: bytes = b""
    """What ssh's client said itself."""


class Transport(Protocol):
    """A way to one target, for one user there. Any thread may call."""

    streams: bool
    """Whether output comes while the call goes on, and not only at its end."""

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        """Run a request. Raises Unreachable or Refused; blocks ``timeout_s`` at the longest.

        ``on_output`` is called with each part of stdout as it comes; what it raises ends the call.
        """

    def close(self) -> None:
        """End the calls that are under way; later calls raise Unreachable."""


def ask(transport: Transport, nonce: str, request: str, timeout_s: float) -> replies.Reply:
    """Call, and return the parsed reply. Raises a TargetError."""
    collector = replies.Collector(nonce)

    def question() -> replies.Reply:
        streams = transport.streams
        answer = transport.call(request, timeout_s, collector.feed if streams else None)
        if not streams:
            collector.feed(answer.stdout)
        try:
            return replies.parse(nonce, bytes(collector.data) if streams else answer.stdout)
        except BadReply as error:
            raise _cause(answer, error, collector.begun) from error

    return _asked(transport, timeout_s, question, lambda: collector.begun)


def ask_stream(
    transport: Transport,
    nonce: str,
    request: str,
    timeout_s: float,
    deliver: Callable[[replies.Reply], None],
) -> None:
    """Call, and deliver each reply of the stream as it comes. Raises a TargetError."""
    stream = replies.Stream(nonce)

    def on_output(data: bytes) -> None:
        for reply in stream.feed(data):
            deliver(reply)

    def question() -> None:
        answer = transport.call(request, timeout_s, on_output)
        if not stream.complete:
            raise _cause(answer, BadReply("a reply without an end"), stream.begun)

    _asked(transport, timeout_s, question, lambda: stream.begun)


ReplyT = TypeVar("ReplyT")


def _asked(
    transport: Transport,
    timeout_s: float,
    question: Callable[[], ReplyT],
    begun: Callable[[], bool],
) -> ReplyT:
    """Ask; and if a target seems to be gone or to refuse, ask whether it is there at all.

    Jobs are given up by such a verdict, and what it is read from is text. In the second question no
    check has a part.
    """
    try:
        return question()
    except Refused as error:
        if begun():
            raise Unreachable(str(error)) from error
        first = error
    nonce = secrets.token_hex(8)
    try:
        answer = transport.call(requests.presence_request(nonce), min(timeout_s, PRESENCE_S))
        try:
            replies.parse(nonce, answer.stdout)
        except BadReply as bad:
            raise _cause(answer, bad, begun=False) from bad
    except TargetError as second:
        if type(second) is type(first):
            raise first from first.__cause__
        raise Unreachable(str(first)) from first
    raise Unreachable(str(first)) from first


def _cause(answer: Answer, error: BadReply, begun: bool) -> TargetError:
    """Return the error for an answer that holds no whole reply."""
    return causes.cause(
        answer.backend, answer.rc, answer.stdout, answer.stderr, answer.log, error, begun
    )


PRESENCE_S = 10.0
"""How long the question whether a target is there may take."""
