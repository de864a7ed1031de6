"""The interface of a way to a target, and how to ask by it: for one reply, or for a stream.

`host_transport` has the way over testinfra's backends; the tests have one that answers from a
script. Knows no testinfra.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ..clocks import monotonic_s
from ..errors import BadReply, Refused, TargetError, Unreachable
from ..log import LOG, without_secrets
from ..originals import secrets
from . import causes, replies, requests


@dataclass(frozen=True)
class Answer:
    """What came back of a call, not yet looked at.

    ``rc`` is that of the program that made the call, or what it passed on. ``backend`` is
    testinfra's name of the kind of connection. ``log`` is what ssh's client wrote itself.
    """

    rc: int
    stdout: bytes
    stderr: bytes
    backend: str = ""
    log: bytes = b""


class Transport(Protocol):
    """A way to one target, for one user there. Any thread may call."""

    streams: bool
    """Whether output comes while the call goes on, and not only at its end."""

    ends_calls: bool
    """Whether a call that is ended here cannot write on its target any more, and so ends there too.
    Else nothing there notices."""

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        """Run a request, a command line for the login shell, in ``timeout_s`` at the most.

        ``on_output`` is called with each part of stdout as it comes; what it raises ends the call,
        and `Enough` says that nothing is wrong with it.
        Then the answer holds no more than the end of stdout. Raises Unreachable or Refused.
        """

    def close(self) -> None:
        """End the calls that are under way; later calls raise Unreachable."""


class Enough(Exception):
    """Raised to end a call that streams: its caller has enough."""


PRESENCE_S = 10.0
"""How long the question whether a target is there may take."""


@dataclass(frozen=True)
class Call:
    """A request that is ready to be asked.

    ``kind`` (start, await, ...), ``host`` and ``jobs``, how many it names, are for the log.
    """

    kind: str
    host: str
    nonce: str
    request: str = field(repr=False)
    jobs: int = 0


def ask(transport: Transport, call: Call, timeout_s: float) -> replies.Reply:
    """Ask, and return the reply. Raises a TargetError.

    Asking again is always safe. ``timeout_s`` is for one question; where the target seems to be
    gone or to refuse, a second one is asked, which takes `PRESENCE_S` at the most.
    """
    collector = replies.Collector(call.nonce)

    def question() -> replies.Reply:
        streams = transport.streams
        answer = transport.call(call.request, timeout_s, collector.feed if streams else None)
        if not streams:
            collector.feed(answer.stdout)
        try:
            return replies.parse(call.nonce, bytes(collector.data) if streams else answer.stdout)
        except BadReply as error:
            raise _cause(answer, error, collector.begun) from error

    with _logged(call, timeout_s) as heard:
        reply = _asked(transport, call, timeout_s, question, lambda: collector.begun)
        heard(reply, len(collector.data))
    return reply


def ask_stream(
    transport: Transport,
    call: Call,
    timeout_s: float,
    deliver: Callable[[replies.Reply], None],
    on_begin: Callable[[], None] = lambda: None,
    wanted: Callable[[], bool] = lambda: True,
) -> bool:
    """Ask, and deliver each reply of the stream as it comes. Raises a TargetError, see `ask`.

    What was delivered before an error stays true. ``on_begin`` is called when the stream begins:
    from then on the target hears each end, also of jobs that the call does not name.

    Return False if the call was ended ahead of its end: since ``deliver`` has raised `Enough`, or
    no more was ``wanted`` as something came.
    """
    stream = replies.Stream(call.nonce)

    def on_output(data: bytes) -> None:
        if not wanted():
            raise Enough
        before = stream.begun
        for reply in stream.feed(data):
            heard(reply, stream.size)
            deliver(reply)
        if stream.begun and not before:
            on_begin()

    def question() -> None:
        answer = transport.call(call.request, timeout_s, on_output)
        if not stream.complete:
            raise _cause(answer, BadReply("a reply without an end"), stream.begun)

    with _logged(call, timeout_s) as heard:
        try:
            _asked(transport, call, timeout_s, question, lambda: stream.begun)
        except Enough:
            return False
    return True


ReplyT = TypeVar("ReplyT")


def _asked(
    transport: Transport,
    call: Call,
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
    presence = Call("presence", call.host, nonce, requests.presence_request(nonce))
    presence_s = min(timeout_s, PRESENCE_S)
    try:
        with _logged(presence, presence_s) as heard:
            answer = transport.call(presence.request, presence_s)
            try:
                heard(replies.parse(nonce, answer.stdout), len(answer.stdout))
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


# --- the log --------------------------------------------------------------------------------------


@contextmanager
def _logged(call: Call, timeout_s: float) -> Iterator[Callable[[replies.Reply, int], None]]:
    """Log a call, and the error that it ends with; yield what logs a reply of some bytes."""
    name = f"{call.kind} on {call.host}"
    begun = monotonic_s()
    LOG.debug(
        "%s: asked, %d jobs, %d bytes, %.1f s at most",
        name, call.jobs, len(call.request), timeout_s,
    )  # fmt: skip

    def heard(reply: replies.Reply, size: int) -> None:
        if LOG.isEnabledFor(logging.DEBUG):
            took_s = monotonic_s() - begun
            LOG.debug("%s: %s, %d bytes after %.3f s", name, reply.counts(), size, took_s)

    try:
        yield heard
    except Exception as error:
        if LOG.isEnabledFor(logging.DEBUG):
            took_s = monotonic_s() - begun
            said = without_secrets(str(error))
            LOG.debug("%s: %s after %.3f s: %s", name, type(error).__name__, took_s, said)
        raise
