"""What all calls of a run have in common: its id and directory, nonces, and turns."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import Unreachable
from . import requests
from .records import Record, Target
from .transport import ask

QUESTION_CALL_S = 20.0


class Calls:
    """The calls of one run.

    ``run`` is the run's id (letters and digits), ``base`` the directory for files on the targets
    (empty: theirs to say), ``forks`` the number of hosts started or cleaned at once.
    """

    def __init__(self, run: str, base: str, forks: int, shell: str) -> None:
        self.run = run
        self.base = base
        self.shell = shell
        # Not a generator: those must not be advanced by two threads at once.
        self.nonces: Iterator[str] = iter(lambda: secrets.token_hex(8), "")
        self._at_once = forks
        self._forks = threading.Semaphore(forks)

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[None]:
        """Be one of ``forks``; but do not wait for long for those that do not answer."""
        mine = self._forks.acquire(timeout=patience_s)
        try:
            yield
        finally:
            if mine:
                self._forks.release()

    def start_requests(
        self, records: Sequence[Record]
    ) -> Iterator[tuple[str, str, tuple[requests.Spec, ...]]]:
        """Yield requests that start some jobs, each with its nonce and the jobs it starts."""
        specs = [record.spec for record in records]
        return requests.start_requests(self.run, self.base, specs, self.nonces, self.shell)

    def wait_request(
        self, target: Target, records: Sequence[Record], expire_s: int, stream: bool
    ) -> tuple[str, str]:
        """Return the nonce of a wait and its request; send its jobs ahead if they are too many."""
        assert target.directory is not None
        specs = [record.spec for record in records]
        nonce, kept = next(self.nonces), ""
        for number, part in requests.keep_requests(
            target.directory, nonce, specs, self.nonces, self.shell
        ):
            reply = ask(target.transport, number, part, QUESTION_CALL_S)
            if reply.refused:
                raise Unreachable("; ".join(reply.refused.values()))
            kept = nonce
        return nonce, requests.await_request(
            target.directory, nonce, expire_s, specs, self.shell, stream, kept
        )

    def place(self, target: Target) -> str:
        """Return where the run's files are on a target, as far as that is known."""
        return place(target.directory, self.base, self.run)

    def go_on_in_child(self) -> None:
        """Be those of a forked child: the turns of the parent's threads are never given back."""
        self._forks = threading.Semaphore(self._at_once)


def place(directory: bytes | None, base: str, run: str) -> str:
    """Return where a run's files are on a target, as far as that is known."""
    if directory is not None:
        return directory.decode("utf-8", "replace")
    return f"{base or '${TMPDIR:-/tmp}'}/pytest-bgcheck-UID/{run}"
