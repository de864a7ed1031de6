"""The value of the ``bgcheck`` fixture, which starts and finds jobs. Thin; the session does the
work.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..arguments import make_check
from ..errors import WrongUse
from ..target.job import Job
from .session import Session


class Bgcheck:
    """The value of the ``bgcheck`` fixture: starts jobs that are not declared, and finds jobs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def start(
        self,
        command: str | Sequence[str | os.PathLike[str]] | None = None,
        *,
        name: str,
        host: Any = None,
        script: str | os.PathLike[str] | None = None,
        args: Sequence[str] | None = None,
        timeout: float | datetime.timedelta | None = None,
        rc: int | Iterable[int] | None = None,
        retry_every: float | datetime.timedelta | None = None,
        grace: float | datetime.timedelta | None = None,
        sudo: bool | None = None,
        sudo_user: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        output_limit: int | None = None,
        unawaited: str | None = None,
    ) -> Job:
        """Start a job in the background and return its handle at once.

        ``host`` is a hostspec or a testinfra Host, by default the local one; the other arguments
        are those of :func:`background_check`. The same name on the same host again gives the same
        job. Raises :class:`WrongUse` for wrong arguments, and where they differ from those of the
        job that is there.
        """
        __tracebackhide__ = True  # pytest would show the arguments, and ``env`` may be secret
        given = {
            "script": script,
            "args": args,
            "timeout": timeout,
            "rc": rc,
            "retry_every": retry_every,
            "grace": grace,
            "sudo": sudo,
            "sudo_user": sudo_user,
            "env": env,
            "cwd": cwd,
            "output_limit": output_limit,
            "unawaited": unawaited,
        }
        try:
            check = make_check(
                name, command, given, timeout_s=self._session.settings.timeout_s, directory=Path()
            )
        except WrongUse as error:
            raise WrongUse(f"background check {name!r}: {error}") from None
        return self._session.start(check, host)

    def __getitem__(self, key: str | tuple[str, str]) -> Job:
        """Return the job of a name, or of a name and a hostspec.

        Raises KeyError, which names the known checks or, where several hosts have one of that
        name, the hosts.
        """
        name, host = (key, None) if isinstance(key, str) else key
        return self._session.find(name, host)
