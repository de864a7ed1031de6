"""The jobs that the collected items want, by name and on which hosts; from these the plan.

Between pytest's items and the pure plan. Imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from .. import plan
from ..compat.pytest import active_fixtures, fixture_definitions, marks_nearest_first
from ..compat.testinfra import host_parameter
from ..errors import WrongUse
from ..marks import Awaited, read_marks
from ..target import hosts, requests
from ..target.hosts import HostRef
from ..tasks import Task
from .declaration import SITES, Declaration, declaration_of_fixture, visible_declarations
from .misuse import misuse_messages
from .start_points import wrong_start_point
from .unreachable import declared_name, unreachable_messages


@dataclass(frozen=True)
class ItemChecks:
    """The checks, services and probes of a test item, by name.

    ``awaited``: what its marks say. ``declared``: those awaited and requested ones that are
    declared where the item can see them, with their hosts as far as these are known before it runs.
    An awaited one that is not in there may be one that a call starts, as ``bgcheck.start``.
    """

    awaited: Mapping[str, Awaited]
    declared: Mapping[str, tuple[Task, tuple[HostRef, ...]]]


ITEM_CHECKS: pytest.StashKey[ItemChecks] = pytest.StashKey()


class Collection:
    """The declared checks of one pytest session, and which of them each item awaits or requests."""

    def __init__(self, config: pytest.Config, timeouts_s: Mapping[str, float]) -> None:
        self._config = config
        self._timeouts_s = timeouts_s
        self._declared: dict[tuple[Declaration, str], Task] = {}
        self._module_hosts: dict[object, list[HostRef]] = {}
        self._pinned_hosts: dict[str | tuple[str, ...], dict[str, HostRef]] = {}

    def collect(self, items: Sequence[pytest.Item]) -> None:
        """Find the checks of each item. Raises pytest.UsageError that names all that is wrong."""
        problems = list(unreachable_messages(self._config, items))
        names: dict[Declaration, str] = {}
        for space, name, declaration in visible_declarations(self._config, items):
            names[declaration] = name
            try:
                if isinstance(space, type):
                    raise WrongUse(declaration.in_class(name, space.__name__))
                check_size(self.check_of(declaration, name), declaration.place(name))
            except WrongUse as error:
                problems.append(str(error))
        problems += misuse_messages(self._config, items, names)
        for item in items:
            if problems:
                break
            if ITEM_CHECKS in item.stash:
                continue
            try:
                item.stash[ITEM_CHECKS] = self.checks_of(item, getattr(item, "fixturenames", ()))
            except WrongDeclaration as error:
                problems.append(str(error))
            except WrongUse as error:
                problems.append(f"{item.nodeid}: {error}")
        if not problems:
            problems = list(self._wrong_start_points(items))
        if problems:
            raise pytest.UsageError("\n".join(dict.fromkeys(problems)))

    def _wrong_start_points(self, items: Sequence[pytest.Item]) -> Iterator[str]:
        """Yield what is wrong with the ``after`` of checks that some items want."""
        wanting: dict[Task, list[pytest.Item]] = {}
        for item in items:
            for task, _ in item.stash[ITEM_CHECKS].declared.values():
                if task.after is not None:
                    wanting.setdefault(task, []).append(item)
        for (declaration, name), task in self._declared.items():
            wrong = wrong_start_point(task, wanting[task]) if task in wanting else ""
            if wrong:
                yield f"{declaration.place(name)}: {wrong}"

    def check_of(self, declaration: Declaration, name: str) -> Task:
        """Return what a declaration declares whose fixture has this name. Raises WrongUse."""
        key = declaration, name
        if key not in self._declared:
            task = declaration.to_task(name, self._timeouts_s, self._config.rootpath)
            self._refuse_other_values(declaration, task)
            self._declared[key] = task
        return self._declared[key]

    def _refuse_other_values(self, declaration: Declaration, task: Task) -> None:
        """Raise WrongUse if it differs from another only by what its function holds.

        Workers could not tell the jobs of the two apart.
        """
        if task.make_command is None:
            return
        for (other, name), known in self._declared.items():
            same_name = name == task.name and known != task
            if same_name and known.terms("") == task.terms(""):
                raise WrongUse(
                    f"{declaration.place(task.name)}: its function {task.make_command} is that of"
                    f" the {other.kind} at {other.file}:{other.line}, but with other values in"
                    " it, and the two have one name: give one of them another, by name="
                )

    def _place_of(self, task: Task) -> str:
        return next(
            declaration.place(name)
            for (declaration, name), known in self._declared.items()
            if known == task
        )

    def where_declared(self, name: str) -> list[str]:
        """Return where checks of a name are declared, whether or not an item can see them."""
        found = {declaration for declaration, other in self._declared if other == name}
        found |= {site.declaration for site in SITES if declared_name(site) == name}
        return sorted(f"{declaration.file}:{declaration.line}" for declaration in found)

    def names_seen_by(self, item: pytest.Item) -> set[str]:
        """Return the names of the declared checks that an item can see."""
        names = {name for _, name in self._declared}
        return {name for name in names if self._nearest(item, name) is not None}

    def checks(self) -> list[Task]:
        """Return all declared checks that the items could see."""
        return list(self._declared.values())

    def checks_of(self, item: pytest.Item, fixtures: Iterable[str]) -> ItemChecks:
        """Return an item's checks, by the marks that it has now and the fixtures it requests.

        Raises WrongUse.
        """
        found = {name: self._nearest(item, name) for name in fixtures}
        requested = {name: task for name, task in found.items() if task is not None}

        def find(name: str) -> Task | None:
            return requested.get(name) or self._nearest(item, name)

        awaited = read_marks(marks_nearest_first(item, "bgcheck"), requested, find)
        declared: dict[str, tuple[Task, tuple[HostRef, ...]]] = {}
        for name in [*awaited, *requested]:
            task = find(name)
            if task is not None and name not in declared:
                declared[name] = task, tuple(self._hosts(item, task))
        return ItemChecks(awaited, declared)

    def pinned_hosts(self, host: str | tuple[str, ...]) -> dict[str, HostRef]:
        """Return the hosts that a declaration pins its check to, by hostspec. Raises WrongUse."""
        if host not in self._pinned_hosts:
            self._pinned_hosts[host] = (
                {host: hosts.pinned(host, self._config)}
                if isinstance(host, str)
                else hosts.pinned_to_several(host, self._config)
            )
        return self._pinned_hosts[host]

    def _nearest(self, item: pytest.Item, name: str) -> Task | None:
        """Return the check that a name means to an item: that of the nearest declaration."""
        definitions = fixture_definitions(item, name)
        declaration = declaration_of_fixture(definitions[-1].func) if definitions else None
        return None if declaration is None else self.check_of(declaration, name)

    def _hosts(self, item: pytest.Item, task: Task) -> list[HostRef]:
        """Return the hosts of a check for an item; none if they are known after its set-up only."""
        if task.host is not None:
            try:
                return list(dict.fromkeys(self.pinned_hosts(task.host).values()))
            except WrongUse as error:
                raise WrongDeclaration(f"{self._place_of(task)}: {error}") from None
        try:
            own = own_host(item)
        except WrongUse as error:
            raise WrongUse(f"{task.title}: {error}") from None
        if own is not None:
            return [own]
        if "host" in getattr(item, "fixturenames", ()):
            return []  # the suite has a host fixture of its own, whose value is not known yet
        parent = item.getparent(pytest.Module)
        module = getattr(item, "module", getattr(parent, "obj", None))
        if module not in self._module_hosts:
            self._module_hosts[module] = hosts.of_module(module, self._config)
        return self._module_hosts[module]


class WrongDeclaration(WrongUse):
    """A declaration is wrong, whichever test wants the check. Names the place itself."""


def own_host(item: pytest.Item) -> HostRef | None:
    """Return the host that testinfra gives an item, None if it has none.

    Raises WrongUse if the suite has a ``host`` of its own that is no testinfra host.
    """
    host = host_parameter(item)
    if host is None:
        host = getattr(item, "funcargs", {}).get("host") or _host_by_request(item)
    return None if host is None else hosts.ref_of_fixture(host)


def _host_by_request(item: pytest.Item) -> object:
    """Return the value of ``host`` if a fixture, or the test's body, has requested it by name."""
    definition = active_fixtures(item).get("host")
    cached = None if definition is None else definition.cached_result
    return None if cached is None else cached[0]


def planned_jobs(items: Iterable[pytest.Item]) -> list[plan.PlannedJob[HostRef]]:
    """Return the jobs of the items' declared checks, each once."""
    wants = []
    for item in items:
        checks = item.stash[ITEM_CHECKS]
        for name, (task, refs) in checks.declared.items():
            awaits = name in checks.awaited
            wants += [plan.Want(item.nodeid, task, ref, awaits) for ref in refs]
    return plan.jobs(wants)


def check_size(task: Task, place: str) -> None:
    """Raise WrongUse, with the check's place, if it is too large for any request."""
    try:
        requests.check_size(task)
    except WrongUse as error:
        raise WrongUse(f"{place}: {error}") from None
