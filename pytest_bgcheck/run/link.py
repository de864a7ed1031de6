"""What a session shares with the other processes of its run, and how it tells them.

Without xdist there are none: the session's own ledger is told. Imports nothing that knows xdist.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..events import Event
from ..ledger import Ledger
from ..plan import Durations


class Listener(Protocol):
    """What a link tells a session, from any thread."""

    def started_elsewhere(self, key: str, directory: bytes, terms: Mapping[str, str]) -> None:
        """Another session has started these jobs (by id, with their terms) on a target."""

    def stop(self) -> None:
        """The run is being stopped: wait for no job any more."""

    def tests_are_over(self) -> None:
        """No worker has a test left."""


class Link:
    """The way from a session to the run's ledger; what a link has no use for does nothing here.

    ``run`` and ``salt`` are the run's own; ``worker`` is an xdist worker's id or empty; ``share``:
    this is the i-th of n sessions that share out the starts; ``durations`` are those of earlier
    runs.
    """

    run: str
    salt: str
    worker: str
    share: tuple[int, int]
    durations: Durations

    def tell(self, event: Event) -> None:
        """Pass an event on to the ledger. Does not wait."""
        raise NotImplementedError

    def unexpected(self, line: str) -> None:
        """Say that something could not be told: the run must not be green by that."""
        raise NotImplementedError

    def target(self, key: str, plain: Mapping[str, Any]) -> None:
        """Say that there may be files of the run on a target."""

    def started(self, key: str, directory: bytes, id: str, terms: str) -> None:
        """Say that a job was started on a target, and where the run's directory is there."""

    def waiting(self, tests: Sequence[str]) -> None:
        """Say which of the collected tests await."""

    def wrong_use(self, message: str) -> None:
        """Say that the suite is wrong, and that this session therefore ends."""

    def listen(self, session: Listener) -> None:
        """Pass on to a session, from now on, what the others of the run say."""

    def idle(self) -> float:
        """Use the time in which a test waits; return in how many seconds to call again."""
        return math.inf  # the terminal is another process'

    def to_clean(self) -> Sequence[str] | None:
        """Say that no test is left here. Return which targets this session cleans: None for all."""
        return None

    def leave(self, cleaned: Sequence[str], not_cleaned_up: Sequence[str]) -> None:
        """Say, as the last word, which targets were cleaned, and what may be left there."""


class LocalLink(Link):
    """The link of the only process of a run."""

    worker = ""
    share = (0, 1)

    def __init__(
        self,
        ledger: Ledger,
        durations: Durations,
        idle: Callable[[], float],
        unexpected: Callable[[str], None],
    ) -> None:
        self.run, self.salt = new_run()
        self.durations = durations
        self._ledger = ledger
        self._idle = idle
        self._unexpected = unexpected

    def tell(self, event: Event) -> None:
        self._ledger.tell(event)

    def unexpected(self, line: str) -> None:
        self._unexpected(line)

    def idle(self) -> float:
        return self._idle()


def new_run() -> tuple[str, str]:
    """Return an id for a run, and the salt for what must not be guessed from names."""
    return secrets.token_hex(6), secrets.token_hex(16)
