"""The value of the ``bgcheck`` fixture, which starts and finds jobs. Thin; the session does the
work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import (
    CHECK_ROWS,
    CheckArguments,
    Command,
    CommandMaker,
    make_check,
)
from ..errors import WrongUse
from ..signatures import show_arguments
from ..target.job import Job
from .lookup import find
from .session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Bgcheck:
    """The value of the ``bgcheck`` fixture: starts jobs that are not declared, and finds jobs."""

    def __init__(self, session: Session) -> None:
        self._session = session

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
        try:
            check = make_check(
                name,
                command,
                arguments,
                timeout_s=self._session.settings.timeout_s,
                directory=Path(),
                root=self._session.config.rootpath,
            )
        except WrongUse as error:
            which = f"background check {name!r}: " if isinstance(name, str) else ""
            raise WrongUse(f"{which}{error}") from None
        return self._session.start(check, host)

    def __getitem__(self, key: str | tuple[str, str]) -> Job:
        """Return the job of a name, or of a name and a hostspec.

        Raises :class:`NoSuchJob`, a KeyError, which names the known checks or, where several hosts
        have one of that name, the hosts.
        """
        __tracebackhide__ = True
        name, host = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
        if not isinstance(name, str):
            kind = type(name).__name__
            raise WrongUse(f"bgcheck[...] takes a check's name, or its name and a host, not {kind}")
        return self._session.handle(find(self._session, name, host))
