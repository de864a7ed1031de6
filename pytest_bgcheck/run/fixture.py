"""The value of the ``bgcheck`` fixture, which starts and finds jobs. Thin; the session does the
work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import (
    CHECK_ROWS,
    SERVICE_ROWS,
    CheckArguments,
    Command,
    CommandMaker,
    ServiceArguments,
    TaskT,
    make_task,
)
from ..errors import WrongUse
from ..signatures import show_arguments
from ..target.job import Job
from ..tasks import Check, Service, Task, title
from .blocks import Block, Blocks
from .lookup import find
from .session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Bgcheck:
    """The value of the ``bgcheck`` fixture: starts jobs that are not declared, and finds jobs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._blocks = Blocks(session)

    @show_arguments(CHECK_ROWS, CheckArguments)
    def start(
        self,
        command: Command | CommandMaker | None = None,
        *,
        name: str,
        host: object = None,
        **arguments: Unpack[CheckArguments],
    ) -> Job:
        """Start a job in the background and return its handle at once.

        The same name on the same host again gives the same job. Raises :class:`WrongUse` for wrong
        arguments, and where they differ from those of the job that is there.

        :param command: as for :func:`background_check`.
        :param name: what ``bgcheck[...]`` and the mark find the job by.
        :param host: a hostspec or a testinfra Host; default: the local one.
        """
        __tracebackhide__ = True  # pytest would show the arguments, and ``env`` may be secret
        check = self._task(Check, name, command, arguments)
        return self._session.start(check, host)

    @show_arguments([row for row in SERVICE_ROWS if row.name != "after"], ServiceArguments)
    def running(
        self,
        command: Command | CommandMaker | None = None,
        *,
        name: str,
        host: object = None,
        **arguments: Unpack[ServiceArguments],
    ) -> Block:
        """Run a service for the length of a block: a context manager that returns its Job.

        It starts the service and waits until that is ready; an AssertionError says why it is not.
        At the end of the block the service is stopped, and its end awaited. If it had ended by
        itself, and nobody has read its verdict, that is an AssertionError with its output; where an
        exception leaves the block, that stays what it is, and the death is told with it.

        Each block starts a service of its own, once, also under xdist; at one time there is one of
        a name on a host. Raises :class:`WrongUse` for wrong arguments.

        :param command: as for :func:`background_service`.
        :param name: what reports call it, and ``bgcheck[...]`` finds the last one by.
        :param host: a hostspec or a testinfra Host; default: the local one.
        """
        __tracebackhide__ = True
        if arguments.get("after") is not None:
            said = "after is for declarations: a block starts its service at once"
            raise WrongUse(f"{_which(Service, name)}{said}")
        service = self._task(Service, name, command, arguments)
        return Block(self._blocks, service, host)

    def _task(
        self, kind: type[TaskT], name: object, command: object, arguments: Mapping[str, object]
    ) -> TaskT:
        """Make the task that a call has given. Raises WrongUse that names it."""
        __tracebackhide__ = True
        settings, root = self._session.settings, self._session.config.rootpath
        try:
            return make_task(
                kind, name, command, arguments,
                timeout_s=settings.timeouts_s[kind.kind], directory=Path(), root=root,
            )  # fmt: skip
        except WrongUse as error:
            raise WrongUse(f"{_which(kind, name)}{error}") from None

    def __getitem__(self, key: str | tuple[str, str]) -> Job:
        """Return the job of a name, or of a name and a hostspec.

        Raises :class:`NoSuchJob`, a KeyError, which names the known jobs or, where several hosts
        have one of that name, the hosts.
        """
        __tracebackhide__ = True
        name, host = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
        if not isinstance(name, str):
            kind = type(name).__name__
            raise WrongUse(f"bgcheck[...] takes a job's name, or its name and a host, not {kind}")
        return self._session.handle(find(self._session, name, host, self._blocks.earlier))


def _which(kind: type[Task], name: object) -> str:
    """Return what a message about a call begins with: which job, if it has a name."""
    return f"{title(kind.kind, name)}: " if isinstance(name, str) else ""
