"""Errors that nobody has expected: whole in the log, in a line for people, and without secrets.

The log is `logging`'s, by the name ``pytest_bgcheck``. Imports nothing of the package.
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


def tell(doing: str, error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Log an error with its traceback, and return a line that says what went wrong.

    ``doing`` says what was being done. ``secrets`` and whatever stands in a request are left out.
    """
    hidden = [word for word in secrets if len(word) >= _SHORTEST_SECRET]
    # Not by exc_info: what formats that would not leave anything out.
    lines = "".join(traceback.format_exception(error)).splitlines()
    LOG.error("%s: internal error\n%s", doing, "\n".join(_without(line, hidden) for line in lines))
    said = _without(" ".join(str(error).split()), hidden)
    name = type(error).__name__
    return f"internal error: {name}: {said}" if said else f"internal error: {name}"


def _without(line: str, hidden: Iterable[str]) -> str:
    line = line if OURS not in line else line.partition(OURS)[0] + "..."
    for word in hidden:
        line = line.replace(word, "***")
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."
