"""Behind which fixture a job starts (``after=``), as the tests see it that want the job."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from ..compat.pytest import fixture_definitions, fixture_names
from ..compat.testinfra import host_parameter, is_host_parameter
from ..target.hosts import HostRef, ref_of_fixture
from ..tasks import Check, Probe, Service, Task
from .declaration import declaration_of_fixture


def start_points(task: Task, items: Iterable[pytest.Item]) -> list[pytest.FixtureDef[Any]]:
    """Return the fixtures of the name in ``after`` that some tests see, of each the nearest one.

    An override that none of these tests can see is none: it must not start what they await.
    """
    assert task.after is not None
    found = [fixture_definitions(item, task.after) for item in items]
    return list(dict.fromkeys(definitions[-1] for definitions in found if definitions))


def fixture_key(definition: pytest.FixtureDef[Any], host: HostRef | None = None) -> str:
    """Return what a fixture is known by in all processes of the run.

    ``host``: set up for this host, None for whatever host it was set up for.
    """
    function = definition.func
    where = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
    on_host = "" if host is None else f" on {host.key}"
    return f"{definition.baseid}::{definition.argname} ({where}){on_host}"


def start_point_keys(
    task: Task, host: HostRef, items: Iterable[pytest.Item], declared: bool = True
) -> set[str]:
    """Return the keys of the fixtures behind which a check's job on a host starts.

    A fixture that requests ``host`` is set up for each host, and has deployed to no other. So what
    counts for a host is the set-up for that host. For a check that is pinned, or was started by a
    call (not ``declared``) for another host than the test's, any set-up counts.
    """
    keys = set()
    for item in items:
        of_any = task.host is not None or not (declared or host == _host_of(item))
        for definition in start_points(task, [item]):
            own = not of_any and is_set_up_for_each_host(definition, item)
            keys.add(fixture_key(definition, host if own else None))
    return keys


def keys_of_set_up(definition: pytest.FixtureDef[Any], item: pytest.Item | None) -> list[str]:
    """Return the keys that count as set up when a fixture is set up for an item."""
    keys = [fixture_key(definition)]
    host = None if item is None else _host_of(item)
    if item is not None and host is not None and is_set_up_for_each_host(definition, item):
        keys.append(fixture_key(definition, host))
    return keys


def _host_of(item: pytest.Item) -> HostRef | None:
    host = host_parameter(item)
    return None if host is None else ref_of_fixture(host)


def is_set_up_for_each_host(definition: pytest.FixtureDef[Any], item: pytest.Item) -> bool:
    """Return whether a fixture requests testinfra's ``host``, by its parameters or by theirs."""
    queue, seen = [definition], {definition}
    while queue:
        requesting = queue.pop()
        if is_host_parameter(requesting):
            return True
        for name in requesting.argnames:
            visible = list(fixture_definitions(item, name))
            if requesting in visible:  # it overrides the outer ones, and uses the next of them
                visible = visible[: visible.index(requesting)]
            if visible and visible[-1] not in seen:
                seen.add(visible[-1])
                queue.append(visible[-1])
    return False


WAITS: Mapping[type[Task], tuple[str, str]] = {
    Check: ("the check has ended", "reads its result()"),
    Service: ("the service is ready", "calls its wait_ready()"),
    Probe: ("its first sample was taken", "enters its window(), which waits for that"),
}
"""What a mark awaits of a job of each kind, and how a fixture does."""


def wrong_start_point(task: Task, items: Sequence[pytest.Item]) -> str:
    """Return what is wrong with ``after`` for the tests that want the job, empty if nothing."""
    name = task.after
    definitions = start_points(task, items)
    if name is not None and not definitions:
        known = fixture_names(items[0]) if items else []
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        who = f"the tests that want the {task.kind}"
        return f"after={name!r}: {who} see no fixture of that name{guess}"
    declarations = [declaration_of_fixture(definition.func) for definition in definitions]
    for declaration in filter(None, declarations):
        kind = declaration.kind
        what = f"the {kind} itself" if name == task.name else f"a background {kind}"
        then, wait = WAITS[declaration.makes]
        return (
            f"after={name!r} is {what}, whose fixture is set up at once, not when {then}: name a"
            f" fixture that requests {name!r} and {wait}"
        )
    return ""
