"""Each private API of testinfra that `compat.testinfra` needs, by what it is needed for."""

from pathlib import Path
from typing import Any

import pytest
import testinfra
from support.private import needs
from testinfra.backend.base import BaseBackend, CommandResult

from pytest_bgcheck.compat.testinfra import (
    backend_of,
    bounded_copy,
    close_client,
    connection_in,
    delegate_of,
    host_parameter,
    lacks_host,
    local_result,
    outputs_of,
    own_copy,
    result_in,
    settings_of,
    ssh_command,
)


def needs_testinfra(api: str, function: Any) -> Any:
    return needs("pytest-testinfra", api, function)


def backend(hostspec: str, **settings: Any) -> BaseBackend:
    made: BaseBackend = testinfra.get_host(hostspec, **settings).backend
    return made


def test_the_host_of_an_item_is_known_before_its_set_up(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_host(host): pass\ndef test_none(): pass\n")
    items, _ = pytester.inline_genitems()
    with needs_testinfra("the parameter _testinfra_host", host_parameter):
        host, none = map(host_parameter, items)
        assert isinstance(getattr(host, "backend", None), BaseBackend)
        assert none is None


def test_a_test_that_was_given_no_host_is_known(pytester: pytest.Pytester) -> None:
    lacking: list[str] = []

    class Plugin:
        @pytest.hookimpl(tryfirst=True)
        def pytest_fixture_setup(
            self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
        ) -> None:
            if lacks_host(fixturedef, request):
                lacking.append(request.node.name)

    pytester.makepyfile(
        test_one="def test_given(host): pass\n",
        test_two="def test_lacks(request): request.getfixturevalue('host')\n",
    )
    with needs_testinfra("plugin._testinfra_host, which reads request.param", lacks_host):
        pytester.runpytest_inprocess(plugins=[Plugin()])
        assert lacking == ["test_two.py"]  # the module, whose fixture it is


def test_the_connection_of_a_hostspec_is_known() -> None:
    with needs_testinfra("backend.parse_hostspec", connection_in):
        assert connection_in("winrm://web1") == "winrm"
        assert connection_in("web1") is None
        assert connection_in(None) is None


@pytest.mark.parametrize(
    ("hostspec", "settings"),
    [
        ("local://", {}),
        ("ssh://me@web1:22", {"ssh_config": "/c", "sudo": True}),
        ("docker://me@web1", {"sudo_user": "you"}),
        ("chroot:///srv/root", {}),
    ],
)
def test_a_backend_is_made_anew_from_its_settings(hostspec: str, settings: Any) -> None:
    first = backend(hostspec, **settings)
    with needs_testinfra("backend.get_backend_class, or its settings as attributes", backend_of):
        second = backend_of(first.get_connection_type(), settings_of(first))
        assert type(second) is type(first)
        assert settings_of(second) == settings_of(first)
        assert second.get_pytest_id() == first.get_pytest_id()
        assert settings.items() <= settings_of(second).items()


@pytest.mark.parametrize("connection", ["local", "ssh", "safe-ssh", "docker", "podman", "chroot"])
def test_local_commands_of_a_copy_are_ours_to_run(connection: str) -> None:
    commands: list[str] = []

    def run_local(command: str, *args: str) -> CommandResult:
        commands.append(own.quote(command, *args))
        return local_result(own, 0, commands[-1], b"TESTINFRA_START;0;b3V0;;TESTINFRA_END", b"")

    original = backend(f"{connection}://web1", sudo=True)
    own = bounded_copy(original, run_local)
    with needs_testinfra("BaseBackend.run_local, by which backends start processes", bounded_copy):
        result = own.run("echo %s", "it")
        assert "echo it" in commands[0].replace("'", "").replace("\\", "")
        assert "sudo" not in commands[0]
        assert result.rc == 0
        assert original.sudo


@pytest.mark.parametrize("settings", [{}, {"sudo": True}])
def test_the_copy_of_a_backend_knows_nothing_of_a_tests_sudo(settings: Any) -> None:
    host = testinfra.get_host("local://", **settings)
    plain = host.backend.get_command("true")
    with needs_testinfra("host.sudo(), which replaces backend.get_command", own_copy):
        with host.sudo("nobody"):
            assert "nobody" in host.backend.get_command("true")
            assert own_copy(host.backend).get_command("true") == plain
        own = own_copy(host.backend)
        own.sudo = False
        assert own.get_command("true") == "true"


def test_the_copy_of_a_backend_has_a_client_of_its_own() -> None:
    pytest.importorskip("paramiko")
    from testinfra.backend.paramiko import ParamikoBackend

    class Client:
        closed = False

        def close(self) -> None:
            self.closed = True

    client = Client()
    original = backend("paramiko://web1")
    with needs_testinfra("ParamikoBackend.client, a cached property", close_client):
        assert hasattr(ParamikoBackend, "client")
        vars(original)["client"] = client
        assert original.client is client
        close_client(bounded_copy(original, lambda: None))
        assert not client.closed
        close_client(original)
        assert client.closed


def test_outputs_are_had_as_they_came() -> None:
    with needs_testinfra("CommandResult._stdout and ._stderr", outputs_of):
        result = local_result(backend("local://"), 3, "x", b"\xff", b"e")
        assert outputs_of(result) == (b"\xff", b"e")
        assert result.rc == 3
        # Paramiko and safe-ssh give bytes, ansible and salt a str.
        text = CommandResult(backend("local://"), 0, b"x", "\udcff", "é")
        assert outputs_of(text) == (b"\xff", "é".encode())


def test_a_result_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="testinfra"):
        local_result(backend("local://"), 0, "secret", b"", b"")
    assert not caplog.records


def test_the_error_for_a_lost_ssh_holds_the_result() -> None:
    own = bounded_copy(
        backend("ssh://web1"), lambda command, *args: local_result(own, 255, command, b"", b"why")
    )
    with needs_testinfra("RuntimeError(result) for ssh's 255", result_in):
        with pytest.raises(RuntimeError) as caught:
            own.run("true")
        result = result_in(caught.value)
        assert result is not None
        assert outputs_of(result) == (b"", b"why")
    assert result_in(RuntimeError("another")) is None
    assert result_in(RuntimeError()) is None


def test_an_ansible_host_is_reached_without_ansible_where_it_can_be(tmp_path: Path) -> None:
    pytest.importorskip("ansible")
    inventory = tmp_path / "hosts"
    inventory.write_text(
        "web1 ansible_connection=ssh ansible_user=me\nlocal ansible_connection=local\n"
    )

    def ansible(name: str, **settings: Any) -> BaseBackend:
        return backend(f"ansible://{name}", ansible_inventory=str(inventory), **settings)

    with needs_testinfra("AnsibleBackend.ansible_runner.get_host", delegate_of):
        web1, local = delegate_of(ansible("web1")), delegate_of(ansible("local"))
        assert web1 is not None
        assert local is not None
        assert web1.get_pytest_id() == "ssh://web1"
        assert local.get_connection_type() == "local"
        assert delegate_of(ansible("web1", force_ansible=True)) is None
    assert delegate_of(backend("ssh://web1")) is None


def test_the_words_of_the_ssh_command_are_known() -> None:
    with needs_testinfra("SshBackend._build_ssh_command", ssh_command):
        words, arguments = ssh_command(backend("ssh://me@web1:2222", ssh_config="/my config"))
        assert words[0] == "ssh"
        command = " ".join(words)
        assert command.count("%s") == len(arguments)
        assert {"me", "2222", "/my config", "web1"} <= set(arguments)
