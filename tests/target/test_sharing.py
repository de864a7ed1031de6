"""One ssh connection for all calls to a target."""

import os
import resource
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from support.machines import SSHServer
from support.machines.machine import wait_until
from support.machines.processes import with_argument
from support.scripted_transport import question

from pytest_bgcheck import originals
from pytest_bgcheck.errors import Unreachable
from pytest_bgcheck.target.host_transport import HostTransport
from pytest_bgcheck.target.transport import ask


@pytest.fixture
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the directory for temporary files, short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="bgc-", dir="/tmp") as directory:
        monkeypatch.setattr(originals.tempfile, "tempdir", directory)
        yield Path(directory)


def transport(server: SSHServer, shared: bool = False) -> HostTransport:
    config = server.shared_config if shared else server.client_config
    host = testinfra.get_host("ssh://target", ssh_config=str(config))
    return HostTransport(host.backend, None, None)


def test_all_calls_go_through_one_connection(ssh_server: SSHServer, own_tmp: Path) -> None:
    before = ssh_server.connections()
    calls = transport(ssh_server)
    assert [calls.call(f"echo {n}", 20).stdout for n in range(3)] == [b"0\n", b"1\n", b"2\n"]
    calls.close()
    assert ssh_server.connections() == before + 1


def test_nothing_of_it_is_left(ssh_server: SSHServer, own_tmp: Path) -> None:
    calls = transport(ssh_server)
    calls.call("true", 20)
    assert with_argument(str(own_tmp))
    calls.close()
    assert not with_argument(str(own_tmp))
    assert not list(own_tmp.iterdir())


def test_a_connection_that_is_there_is_used(ssh_server: SSHServer, own_tmp: Path) -> None:
    calls = transport(ssh_server, shared=True)
    calls.call("true", 20)
    before = ssh_server.connections()
    calls.call("true", 20)
    assert ssh_server.connections() == before
    assert not list(own_tmp.iterdir())
    calls.close()


def test_after_a_failure_the_next_call_has_a_new_connection(
    ssh_server: SSHServer, own_tmp: Path
) -> None:
    calls = transport(ssh_server)
    calls.call("true", 20)
    before = ssh_server.connections()
    with pytest.raises(Exception, match="no answer"):
        calls.call("sleep 20", 0.5)
    calls.call("true", 20)
    assert ssh_server.connections() == before + 1
    calls.close()
    assert not list(own_tmp.iterdir())


def test_where_no_socket_fits_each_call_connects(
    ssh_server: SSHServer, own_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = own_tmp / ("long" * 25)
    long.mkdir()
    monkeypatch.setattr(originals.tempfile, "tempdir", str(long))
    before = ssh_server.connections()
    calls = transport(ssh_server)
    calls.call("true", 20)
    calls.call("true", 20)
    calls.close()
    assert ssh_server.connections() == before + 2
    assert not list(long.iterdir())


def test_a_server_that_allows_one_session_at_a_time_gets_more_connections(own_tmp: Path) -> None:
    with SSHServer(config=["MaxSessions 1"]) as server:
        calls = transport(server)
        calls.call("true", 20)
        begun, over = own_tmp / "begun", own_tmp / "over"
        waits = f"touch {begun}; until [ -e {over} ]; do sleep 0.1; done"
        first = threading.Thread(target=calls.call, args=(waits, 30))
        first.start()
        assert wait_until(begun.exists, 20)
        assert calls.call("echo out", 20).stdout == b"out\n"
        assert server.connections() == 2
        over.touch()
        first.join()
        calls.close()


def test_a_directory_that_was_cleaned_away_costs_no_call_and_no_end(
    ssh_server: SSHServer, own_tmp: Path
) -> None:
    calls = transport(ssh_server)
    for _ in range(2):
        assert calls.call("echo out", 20).stdout == b"out\n"
        for path in own_tmp.iterdir():
            shutil.rmtree(path)
    calls.close()
    assert not list(own_tmp.iterdir())


def test_where_nothing_can_be_opened_a_call_is_told_as_unreachable(
    ssh_server: SSHServer, own_tmp: Path
) -> None:
    """EMFILE here, on the controller."""
    calls = transport(ssh_server)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
    try:
        # The lowest free one comes first: none below it is free.
        with pytest.raises(Unreachable, match="Too many open files"):
            ask(calls, question("true"), 20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
    assert calls.call("echo out", 20).stdout == b"out\n"
    calls.close()
