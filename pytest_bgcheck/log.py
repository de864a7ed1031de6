"""The plugin's log: `logging`'s, by the name ``pytest_bgcheck``, and no secrets in it.

Errors of ours stand there with their traceback, and at DEBUG each request to a target and each
reply. Imports nothing of the package.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

REQUEST_NAME = " pytest-bgcheck "
"""What each request has between its program and its words: the name under which it runs."""

LOG = logging.getLogger("pytest_bgcheck")

_SHORTEST_SECRET = 4
_LONGEST_LINE = 1000

_secrets: frozenset[str] = frozenset()


def hide(secrets: Iterable[str]) -> None:
    """Have these shown nowhere in the log of this process: the values of checks' ``env``.

    One of one to three letters is no secret: its letters are in other words. Of one of several
    lines each line is a secret.
    """
    global _secrets
    lines = {line for secret in secrets for line in secret.splitlines()}
    if not lines <= _secrets:
        _secrets |= {line for line in lines if len(line) >= _SHORTEST_SECRET}


def internal_error(doing: str, error: BaseException) -> str:
    """Log an error that nobody has expected; return a line for people that says what went wrong.

    ``doing`` says what was being done. Secrets, and whatever stands in a request, are left out of
    both.
    """
    LOG.error("%s: internal error\n%s", doing, traceback_of(error))
    said = " ".join(" ".join(map(without_secrets, str(error).splitlines())).split())
    name = type(error).__name__
    return f"internal error: {name}: {said}" if said else f"internal error: {name}"


def traceback_of(error: BaseException) -> str:
    """Return an error with its traceback, for the log: without secrets and what is in requests.

    What formats ``exc_info`` would leave nothing out.
    """
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(map(without_secrets, lines))


def without_request(line: str) -> str:
    """Return a line up to the words of a request, if it quotes one: others' secrets are in them."""
    before, name, _ = line.partition(REQUEST_NAME)
    return f"{before}..." if name else line


def without_secrets(line: str) -> str:
    """Return a line with ``***`` for each secret, and without what stands in a request."""
    line = without_request(line)
    for secret in sorted(_secrets, key=len, reverse=True):
        line = line.replace(secret, "***")
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."
