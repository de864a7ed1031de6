"""Which tests have changed places, and what the run's header says of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from .. import plan
from ..report.words import count
from ..suite.collection import ITEM_CHECKS
from .messages import NewOrder


def new_order(items: Sequence[pytest.Item], order: plan.Order) -> NewOrder:
    """Return what an order makes of the collected items."""
    moved = order.moved()
    awaiting = sum(bool(items[n].stash[ITEM_CHECKS].awaited) for n in moved)
    last = tuple(items[n].nodeid for n in order.last())
    return NewOrder(last, awaiting, len(moved) - awaiting)


def header(config: pytest.Config, order: NewOrder) -> list[str]:
    """Return the lines for the run's header: none if no test has moved, or with ``-q``."""
    moved, along = order.moved, order.moved_along
    if not moved + along or config.option.verbose < 0 or config.getoption("no_header", False):
        return []
    who = f"{count(moved, 'test')} that {'awaits runs' if moved == 1 else 'await run'} last"
    if along:
        who += f", with {along} of the same class or module"
    left = "it" if moved + along == 1 else "them"
    return [f"bgcheck: {who} (--bgcheck-order=keep leaves {left} in place)"]
