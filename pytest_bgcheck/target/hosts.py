"""Hosts: resolved as testinfra resolves them, and told apart. Knows testinfra, as do connection
and host_transport; imported on first use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
import testinfra
from testinfra.backend.base import BaseBackend, HostSpec
from testinfra.host import Host

from ..compat.testinfra import backend_of, close_client, connection_in, own_copy, settings_of
from ..errors import WrongUse
from ..originals import os, threading
from .address import Login, TargetAddress
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
        place = here() if self.backend.get_connection_type() in _LOCAL_KINDS else ""
        return hashlib.sha256(f"{self.identity}{place}".encode()).hexdigest()[:12]


class Labels:
    """What the hosts of a run are called: of two with one label, what they differ in is added.

    testinfra calls ``local://`` and ``local://?sudo=true`` the same, and hosts that differ in
    nothing but user and port.
    """

    def __init__(self) -> None:
        self._alike: dict[str, list[HostRef]] = {}

    def of(self, ref: HostRef) -> str:
        """Return the name of a host, with regard to all hosts that were given here so far."""
        alike = self._alike.setdefault(ref.label, [])
        if ref not in alike:
            alike.append(ref)
        own, others = _facts(ref.backend), [_facts(other.backend) for other in alike]
        differing = [
            name if value is True else f"{name}={value}"
            for name, value in own.items()
            if value and any(other.get(name) != value for other in others)
        ]
        return f"{ref.label} ({', '.join(differing)})" if differing else ref.label


def _facts(backend: BaseBackend) -> dict[str, object]:
    """Return a backend's settings as people may read them."""
    facts: dict[str, object] = {}
    for name, value in _settings(backend).items():
        if isinstance(value, HostSpec):  # without its password
            facts |= {"user": value.user, "port": value.port}
        elif name != "hostname":
            facts[name] = value
    return facts


_LOCAL_KINDS = frozenset({"local", "docker", "podman", "chroot", "lxc"})
"""Kinds of connections by which each computer, and each user on it, reaches hosts of its own."""

_PATHS = frozenset({"ssh_config", "ssh_identity_file", "ansible_inventory", "kubeconfig"})


_SETTINGS = (
    "connection", "ssh_config", "ssh_identity_file", "sudo", "sudo_user", "ansible_inventory",
    "force_ansible",
)  # fmt: skip
"""Options of testinfra's plugin. They are not there where that is switched off."""

_ONE_AT_A_TIME = threading.RLock()
"""testinfra shows its list of a spec's hosts to other threads before the hosts are in it."""

os.register_at_fork(
    before=_ONE_AT_A_TIME.acquire,
    after_in_parent=_ONE_AT_A_TIME.release,
    after_in_child=_ONE_AT_A_TIME.release,
)


def host_ref(host: object) -> HostRef:
    """Return the reference to a testinfra Host. Raises WrongUse for one that is not POSIX."""
    backend = getattr(host, "backend", None)
    if not isinstance(backend, BaseBackend):
        raise WrongUse(f"host must be a hostspec or a testinfra Host, not {host!r}")
    ref = _ref(backend)
    missing = _missing_file(backend)
    if missing:
        raise WrongUse(f"host {ref.label}: {missing}")
    return ref


_NEEDED_FILES = {
    "ssh": ("ssh_config",),
    "safe-ssh": ("ssh_config",),
    "paramiko": ("ssh_config", "ssh_identity_file"),
}
"""By backend, the settings that name a file without which no call to a host gets through. Without
an identity file ssh may get in by other keys; if it does not, it names the file."""


def _missing_file(backend: BaseBackend) -> str:
    """Return what is wrong with the files that a backend's settings name; empty if they are there.

    testinfra looks at them only when it connects.
    """
    for name in _NEEDED_FILES.get(backend.get_connection_type(), ()):
        path = getattr(backend, name, None)
        # To ssh, "none" is no file.
        if path and path.lower() != "none" and not os.path.exists(os.path.expanduser(path)):
            option = f"--{name.replace('_', '-')}"
            return f"there is no file {os.path.abspath(path)}, as {option} or its hostspec says"
    return ""


def ref_of_fixture(host: object) -> HostRef:
    """Return the reference to what the fixture ``host`` gives. Raises WrongUse where a suite has
    one of its own, which gives something else than testinfra's.
    """
    if not isinstance(getattr(host, "backend", None), BaseBackend):
        raise WrongUse(
            f"the fixture 'host' is the suite's own here and gives {host!r}, not a testinfra Host:"
            ' pin it, as in host="ssh://web1"'
        )
    return host_ref(host)


