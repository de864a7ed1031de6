"""One run: its jobs, their verdicts, its link to the other processes, its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .session import Session

SESSION: pytest.StashKey[Session | None] = pytest.StashKey()
"""Where the plugin keeps its session, on the config."""

MAKE_SESSION: pytest.StashKey[Callable[[], Session]] = pytest.StashKey()
"""How to make it if only a running test turns out to need it."""
