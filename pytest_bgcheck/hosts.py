"""Hosts: resolved as testinfra resolves them, and told apart. The only room beside transport that
knows testinfra; imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
import testinfra
from testinfra.backend import parse_hostspec
from testinfra.backend.base import BaseBackend, HostSpec

from .errors import WrongUse


@dataclass(frozen=True)
class HostRef:
    """One host: equal to another if a call to either does the same.

    ``label`` is what people read, as in ``ssh://web1``; ``identity`` adds what a label leaves out
    (user, port, settings).
    """

    identity: str
    label: str = field(compare=False)
    backend: BaseBackend = field(compare=False, repr=False)


def host_ref(host: Any) -> HostRef:
    """Return the reference to a testinfra Host. Raises WrongUse for one that is not POSIX."""
    backend = getattr(host, "backend", None)
    if not isinstance(backend, BaseBackend):
        raise WrongUse(f"host must be a hostspec or a testinfra Host, not {host!r}")
    label = backend.get_pytest_id()
    if backend.get_connection_type() == "winrm":
        raise WrongUse(_winrm(label))
    plain = (str, int, float, bool, type(None), HostSpec)
    facts = sorted(
        (name, repr(value))
        for name, value in vars(backend).items()
        if not name.startswith("_") and isinstance(value, plain)
    )
    return HostRef(repr((backend.get_connection_type(), facts)), label, backend)


def resolve(specs: Iterable[str | None], config: pytest.Config) -> list[HostRef]:
    """Return the hosts of some hostspecs, with testinfra's own options, as its plugin does.

    Raises WrongUse for a hostspec that testinfra cannot make a host of.
    """
    option = config.option
    specs = list(specs)
    for spec in specs:
        connection = parse_hostspec(spec)[1].get("connection", option.connection)
        if connection == "winrm":
            raise WrongUse(_winrm(str(spec)))
    try:
        hosts = testinfra.get_hosts(
            specs,
            connection=option.connection,
            ssh_config=option.ssh_config,
            ssh_identity_file=option.ssh_identity_file,
            sudo=option.sudo,
            sudo_user=option.sudo_user,
            ansible_inventory=option.ansible_inventory,
            force_ansible=option.force_ansible,
        )
    except Exception as error:
        raise WrongUse(
            f"testinfra cannot make a host of {', '.join(map(str, specs))}: {error}"
        ) from None
    refs = [host_ref(host) for host in hosts]
    return sorted(refs, key=lambda ref: ref.label)


def of_module(module: object, config: pytest.Config) -> list[HostRef]:
    """Return the hosts that testinfra would give the tests of a module."""
    if config.option.hosts is not None:
        return resolve(config.option.hosts.split(","), config)
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
