"""What other plugins do to a test that awaits. Imports none of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from .collection import ITEM_CHECKS


def warn_of_short_timeouts(items: Iterable[pytest.Item]) -> None:
    """Warn of tests that pytest-timeout may end too early. With -W error: raise UsageError."""
    for item in items:
        text = _short_timeout_warning(item)
        if text is not None:
            try:
                item.warn(pytest.PytestWarning(text))
            except pytest.PytestWarning as error:  # -W error
                raise pytest.UsageError(str(error)) from None


def _short_timeout_warning(item: pytest.Item) -> str | None:
    """Return a warning if pytest-timeout would end a test before its checks are over, else None.

    pytest-timeout counts the wait in, unless it is told to time the function only: our wait is
    outside of that.
    """
    limit_s = _limit_s(item)
    if limit_s is None:
        return None
    checks = item.stash[ITEM_CHECKS]
    for name, awaited in checks.awaited.items():
        if name in checks.declared:
            timeout_s = checks.declared[name][0].timeout_s
            wait_s = min(timeout_s, awaited.timeout_s or timeout_s)
            if limit_s < wait_s:
                return (
                    f"{item.nodeid}: pytest-timeout's timeout of {limit_s:g} s is shorter than the"
                    f" wait of up to {wait_s:g} s for background check {name!r}: it can end the"
                    " test before the check's own timeout does"
                )
    return None


def _limit_s(item: pytest.Item) -> float | None:
    """Return pytest-timeout's limit for all of an item, None for none."""
    config = item.config
    if not config.pluginmanager.hasplugin("timeout"):
        return None
    # What it made of its option, its environment variable and its ini file.
    limit = getattr(config, "_env_timeout", None)
    function_only = getattr(config, "_env_timeout_func_only", False)
    marker = item.get_closest_marker("timeout")
    if marker is not None:
        limit = marker.args[0] if marker.args else marker.kwargs.get("timeout", limit)
        function_only = marker.kwargs.get("func_only", function_only)
    if function_only or not isinstance(limit, (int, float)) or limit <= 0:
        return None
    return float(limit)
