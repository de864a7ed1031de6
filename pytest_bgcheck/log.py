"""The plugin's log: `logging`'s, by the name ``pytest_bgcheck``, and no secrets in it.

Errors of ours stand there with their traceback, and at DEBUG each request to a target and each
reply. Imports nothing of the package.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

OURS = " pytest-bgcheck "
"""What stands in each request between its program and its words."""

LOG = logging.getLogger("pytest_bgcheck")

_SHORTEST_SECRET = 4
_LONGEST_LINE = 1000


def internal_error(doing: str, error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Log an error that nobody has expected; return a line for people that says what went wrong.

    ``doing`` says what was being done. ``secrets``, and whatever stands in a request, are left out
    of both.
    """
    hidden = list(secrets)
    # Not by exc_info: what formats that would not leave anything out.
    lines = "".join(traceback.format_exception(error)).splitlines()
    shown = "\n".join(without_secrets(line, hidden) for line in lines)
    LOG.error("%s: internal error\n%s", doing, shown)
    said = " ".join(without_secrets(line, hidden) for line in str(error).split("\n"))
    said = " ".join(said.split())
    name = type(error).__name__
    return f"internal error: {name}: {said}" if said else f"internal error: {name}"


def without_secrets(line: str, secrets: Iterable[str]) -> str:
    """Return a line without what stands in a request, and with ``***`` for each secret.

    A secret of one to three letters is left in: its letters are in other words. Of one of several
    lines each line is a secret.
    """
    line = line if OURS not in line else line.partition(OURS)[0] + "..."
    parts = {part for secret in secrets for part in secret.splitlines()}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            line = line.replace(part, "***")
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."
