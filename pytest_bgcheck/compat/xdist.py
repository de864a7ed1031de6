"""pytest-xdist. Imports nothing of it. Seen to work: 3.5.0, 3.6.1 and 3.8.0.

What the schedulers in `workers.scheduling` override stands there.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Collection, Mapping
from typing import Any

import pytest

OLDEST = (3, 5)
"""An older one ends at once for -x, so that nobody is told of the tests that wait then; and before
3.2 there is no ``--dist worksteal``."""


def too_old() -> str:
    """Return what is wrong with the installed xdist, "" if it is new enough."""
    version = importlib.metadata.version("pytest-xdist")
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) >= OLDEST:
        return ""
    oldest = ".".join(map(str, OLDEST))
    return (
        f"pytest-bgcheck needs pytest-xdist {oldest} or newer, not {version}:"
        " pip install -U 'pytest-bgcheck[xdist]', or run with -n 0"
    )


def worker_input(config: pytest.Config) -> Mapping[str, Any] | None:
    """Return what the controller has given this worker, None if this process is no worker.

    Why: ``xdist.is_xdist_worker`` would import xdist, and the input has no public way.
    """
    return getattr(config, "workerinput", None)


def worker_id(node: Any) -> str:
    """Return the id of the worker behind one of the controller's nodes, as in ``gw0``.

    Why: the nodes that xdist's hooks pass are described nowhere. So for `open_channel`.
    """
    id: str = node.gateway.id
    return id


def open_channel(node: Any) -> Any:
    """Return a new execnet channel to a worker that is about to start."""
    return node.gateway.newchannel()


def reporting_worker(report: pytest.TestReport) -> str:
    """Return the id of the worker that a report comes from, "" without workers.

    Why: xdist's own report of a test in which a worker crashed has only the node.
    """
    id: str = getattr(report, "worker_id", "")
    return id or (worker_id(report.node) if hasattr(report, "node") else "")


def active_workers(config: pytest.Config, known: Collection[str]) -> set[str]:
    """Return the ids of the workers that are there, and of one that has died until xdist has
    decided whether to replace it. Where that cannot be told, return those that are ``known``.

    Why: xdist calls a hook when a worker has died and when it starts the next one, but none if it
    starts none.
    """
    nodes = getattr(config.pluginmanager.get_plugin("dsession"), "_active_nodes", None)
    return set(known) if nodes is None else {worker_id(node) for node in tuple(nodes)}


def is_stopping(config: pytest.Config) -> bool:
    """Return whether the controller gives its workers no more tests: -x, Ctrl-C in a worker.

    Why: xdist says so in no hook, and the workers hold tests that may wait for long. Where this
    attribute is gone, such a run only ends later, so its absence is no error.
    """
    return bool(getattr(config.pluginmanager.get_plugin("dsession"), "shouldstop", False))


def end_workers(config: pytest.Config) -> None:
    """End the workers of a controller that could not start them all.

    Why: xdist does so in pytest_sessionfinish, which is not called then. None have been started
    where ``nodemanager`` is not set yet.
    """
    manager = getattr(config.pluginmanager.get_plugin("dsession"), "nodemanager", None)
    if manager is not None:
        manager.teardown_nodes()


def without_workers(config: pytest.Config) -> None:
    """Have xdist start no workers, as with ``--collect-only``.

    Why: only its option says so, and by then the command line is read. Call it in a
    pytest_configure that is called before xdist's.
    """
    if hasattr(config.option, "dist"):
        config.option.dist = "no"
