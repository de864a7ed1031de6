"""A worker's link to the ledger on the controller. Imports nothing of xdist."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from typing import Any

from .. import log
from ..events import StartPointReached
from ..run import messages
from ..run.link import Link, Listener
from ..target.place import here
from ..wire import Reader, plain
from .outbox import FLUSH_S, Channel, Outbox

AT_ONCE = (messages.NewOrder, messages.WrongSuite, StartPointReached)
"""Not by the outbox: they must arrive before xdist's own word that this worker has collected or
ended, or before a job starts, even if this worker then dies."""


class WorkerLink(Link):
    """A worker's link to the ledger on the controller. See `pytest_bgcheck.run.link.Link`."""

    def __init__(self, workerinput: Mapping[str, Any]) -> None:
        """``workerinput``: what xdist hands over from the controller, of any type."""
        reader: Reader[messages.WorkerSetup] = Reader(messages.WorkerSetup)
        self._setup = setup = reader.read(workerinput["bgcheck"])
        self.run_id, self.salt = setup.run_id, setup.salt
        self.index, self.count = setup.index, setup.count
        self.durations = setup.durations
        self.worker = workerinput["workerid"]
        self._channel: Channel = workerinput["bgcheck_channel"]
        self._outbox = Outbox(self._channel, self._error)
        self._to_clean: queue.SimpleQueue[messages.CleanTargets] = queue.SimpleQueue()
        # That tests here use checks. Not by the outbox: it must arrive before xdist's own word that
        # this worker has collected.
        self._channel.send(plain(messages.WorkerPlace(here())))

    def tell(self, message: messages.SessionMessage) -> None:
        if isinstance(message, AT_ONCE):
            self._channel.send(plain(message))
        else:
            self._outbox.put(message)

    def _error(self, line: str) -> None:
        self.tell(messages.InternalError(line))

    def listen(self, session: Listener) -> None:
        """From now on pass on to a session what the controller says."""
        for jobs in self._setup.jobs:
            session.started_elsewhere(jobs)
        session.hear(messages.NeverStarted(self._setup.never_started))
        for fixture in self._setup.reached:
            session.hear(StartPointReached(fixture, ()))
        reader: Reader[messages.ControllerMessage] = Reader(messages.ControllerMessage)

        def heard(message: object) -> None:
            try:
                self._hear(session, reader.read(message))
            except Exception as error:  # an error here would end execnet's receiver thread
                self._error(log.internal_error("a message of the controller", error))

        self._channel.setcallback(heard)

    def _hear(self, session: Listener, message: messages.ControllerMessage) -> None:
        match message:
            case messages.JobsOnTarget():
                session.started_elsewhere(message)
            case StartPointReached() | messages.NeverStarted() | messages.MayGoOn():
                session.hear(message)
            case messages.StopWaiting():
                session.stop()
            case messages.NoWorkerHasTests():
                session.tests_are_over()
            case messages.CleanTargets():
                self._to_clean.put(message)

    def what_to_clean(self) -> messages.CleanTargets:
        """Say that no test is left here. Return no targets: the controller cleans them. Only where
        it cannot reach this worker's local hosts, the last worker here cleans these."""
        self._outbox.put(messages.NoTestLeft())
        if here() != self._setup.place:
            self._outbox.put(messages.WhatToClean(here()))
            try:
                return self._to_clean.get(timeout=FLUSH_S)
            except queue.Empty:
                pass
        return messages.CleanTargets()

    def leave(self, cleaned: Sequence[str], not_cleaned_up: Sequence[str]) -> None:
        if cleaned:
            self._outbox.put(messages.Cleaned(tuple(cleaned), tuple(not_cleaned_up)))
        self._outbox.flush()
