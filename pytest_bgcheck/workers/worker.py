"""A worker's link to the ledger on the controller. Imports nothing of xdist."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..events import Event
from ..run.link import Link, Listener
from ..target.place import here
from ..wire import plain
from .outbox import FLUSH_S, Outbox

if TYPE_CHECKING:
    pass


class WorkerLink(Link):
    """A worker's link to the ledger on the controller. See `pytest_bgcheck.run.link.Link`."""

    def __init__(self, workerinput: Mapping[str, Any]) -> None:
        told = workerinput["bgcheck"]
        self.run, self.salt = told["run"], told["salt"]
        self.share = told["share"], told["count"]
        self._place = told["place"]
        self.durations = told["durations"]
        self.worker = workerinput["workerid"]
        self._started = told["started"]
        self._channel = workerinput["bgcheck_channel"]
        self._outbox = Outbox(self._channel, self.unexpected)
        self._answers: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()
        self._outbox.put("place", here())

    def tell(self, event: Event) -> None:
        self._outbox.put("event", event)

    def unexpected(self, line: str) -> None:
        self._outbox.put("unexpected", line)

    def target(self, key: str, plain: Mapping[str, Any]) -> None:
        self._outbox.put("target", key, dict(plain))

    def started(self, key: str, directory: bytes, id: str, terms: str) -> None:
        self._outbox.put("started", key, directory, id, terms)

    def waiting(self, tests: Sequence[str]) -> None:
        # Not by the outbox: it must arrive before xdist's own word that this worker has collected.
        self._channel.send(plain(("waiting", list(tests))))

    def wrong_use(self, message: str) -> None:
        # Nor this: it must arrive before xdist's word that this worker has ended.
        self._channel.send(plain(("wrong_use", message)))

    def listen(self, session: Listener) -> None:
        """From now on pass on to a session what the controller says."""
        for key, (directory, terms) in self._started.items():
            session.started_elsewhere(key, directory, terms)

        def heard(message: tuple[Any, ...]) -> None:
            match message:
                case ("started", key, directory, id, terms):
                    session.started_elsewhere(key, directory, {id: terms})
                case ("stop",):
                    session.stop()
                case ("over",):
                    session.tests_are_over()
                case ("clean", keys):
                    self._answers.put(keys)

        self._channel.setcallback(heard)

    def to_clean(self) -> Sequence[str]:
        """None, unless the controller cannot reach this worker's local hosts: then all of those,
        if this is the last worker here."""
        self._outbox.put("ending")
        if here() != self._place:
            self._outbox.put("leaving", here())
            try:
                return self._answers.get(timeout=FLUSH_S)
            except queue.Empty:
                pass
        return ()

    def leave(self, cleaned: Sequence[str], not_cleaned_up: Sequence[str]) -> None:
        if cleaned:
            self._outbox.put("cleaned", list(cleaned), list(not_cleaned_up))
        self._outbox.flush()