@contextmanager
def own_host(ref: HostRef) -> Iterator[Host]:
    """Yield testinfra's Host of a host, for one thread alone: a test may use its own meanwhile."""
    backend = own_copy(ref.backend)
    try:
        yield Host(backend)
    finally:
        close_client(backend)


def _ref(backend: BaseBackend) -> HostRef:
    label = backend.get_pytest_id()
    if backend.get_connection_type() == "winrm":
        raise WrongUse(_winrm(label))
    settings = _settings(backend)
    kind = backend.get_connection_type()
    identity = repr((kind, sorted((name, repr(value)) for name, value in settings.items())))
    spec = settings.get("host")
    if isinstance(spec, HostSpec):
        settings["host"] = (spec.name, spec.port, spec.user)
    name = repr((kind, sorted((k, repr(v)) for k, v in settings.items() if k not in _PATHS)))
    return HostRef(identity, label, name, backend)


def _settings(backend: BaseBackend) -> dict[str, Any]:
    """Return a backend's settings: all that it needs to be made again."""
    plain = (str, int, float, bool, type(None), HostSpec)
    return {name: value for name, value in settings_of(backend).items() if isinstance(value, plain)}


def address_of(ref: HostRef, sudo: bool | None, sudo_user: str | None) -> TargetAddress:
    """Return how another process reaches a host, as a user there."""
    connection = ref.backend.get_connection_type()
    return TargetAddress(
        key=f"{ref.key}/{sudo}/{sudo_user}",
        label=ref.label,
        connection=connection,
        settings={
            name: Login(**asdict(value)) if isinstance(value, HostSpec) else value
            for name, value in _settings(ref.backend).items()
        },
        place=here() if connection in _LOCAL_KINDS else "",
        sudo=sudo,
        sudo_user=sudo_user,
    )


def host_at(address: TargetAddress) -> HostRef:
    """Return the host of an address that `address_of` has made, perhaps in another process."""
    settings = {
        name: HostSpec(**asdict(value)) if isinstance(value, Login) else value
        for name, value in address.settings.items()
    }
    return _ref(backend_of(address.connection, settings))


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
        with _ONE_AT_A_TIME:
            hosts = testinfra.get_hosts(specs, **settings)
    except Exception as error:
        inventory = settings["ansible_inventory"] or ""
        kinds = {connection_in(spec) or settings["connection"] for spec in specs}
        why: object = error
        if "ansible" in kinds and "," not in inventory and not os.path.exists(inventory or "/"):
            why = f"there is no file {os.path.abspath(inventory)}, as --ansible-inventory says"
        raise WrongUse(
            f"testinfra cannot make a host of {', '.join(map(str, specs))}: {why}"
        ) from None
    refs = [host_ref(host) for host in hosts]
    return sorted(refs, key=lambda ref: ref.label)


def of_module(module: object, config: pytest.Config) -> list[HostRef]:
    """Return the hosts that testinfra would give the tests of a module."""
    given = config.getoption("hosts", None)
    if given is not None:
        return resolve(given.split(","), config)
    return resolve(getattr(module, "testinfra_hosts", [None]), config)


def pinned(spec: str, config: pytest.Config) -> HostRef:
    """Return the one host of a hostspec. Raises WrongUse for none or several."""
    found = _found(spec, config)
    if len(found) > 1:
        names = ", ".join(ref.label for ref in found)
        raise WrongUse(
            f"host {spec!r} must stand for one host, not for {len(found)} ({names});"
            f" host=[{spec!r}] declares one that runs on each of them"
        )
    return found[0]


def pinned_to_several(specs: Iterable[str], config: pytest.Config) -> dict[str, HostRef]:
    """Return the hosts of some hostspecs, by each hostspec as it was given: a host that several
    of them stand for has several names.

    Hosts of a hostspec that stands for several are called by their labels, unless they have a name
    already. Raises WrongUse if one stands for none, or if two hosts would have one name.
    """
    found = {spec: _found(spec, config) for spec in specs}
    labels = Labels()
    for ref in (ref for several in found.values() for ref in several):
        labels.of(ref)  # all are known before the first is named
    refs: dict[str, HostRef] = {}
    for spec, several in found.items():
        for ref in several:
            if len(several) > 1 and ref in refs.values():
                continue
            name = spec if len(several) == 1 else labels.of(ref)
            if refs.setdefault(name, ref) != ref:
                raise WrongUse(f"host {spec!r}: two hosts would be called {name} in it")
    return refs


def _found(spec: str, config: pytest.Config) -> list[HostRef]:
    found = resolve([spec], config)
    if not found:
        raise WrongUse(f"host {spec!r} stands for no host: no host of the inventory has that name")
    return found


def _winrm(label: str) -> str:
    return (
        f"host {label}: winrm is not supported: background checks need a POSIX shell on the target"
    )
