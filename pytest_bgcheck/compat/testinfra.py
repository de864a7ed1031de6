"""testinfra. Seen to work: 10.1.0 and 10.2.2. Only rooms that need a host import this one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from testinfra.backend import get_backend_class, parse_hostspec
from testinfra.backend.base import BaseBackend, CommandResult

# --- hosts ----------------------------------------------------------------------------------------


def host_parameter(item: pytest.Item) -> object:
    """Return the host with which testinfra has parametrized an item, None if it has not.

    Why: jobs start before the first test, and the fixture ``host`` has no value before its set-up.
    """
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("_testinfra_host")


def is_host_parameter(definition: pytest.FixtureDef[Any]) -> bool:
    """Return whether a fixture is the one behind ``host``, which has a value for each host.

    Why: ``host`` itself may be the suite's own, with the same value for all hosts.
    """
    return definition.argname == "_testinfra_host"


def lacks_host(definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> bool:
    """Return whether the fixture behind ``host`` is set up for a test that was given no host.

    Why: it fails then, and says only that a request has no parameter.
    """
    return is_host_parameter(definition) and not hasattr(request, "param")


def connection_in(hostspec: str | None) -> str | None:
    """Return the connection that a hostspec names, as ``ssh`` in ``ssh://web1``, None if it names
    none.

    Why: ``get_hosts`` fails for a winrm host where pywinrm is not installed, and says only that.
    """
    connection: str | None = parse_hostspec(hostspec)[1].get("connection")
    return connection


def settings_of(backend: BaseBackend) -> dict[str, Any]:
    """Return what a backend was made with, and what it has made of it.

    Why: hosts are the same if a call to either does the same, and another process makes them anew.
    A hostspec does not say all.
    """
    return {name: value for name, value in vars(backend).items() if not name.startswith("_")}


def backend_of(connection: str, settings: Mapping[str, Any]) -> BaseBackend:
    """Return the backend that has these settings.

    Why: its ``__init__`` takes others than it keeps, and may read files that are not here.
    """
    kind = get_backend_class(connection)
    backend: BaseBackend = kind.__new__(kind)
    vars(backend).update(settings)
    return backend


# --- calls ----------------------------------------------------------------------------------------


def own_copy(backend: BaseBackend) -> BaseBackend:
    """Return a copy of a backend for one thread, which runs what the backend itself would.

    Why: a test that is in ``host.sudo()`` has replaced a method of its backend, and one paramiko
    client must not serve several threads.
    """
    own = copy.copy(backend)
    for name in ("get_command", "client"):
        vars(own).pop(name, None)
    return own


def bounded_copy(backend: BaseBackend, run_local: Callable[..., CommandResult]) -> BaseBackend:
    """Return a copy of a backend without sudo, which runs its local commands by ``run_local``.

    Why: all backends that start a process do it by ``run_local``, and testinfra's own knows no time
    limit and logs each command.
    """
    own = own_copy(backend)
    own.sudo = False
    own.run_local = run_local
    return own


def close_client(backend: BaseBackend) -> None:
    """Close a paramiko backend's client, if it has made one.

    Why: it is made by the first call and closed by nobody.
    """
    client = vars(backend).get("client")
    if client is not None:
        client.close()


def local_result(
    backend: BaseBackend, rc: int, command: str, stdout: bytes, stderr: bytes
) -> CommandResult:
    """Return what ``run_local`` has to return. Why: ``BaseBackend.result`` would log it."""
    return CommandResult(backend, rc, command.encode(), stdout, stderr)


def delegate_of(backend: Any) -> BaseBackend | None:
    """Return the backend that testinfra runs on for an Ansible host, if it needs no Ansible.

    Why: the Ansible backend makes it inside of each call, where it cannot be bounded.
    """
    if backend.get_connection_type() != "ansible" or backend.force_ansible:
        return None
    host = backend.ansible_runner.get_host(
        backend.host,
        ssh_config=backend.ssh_config,
        ssh_identity_file=backend.ssh_identity_file,
    )
    return None if host is None else host.backend


def result_in(error: Exception) -> CommandResult | None:
    """Return the result that an error of a call holds, None for another error.

    Why: for ssh's 255, testinfra raises a RuntimeError with the result.
    """
    result = error.args[0] if error.args else None
    return result if isinstance(result, CommandResult) else None


def outputs_of(result: CommandResult) -> tuple[bytes, bytes]:
    """Return stdout and stderr as they came.

    Why: to make bytes of a str, ``stdout_bytes`` would run Python on the target.
    """
    return _bytes(result._stdout), _bytes(result._stderr)


def _bytes(output: str | bytes) -> bytes:
    return output if isinstance(output, bytes) else output.encode("utf-8", "surrogateescape")


def ssh_command(backend: Any) -> tuple[list[str], list[str]]:
    """Return the words of a backend's ssh command with ``%s`` in them, and what goes there.

    Why: what ssh makes of the same options (``ssh -G``) tells whether the user shares connections.
    """
    words, arguments = backend._build_ssh_command("")
    return words, arguments
