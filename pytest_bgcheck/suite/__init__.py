"""What a suite declares and wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..target.job import Job, JobsOnHosts
    from .declaration import Declaration

DECLARED_JOB: pytest.StashKey[Callable[[Declaration, str, object], Job | JobsOnHosts]] = (
    pytest.StashKey()
)
"""On the config: what a declared fixture calls with its declaration, its name and its host."""
