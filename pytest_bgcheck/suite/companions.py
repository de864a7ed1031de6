"""What other plugins do to a test that awaits. Imports none of them.

Seen to work: pytest-timeout 2.2.0 and 2.4.0, pytest-github-actions-annotate-failures 0.4.2.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

import pytest

from ..tasks import Service
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
    """Return a warning if pytest-timeout would end a test before its wait is over, else None.

    pytest-timeout counts the wait in, unless it is told to time the function only: our wait is
    outside of that.
    """
    limit = limit_s(item)
    if limit is None:
        return None
    checks = item.stash[ITEM_CHECKS]
    for name, awaited in checks.awaited.items():
        if name in checks.declared:
            task = checks.declared[name][0]
            wait_s = min(task.longest_wait_s, awaited.timeout_s or math.inf)
            if limit < wait_s:
                own = "ready_timeout" if isinstance(task, Service) else "timeout"
                return (
                    f"{item.nodeid}: pytest-timeout's timeout of {limit:g} s is shorter than the"
                    f" wait of up to {wait_s:g} s for {task.title}: it can end the"
                    f" test before the {task.kind}'s own {own} does"
                )
    return None


def annotates_failed_tests(config: pytest.Config) -> bool:
    """Return whether another plugin makes an annotation, on GitHub, of each test whose call failed.

    pytest-github-actions-annotate-failures makes none of errors in set-up and teardown.
    """
    return config.pluginmanager.hasplugin("pytest_github_actions_annotate_failures")


def limit_s(item: pytest.Item) -> float | None:
    """Return pytest-timeout's limit for all of an item, None for none.

    It is read where pytest-timeout is documented to read it, the first that is given. Its own word,
    the hook pytest_timeout_set_timer, comes when the test begins: after the start of all checks.
    """
    config = item.config
    if not hasattr(config.hook, "pytest_timeout_set_timer"):
        return None  # no pytest-timeout, or one before 2.1
    marker = item.get_closest_marker("timeout")
    args, kwargs = ((), {}) if marker is None else (marker.args, marker.kwargs)
    function_only = kwargs.get("func_only")
    if function_only is None:
        function_only = config.getini("timeout_func_only")
    given = (
        args[0] if args else kwargs.get("timeout"),
        config.getoption("timeout"),
        os.environ.get("PYTEST_TIMEOUT"),
        config.getini("timeout") or None,
    )
    try:
        limit = float(next(value for value in given if value is not None))
    except (StopIteration, TypeError, ValueError):
        return None  # there is none, or pytest-timeout itself will say what is wrong with it
    return limit if limit > 0 and not function_only else None
