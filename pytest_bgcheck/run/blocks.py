"""Services that run for the length of a block: ``bgcheck.running``. Each block starts its own."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import pytest

from ..errors import Gone, TargetError, Unreachable, WrongUse
from ..suite.collection import check_size
from ..target.job import Job
from ..target.records import Record
from ..target.uses import Use
from ..tasks import Service
from .judging import running_test
from .session import Session

INTERRUPTED_S = 1.0
"""How long the end of a service is waited for where an interrupt leaves its block: the end of the
run ends it, and need not wait as long as its ``grace``."""


class Blocks:
    """The blocks of one session.

    ``earlier``: the services of blocks that are over, where another of that name has come since.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.earlier: set[Record] = set()
        self._last: dict[tuple[str, str], Record] = {}
        self._open: dict[tuple[str, str], object] = {}

    def start(self, service: Service, host: object) -> Record:
        """Start a service for a block that is entered. Raises WrongUse."""
        __tracebackhide__ = True
        try:
            ref = self.session.named_host(host)
        except WrongUse as error:
            raise WrongUse(f"{service.title}: {error}") from None
        check_size(service, service.title)
        if not self.session.started:
            return self.session.start_alone(service, ref)
        place = (service.name, ref.identity)
        entered = object()
        if self._open.setdefault(place, entered) is not entered:  # in one step, for threads
            raise WrongUse(
                f"{service.title} runs on {self.session.labels.of(ref)} already, in a block that is"
                " not over: give this one another name"
            )
        try:
            record = self.session.start_alone(service, ref)
        except BaseException:
            self._open.pop(place)
            raise
        if place in self._last:
            self.earlier.add(self._last[place])
        self._last[place] = record
        return record

    def stop(self, record: Record, error: BaseException | None) -> None:
        """End the service of a block that is left, and wait for its end. Raises a TargetError.

        ``error``: what leaves the block. If the run is interrupted, its end may not be known then.
        """
        __tracebackhide__ = True
        session = self.session
        interrupts = isinstance(error, (KeyboardInterrupt, pytest.exit.Exception))
        try:
            if not session.interrupted:  # else nothing runs any more that could need it to be gone
                with contextlib.suppress(Gone):  # and the service with it, as its result says
                    session.runner.cancel(record)
                limit_s = INTERRUPTED_S if interrupts else None
                session.wait_until(lambda: record.result is not None, record, limit_s)
        finally:
            self._open.pop((record.name, record.target.identity), None)


class Block:
    """A context manager: it starts a service and returns its Job when that is ready; at its end it
    stops the service, and waits for its end. It can be entered again.
    """

    def __init__(self, blocks: Blocks, service: Service, host: object) -> None:
        self._blocks = blocks
        self._service = service
        self._host = host
        self._record: Record | None = None
        self._entered = False
        self._note_never_entered = blocks.session.if_never_entered(
            f"{service.title} has not run: bgcheck.running(...) starts it when its block is"
            " entered, as in 'with bgcheck.running(...) as x:'"
        )

    def __del__(self) -> None:
        if not self._entered:
            self._note_never_entered()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            said = f"{type(self).__name__!r} object has no attribute {name!r}"
            if hasattr(Job, name):
                said = (
                    f"{name} is of the service's job, which is there when the block is entered, as"
                    " in 'with bgcheck.running(...) as x:'"
                )
            raise AttributeError(said)

    def __enter__(self) -> Job:
        __tracebackhide__ = True
        self._entered = True
        record = self._record = self._blocks.start(self._service, self._host)
        job = self._blocks.session.handle(record)
        if self._blocks.session.started:
            try:
                job.wait_ready()
            except BaseException as error:
                with contextlib.suppress(TargetError):  # the run's end ends it too
                    self._blocks.stop(record, error)
                raise
        return job

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        record, session = self._record, self._blocks.session
        assert record is not None
        if not session.started:
            return
        where = f"{self._service.title} on {record.target.label}"
        try:
            self._blocks.stop(record, error)
        except TargetError as trouble:
            said = f"{where} could not be stopped, and runs until the run ends: {trouble}"
            if error is None:
                raise Unreachable(said) from None
            self._tell_beside(error, said)
            return
        failed = record.result is not None and record.result.failed
        if failed and not session.judging.was_judged(record.key):
            if error is None:
                session.note_use(record, Use.VERDICT)
                raise AssertionError(session.failure(record))
            # Not judged by that: whoever expects the error may look at nothing else.
            self._tell_beside(error, session.failure(record))

    def _tell_beside(self, error: BaseException, said: str) -> None:
        """Say something of the service where an error on its way is shown."""
        if sys.version_info >= (3, 11):
            error.add_note(said)
            return
        item = self._blocks.session.judging.item
        _, when = running_test()
        if item is not None:
            item.add_report_section(when, self._service.title, said)
