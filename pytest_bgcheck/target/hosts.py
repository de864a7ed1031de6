"""Hosts: resolved as testinfra resolves them, and told apart. Knows testinfra, as do connection
and host_transport; imported on first use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
import testinfra
from testinfra.backend.base import BaseBackend, HostSpec

from ..compat.testinfra import backend_of, connection_in, settings_of
from ..errors import WrongUse
from .place import here


@dataclass(frozen=True)
class HostRef:
    """One host: equal to another if a call to either does the same.

    ``label`` is what people read, as in ``ssh://web1``; ``identity`` adds what a label leaves out
    (user, port, settings). ``name`` has no paths and no secrets in it, so that it is the same
    wherever the suite lies: ids are made of it.
    """

    identity: str
    label: str = field(compare=False)
    name: str = field(compare=False)
    backend: BaseBackend = field(compare=False, repr=False)

    @property
    def key(self) -> str:
        """A short word for this host, the same in every process that would reach the same one."""
        place = here() if self.backend.get_connection_type() in _OF_THE_PLACE else ""
        return hashlib.sha256(f"{self.identity}{place}".encode()).hexdigest()[:12]


_OF_THE_PLACE = frozenset({"local", "docker", "podman", "chroot", "lxc"})
"""Connections whose hosts are other ones on another computer, or for another user."""

_PATHS = frozenset({"ssh_config", "ssh_identity_file", "ansible_inventory", "kubeconfig"})


_SETTINGS = (
    "connection", "ssh_config", "ssh_identity_file", "sudo", "sudo_user", "ansible_inventory",
    "force_ansible",
)  # fmt: skip
"""Options of testinfra's plugin, which may be switched off."""


def host_ref(host: Any) -> HostRef:
    """Return the reference to a testinfra Host. Raises WrongUse for one that is not POSIX."""
    backend = getattr(host, "backend", None)
    if not isinstance(backend, BaseBackend):
        raise WrongUse(f"host must be a hostspec or a testinfra Host, not {host!r}")
    return _ref(backend)


def _ref(backend: BaseBackend) -> HostRef:
    label = backend.get_pytest_id()
    if backend.get_connection_type() == "winrm":
        raise WrongUse(_winrm(label))
    facts = _facts(backend)
    kind = backend.get_connection_type()
    identity = repr((kind, sorted((name, repr(value)) for name, value in facts.items())))
    spec = facts.get("host")
    if isinstance(spec, HostSpec):
        facts["host"] = (spec.name, spec.port, spec.user)
    name = repr((kind, sorted((k, repr(v)) for k, v in facts.items() if k not in _PATHS)))
    return HostRef(identity, label, name, backend)


def _facts(backend: BaseBackend) -> dict[str, Any]:
    """Return a backend's settings: all that it needs to be made again."""
    plain = (str, int, float, bool, type(None), HostSpec)
    return {name: value for name, value in settings_of(backend).items() if isinstance(value, plain)}


def to_plain(ref: HostRef) -> dict[str, Any]:
    """Return a host as plain values, for another process; ``place``: if it is of a place."""
    facts = _facts(ref.backend)
    kind = ref.backend.get_connection_type()
    spec = facts.get("host")
    if isinstance(spec, HostSpec):
        facts["host"] = asdict(spec)
    return {"kind": kind, "place": here() if kind in _OF_THE_PLACE else "", "facts": facts}


def from_plain(plain: Mapping[str, Any]) -> HostRef:
    """Return the host that `to_plain` made plain."""
    facts = dict(plain["facts"])
    if isinstance(facts.get("host"), dict):
        facts["host"] = HostSpec(**facts["host"])
    return _ref(backend_of(plain["kind"], facts))


def resolve(specs: Iterable[str | None], config: pytest.Config) -> list[HostRef]:
    """Return the hosts of some hostspecs, with testinfra's own options, as its plugin does.

    Raises WrongUse for a hostspec that testinfra cannot make a host of.
    """
    settings = {name: config.getoption(name, None) for name in _SETTINGS}
    specs = list(specs)
    for spec in specs:
        if (connection_in(spec) or settings["connection"]) == "winrm":
            raise WrongUse(_winrm(str(spec)))
    try:
        hosts = testinfra.get_hosts(specs, **settings)
    except Exception as error:
        raise WrongUse(
            f"testinfra cannot make a host of {', '.join(map(str, specs))}: {error}"
        ) from error
    refs = [host_ref(host) for host in hosts]
    return sorted(refs, key=lambda ref: ref.label)


def of_module(module: object, config: pytest.Config) -> list[HostRef]:
    """Return the hosts that testinfra would give the tests of a module."""
    given = config.getoption("hosts", None)
    if given is not None:
        return resolve(given.split(","), config)
    return resolve(getattr(module, "testinfra_hosts", [None]), config)


def pinned(spec: str, config: pytest.Config) -> HostRef:
    """Return the one host of a hostspec. Raises WrongUse if it stands for none or several."""
    found = resolve([spec], config)
    if len(found) != 1:
        names = ", ".join(ref.label for ref in found) or "none"
        raise WrongUse(f"host {spec!r} must stand for one host, not for {len(found)} ({names})")
    return found[0]


def _winrm(label: str) -> str:
    return (
        f"host {label}: winrm is not supported: background checks need a POSIX shell on the target"
    )
