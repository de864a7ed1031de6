"""A child process in which a test runs (pytest-forked, boxed runs).

It has its parent's memory, but no thread of it: nobody there waits for jobs, and a lock may be held
for ever by a thread that is not there. So everything that a thread could have held is made anew in
the child, and it asks the targets itself, by calls of its own. The target's directory is the truth:
a job that is asked for again is attached to.

What the child sees it writes to a file, which the parent reads at its end: the jobs that the test
awaited, and targets on which the child was the first to start one. The child cleans nothing.
"""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import tempfile
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from .. import log
from ..wire import Reader, plain
from .link import Link
from .messages import InternalError, JobsOnTarget, SessionMessage, TargetUsed
from .session import Session


class Mail:
    """What the children of this process have to tell it, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._read = 0
        # Each write is whole, whoever writes beside.
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        fcntl.fcntl(self._file, fcntl.F_SETFL, flags | os.O_APPEND)

    def write(self, message: SessionMessage) -> None:
        os.write(self._file.fileno(), pickle.dumps(plain(message)))

    def close(self) -> None:
        self._file.close()

    def read(self) -> Iterator[object]:
        """Yield what was not read yet, as plain values."""
        size = os.fstat(self._file.fileno()).st_size
        messages = io.BytesIO(os.pread(self._file.fileno(), size - self._read, self._read))
        self._read = size
        while True:
            try:
                message = pickle.load(messages)
            except (EOFError, pickle.UnpicklingError):  # all is read, or the disk was full
                return
            yield message


class ChildLink(Link):
    """A child's link to the run's ledger: by its parent's. See `pytest_bgcheck.run.link.Link`."""

    def __init__(self, link: Link, mail: Mail | None) -> None:
        self.run_id, self.salt, self.worker = link.run_id, link.salt, link.worker
        self.index, self.count, self.durations = link.index, link.count, link.durations
        self._mail = mail

    def tell(self, message: SessionMessage) -> None:
        if self._mail is None:  # rather fail than do what the parent does not know of
            raise OSError("there is no temporary file for a forked child's messages to its parent")
        self._mail.write(message)


_watched: WeakKeyDictionary[Session, Mail | None] = WeakKeyDictionary()


def watch(session: Session) -> None:
    """Have a session go on in each child that this process forks."""
    _watched[session] = None


def is_child(session: Session) -> bool:
    """Return whether this process was forked from the one that has made the session."""
    return isinstance(session.link, ChildLink)


def take_over_from_children(session: Session) -> None:
    """At the end: pass on what forked children have seen, and know the targets they have used."""
    mail = _watched.pop(session, None)
    if mail is None:
        return
    reader: Reader[SessionMessage] = Reader(SessionMessage)
    for message in mail.read():
        try:
            _take(session, reader.read(message))
        except Exception as error:  # it costs only itself
            line = log.internal_error("a message of a forked child", error)
            session.link.tell(InternalError(line))
    mail.close()


def _take(session: Session, message: SessionMessage) -> None:
    match message:
        case TargetUsed():
            session.asked_by_child(message.address)
        case JobsOnTarget():
            session.link.tell(message)
            session.started_elsewhere(message)
        case _:
            session.link.tell(message)


def _before() -> None:
    for session, mail in list(_watched.items()):
        if mail is None:
            try:
                _watched[session] = Mail()
            except OSError:
                pass  # a child that needs none may go on


def _after_in_child() -> None:
    for session, mail in list(_watched.items()):
        session.go_on_in_child(ChildLink(session.link, mail))


os.register_at_fork(before=_before, after_in_child=_after_in_child)
