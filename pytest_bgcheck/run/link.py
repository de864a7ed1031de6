"""What a session shares with the other processes of its run, and how it tells them.

Without xdist there are none: the session's own ledger is told. Imports nothing that knows xdist.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..events import Event
from ..ledger import Ledger
from ..plan import Durations


class Listener(Protocol):
    """What a link tells a session, from any thread."""

    troubles: list[str]
    """After its end: what may be left on targets."""

    def started_elsewhere(self, key: str, directory: bytes, terms: Mapping[str, str]) -> None:
        """Another session has started these jobs (by id, with their terms) on a target."""

    def give_up(self) -> None:
        """The run is being stopped: wait for no job any more."""

    def nobody_waits(self) -> None:
        """No test of the run is left."""

    def close(self, keys: Iterable[str] | None = None) -> None:
        """End all jobs, and clean the targets of these keys, None for all."""


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

    def leave(self, session: Listener) -> None:
        """End a session whose tests have run."""
        raise NotImplementedError


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

    def leave(self, session: Listener) -> None:
        session.close()


def new_run() -> tuple[str, str]:
    """Return an id for a run, and the salt for what must not be guessed from names."""
    return secrets.token_hex(6), secrets.token_hex(16)
