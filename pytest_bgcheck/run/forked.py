"""A child process in which a test runs (pytest-forked, boxed runs).

A child has its parent's memory but not its threads: nothing there waits for jobs, and a lock may be
held for ever by a thread that is not there. So everything that a thread could have held is made
anew in the child, and the child asks the targets itself, by calls of its own. The target's
directory is the truth: a job that is started again is attached to.

The child writes what it sees to a file, which the parent reads at its own end: the jobs that the
test awaited, and the targets on which the child was the first to start a job. The child cleans
nothing.
"""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from .. import log
from ..events import StartPointReached
from ..ledger import why_never_started
from ..originals import io, os, tempfile
from ..wire import Reader, plain
from .link import Link, answer
from .messages import (
    GoesOn,
    InternalError,
    JobsOnTarget,
    SessionMessage,
    TargetUsed,
    WaitsForStartPoint,
)
from .session import Session


class MessageFile:
    """The messages of this process' forked children to it, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)
        self._read = 0
        # So that each message is written whole, although several children write.
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        fcntl.fcntl(self._file, fcntl.F_SETFL, flags | os.O_APPEND)

    def write(self, message: SessionMessage) -> None:
        # As it is, surrogates too: the parent knows tests and targets by the same words.
        os.write(self._file.fileno(), pickle.dumps(plain(message, "surrogatepass")))

    def close(self) -> None:
        self._file.close()

    def read(self) -> Iterator[object]:
        """Yield what was not read yet, as plain values."""
        begin = self._read
        self._read = os.fstat(self._file.fileno()).st_size
        return self.look(begin)

    def look(self, begin: int = 0) -> Iterator[object]:
        """Yield what there is from ``begin`` on, read or not."""
        size = os.fstat(self._file.fileno()).st_size
        messages = io.BytesIO(os.pread(self._file.fileno(), size - begin, begin))
        while True:
            try:
                message = pickle.load(messages)
            except (EOFError, pickle.UnpicklingError):  # all is read, or the disk was full
                return
            yield message


class ChildLink(Link):
    """A child's link to the run's ledger: by its parent's. See `pytest_bgcheck.run.link.Link`."""

    def __init__(self, session: Session, file: MessageFile | None) -> None:
        self._session, link = session, session.link
        self.run_id, self.salt, self.worker = link.run_id, link.salt, link.worker
        self.index, self.count, self.durations = link.index, link.count, link.durations
        self._file = file

    def tell(self, message: SessionMessage) -> None:
        if isinstance(message, (WaitsForStartPoint, GoesOn)):
            # Not even the parent hears what is said here before the child has ended.
            answer(message, self._session, self._why_never_started)
            return
        if self._file is None:  # rather fail than do what the parent does not know of
            raise OSError("there is no temporary file for a forked child's messages to its parent")
        self._file.write(message)

    def _why_never_started(self, key: str, test: str) -> str:
        after = {r.key: r.spec.task.after for r in self._session.runner.records.values()}[key]
        return why_never_started(after or "", "", test)


_files: WeakKeyDictionary[Session, MessageFile | None] = WeakKeyDictionary()


def watch(session: Session) -> None:
    """Have a session go on in each child that this process forks."""
    _files[session] = None
    session.hear_from_children = lambda: _hear_of_starts(session)


def is_child(session: Session) -> bool:
    """Return whether this process was forked from the one that has made the session."""
    return isinstance(session.link, ChildLink)


def take_over_from_children(session: Session) -> None:
    """At the end: pass on what forked children have seen, and know the targets they have used."""
    file = _files.pop(session, None)
    if file is None:
        return
    reader: Reader[SessionMessage] = Reader(SessionMessage)
    for message in file.read():
        try:
            _take(session, reader.read(message))
        except Exception as error:  # it costs only itself
            line = log.internal_error("a message of a forked child", error)
            session.link.tell(InternalError(line))
    file.close()


def _hear_of_starts(session: Session) -> None:
    """Hear, before the end, which jobs forked children have started behind a fixture."""
    file = _files.get(session)
    if file is not None:
        reader: Reader[SessionMessage] = Reader(SessionMessage)
        for message in map(reader.read, file.look()):
            if isinstance(message, StartPointReached):
                session.start_points.hear(message)


def _take(session: Session, message: SessionMessage) -> None:
    match message:
        case TargetUsed():
            session.used_elsewhere(message.address)
        case JobsOnTarget():
            session.link.tell(message)
            session.started_elsewhere(message)
        case _:
            session.link.tell(message)


def _before_fork() -> None:
    for session, file in list(_files.items()):
        if file is None:
            try:
                _files[session] = MessageFile()
            except OSError:
                pass  # a child that needs none may go on


def _after_fork_in_child() -> None:
    for session, file in list(_files.items()):
        session.go_on_in_child(ChildLink(session, file))


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
