"""What the collected items want: checks by name, on which hosts; from that the plan and the order.

Between pytest's items and the pure plan. Imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from .. import plan
from ..arguments import Awaited, read_marks
from ..errors import WrongUse
from ..model import Check
from ..target import hosts, requests
from ..target.hosts import HostRef
from .declaration import MADE, Declaration, declaration_of, declarations
from .unreachable import name_of
from .unreachable import problems as unreachable


@dataclass(frozen=True)
class ItemWants:
    """What a test item wants: checks by name, with the hosts that are known before it runs."""

    awaited: Mapping[str, Awaited]
    checks: Mapping[str, tuple[Check, tuple[HostRef, ...]]]
    requested: frozenset[str]


WANTS: pytest.StashKey[ItemWants] = pytest.StashKey()


class Collection:
    """The declared checks and the wants of the items of one pytest session."""

    def __init__(self, config: pytest.Config, timeout_s: float) -> None:
        self._config = config
        self._timeout_s = timeout_s
        self._declared: dict[tuple[Declaration, str], Check] = {}
        self._module_hosts: dict[object, list[HostRef]] = {}

    def look_at(self, items: Sequence[pytest.Item]) -> None:
        """Find out what the items want, or raise pytest.UsageError that names all that is wrong."""
        problems = list(unreachable(self._config, items))
        for space, name, declaration in declarations(self._config, items):
            try:
                if isinstance(space, type):
                    raise WrongUse(
                        f"{declaration.place(name)}: it must be declared at module level, not in"
                        f" the class {space.__name__}"
                    )
                check_size(self.check(declaration, name), declaration.place(name))
            except WrongUse as error:
                problems.append(str(error))
        for item in items:
            if problems:
                break
            if WANTS in item.stash:
                continue
            try:
                item.stash[WANTS] = self.wants(item, getattr(item, "fixturenames", ()))
            except WrongUse as error:
                problems.append(f"{item.nodeid}: {error}")
        if problems:
            raise pytest.UsageError("\n".join(dict.fromkeys(problems)))

    def check(self, declaration: Declaration, name: str) -> Check:
        """Return the check that is declared under a name. Raises WrongUse."""
        key = declaration, name
        if key not in self._declared:
            self._declared[key] = declaration.check(name, self._timeout_s)
        return self._declared[key]

    def places(self, name: str) -> list[str]:
        """Return where checks of a name are declared, whoever can see them."""
        found = {declaration for declaration, other in self._declared if other == name}
        found |= {made.declaration for made in MADE if name_of(made) == name}
        return sorted(f"{declaration.file}:{declaration.line}" for declaration in found)

    def seen_by(self, item: pytest.Item) -> set[str]:
        """Return the names of the declared checks that an item can see."""
        names = {name for _, name in self._declared}
        return {name for name in names if self._declaration(item, name) is not None}

    def checks(self) -> list[Check]:
        """Return all declared checks that the items could see."""
        return list(self._declared.values())

    def wants(self, item: pytest.Item, fixtures: Iterable[str]) -> ItemWants:
        """Return what an item wants that has these marks now, and requests these fixtures.

        Raises WrongUse.
        """
        found = {name: self._declaration(item, name) for name in fixtures}
        requested = {name: check for name, check in found.items() if check is not None}
        awaited = read_marks(item.iter_markers("bgcheck"), requested)
        checks: dict[str, tuple[Check, tuple[HostRef, ...]]] = {}
        for name in [*awaited, *requested]:
            check = requested.get(name) or self._declaration(item, name)
            if check is not None and name not in checks:
                checks[name] = check, tuple(self._hosts(item, check))
        return ItemWants(awaited, checks, frozenset(requested))

    def _declaration(self, item: pytest.Item, name: str) -> Check | None:
        """Return the nearest check of a name, as an item sees it."""
        definitions = item.session._fixturemanager.getfixturedefs(name, item)
        declaration = declaration_of(definitions[-1].func) if definitions else None
        return None if declaration is None else self.check(declaration, name)

    def _hosts(self, item: pytest.Item, check: Check) -> list[HostRef]:
        """Return the hosts of a check for an item; none if only its set-up will tell."""
        if check.host is not None:
            return [hosts.pinned(check.host, self._config)]
        own = own_host(item)
        if own is not None:
            return [own]
        if "host" in getattr(item, "fixturenames", ()):
            return []  # the suite overrides testinfra's fixture: known when it was set up
        parent = item.getparent(pytest.Module)
        module = getattr(item, "module", getattr(parent, "obj", None))
        if module not in self._module_hosts:
            self._module_hosts[module] = hosts.of_module(module, self._config)
        return self._module_hosts[module]


def own_host(item: pytest.Item) -> HostRef | None:
    """Return the host that testinfra gives an item, None if it has none.

    Raises WrongUse if the suite has a ``host`` of its own that is no testinfra host.
    """
    callspec = getattr(item, "callspec", None)
    host = None if callspec is None else callspec.params.get("_testinfra_host")
    if host is None:
        host = getattr(item, "funcargs", {}).get("host") or _host_by_request(item)
    return None if host is None else hosts.host_ref(host)


def _host_by_request(item: pytest.Item) -> object:
    """Return the value of ``host`` where only a fixture, or the body, has asked for it by name."""
    definition = getattr(getattr(item, "_request", None), "_fixture_defs", {}).get("host")
    cached = getattr(definition, "cached_result", None)
    return None if cached is None else cached[0]


def in_order(items: Sequence[pytest.Item], durations: plan.Durations) -> list[pytest.Item]:
    """Return the items with those that await behind the others, soonest expected first."""
    return plan.waiting_last(items, _expected_s(durations))


def _expected_s(durations: plan.Durations) -> Callable[[pytest.Item], float | None]:
    def expected_s(item: pytest.Item) -> float | None:
        wants = item.stash[WANTS]
        if not wants.awaited:
            return None
        times = [0.0]
        for name in wants.awaited:
            check, refs = wants.checks.get(name, (None, ()))
            if check is not None:
                for label in [ref.label for ref in refs] or [""]:
                    past_s = plan.past_s(durations, check.name, label)
                    times.append(check.timeout_s if past_s is None else past_s)
        return max(times)

    return expected_s


def planned(items: Iterable[pytest.Item]) -> list[plan.PlannedJob[HostRef]]:
    """Return the jobs that the items want, each once."""
    wants = []
    for item in items:
        item_wants = item.stash[WANTS]
        for name, (check, refs) in item_wants.checks.items():
            awaits = name in item_wants.awaited
            wants += [plan.Want(item.nodeid, check, ref, awaits) for ref in refs]
    return plan.jobs(wants)


def check_size(check: Check, place: str) -> None:
    """Raise WrongUse, with the check's place, if no request can hold it."""
    try:
        requests.check_size(check)
    except WrongUse as error:
        raise WrongUse(f"{place}: {error}") from None
