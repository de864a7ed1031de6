"""What a session shares with the other processes of its run, and how it tells them.

Without xdist there are none: the session's own ledger is told. Imports nothing that knows xdist.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from ..ledger import Ledger
from ..plan import Durations
from . import messages


class Listener(Protocol):
    """What a link tells a session, from any thread."""

    def started_elsewhere(self, jobs: messages.JobsOnTarget) -> None:
        """Another session has started these jobs."""

    def stop(self) -> None:
        """The run is being stopped: wait for no job any more."""

    def tests_are_over(self) -> None:
        """No worker has a test left."""

    def hear(self, message: messages.StartPointMessage) -> None:
        """What becomes of jobs that are held back."""


def answer(
    message: messages.WaitsForStartPoint | messages.GoesOn,
    session: Listener,
    why: Callable[[str, str], str],
) -> None:
    """Answer where no other process could set a fixture up. ``why``: why a job is never started, by
    its key and the test that awaits it."""
    match message:
        case messages.WaitsForStartPoint():
            details = {key: why(key, message.test) for key in message.jobs}
            session.hear(messages.NeverStarted(details))
        case messages.GoesOn():
            session.hear(messages.MayGoOn(message.number))


class Link:
    """The way from a session to the run's ledger, and to the other sessions if there are any.

    ``run_id`` and ``salt`` are the run's own. ``worker`` is an xdist worker's id, else empty. The
    session is the ``index``-th of ``count``, which share out the starts. ``durations`` are those of
    earlier runs.
    """

    run_id: str
    salt: str
    worker: str
    index: int
    count: int
    durations: Durations

    def tell(self, message: messages.SessionMessage) -> None:
        """Tell the run of an event, or of what else concerns it. Does not wait."""
        raise NotImplementedError

    def listen(self, session: Listener) -> None:
        """Pass on to a session, from now on, what the others of the run say."""

    def idle(self) -> float:
        """Use the time in which a test waits; return in how many seconds to call again."""
        return math.inf  # the terminal is another process'

    def wait_is_over(self) -> None:
        """Note that the main thread goes on with its test, after `idle` and `WaitEnded`."""

    def what_to_clean(self) -> messages.CleanTargets | None:
        """Say that no test is left here. Return what the session cleans (None: all it knows)."""
        return None

    def leave(self, cleaned: Sequence[str], not_cleaned_up: Sequence[str]) -> None:
        """Say which targets were cleaned, and what may be left there. Nothing is said later."""


class LocalLink(Link):
    """The link of the only process of a run."""

    worker = ""
    index = 0
    count = 1

    def __init__(
        self,
        ledger: Ledger,
        durations: Durations,
        idle: Callable[[], float],
        wait_is_over: Callable[[], None],
        on_error: Callable[[str], None],
    ) -> None:
        self.run_id, self.salt = new_run()
        self.durations = durations
        self._ledger = ledger
        self._idle = idle
        self._wait_is_over = wait_is_over
        self._on_error = on_error
        self._session: Listener

    def listen(self, session: Listener) -> None:
        self._session = session

    def tell(self, message: messages.SessionMessage) -> None:
        match message:
            case messages.InternalError():
                self._on_error(message.line)
            case messages.TargetUsed() | messages.JobsOnTarget():
                pass  # nobody else is there to clean, or to start them
            case messages.NewOrder() | messages.WrongSuite():
                pass  # pytest itself, in this process, knows
            case messages.WaitsForStartPoint() | messages.GoesOn():
                answer(message, self._session, self._ledger.why_never_started)
            case event:
                self._ledger.tell(event)

    def idle(self) -> float:
        return self._idle()

    def wait_is_over(self) -> None:
        self._wait_is_over()


def new_run() -> tuple[str, str]:
    """Return an id for a run, and the salt for what must not be guessed from names."""
    return secrets.token_hex(6), secrets.token_hex(16)
