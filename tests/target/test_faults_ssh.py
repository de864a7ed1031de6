"""What can happen to the line, and to the server at its end: over real OpenSSH."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from support import leftovers
from support.machines import Namespace, SSHServer
from support.machines.machine import wait_until
from support.machines.processes import with_argument
from support.real_targets import Counting, RealRun, target
from support.suites import HEAD

from pytest_bgcheck.model import State
from pytest_bgcheck.target import cleaner, recovery
from pytest_bgcheck.target.host_transport import HostTransport
from pytest_bgcheck.target.records import Record, Target

# The same on every Python.
pytestmark = pytest.mark.once


@pytest.fixture
def real_run(tmp_path: Path) -> Iterator[RealRun]:
    ours = RealRun(tmp_path)
    yield ours
    ours.close()


@pytest.fixture(scope="module")
def server() -> Iterator[SSHServer]:
    """A server to be harmed, by one test after the other."""
    with SSHServer() as ours:
        yield ours


def ssh(server: SSHServer, name: str = "", way: str = "ssh", host: str = "target") -> Target:
    return target(f"{way}://{host}", name, ssh_config=str(server.client_config))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the margin after a job's last second be short; what is decided stays the same."""
    monkeypatch.setattr(recovery, "MARGIN_S", 2.0)
    monkeypatch.setattr(recovery, "LEAST_SLACK_S", 1.0)


# --- broken ---------------------------------------------------------------------------------------


def test_a_server_that_is_away_for_some_seconds_costs_nothing(
    real_run: RealRun, server: SSHServer
) -> None:
    job = real_run.running(ssh(server), "sleep 4; echo done; exit 3")
    server.go_down()
    time.sleep(2)  # the fault itself
    assert job.result is None
    server.come_back()
    result = real_run.result(job)
    assert (result.state, result.rc, result.stdout) == (State.FAILED, 3, "done\n")


@pytest.mark.usefixtures("soon")
def test_a_line_that_stays_down_is_unreachable_by_the_jobs_deadline(
    real_run: RealRun, server: SSHServer
) -> None:
    job = real_run.running(ssh(server), "sleep 81", timeout=1, grace=0)
    server.go_down()
    result = real_run.result(job, 20)
    server.come_back()
    assert result.state is State.UNREACHABLE
    assert "refused" in result.detail


def test_a_start_whose_reply_is_lost_ran_once(
    real_run: RealRun, ssh_server: SSHServer, tmp_path: Path
) -> None:
    place = ssh(ssh_server)
    place.transport = Counting(place.transport, lose=2)
    result = real_run.result(real_run.submit(place, f"echo ran >>{tmp_path}/ran; exit 7"))
    assert (result.state, result.rc) == (State.FAILED, 7)
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert place.transport.calls[:3] == ["start"] * 3


# --- frozen ---------------------------------------------------------------------------------------


@dataclass
class Line:
    """A host over a line on which, from ``freeze`` on, everything vanishes."""

    place: Target
    freeze: Callable[[], None]
    thaw: Callable[[], None]


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    with Namespace() as network, on(network) as far, SSHServer() as first, SSHServer() as second:
        yield [
            Line(ssh(far, " in another network"), network.cut, network.mend),
            Line(ssh(first), first.pause, first.resume),
            Line(ssh(second, way="paramiko"), second.pause, second.resume),
        ]


def again(place: Target) -> Target:
    """Return the same host, as another run sees it."""
    way = cast(HostTransport, place.transport)
    return Target(place.label, place.identity, HostTransport(way._backend, None, None))


def on(network: Namespace) -> SSHServer:
    return SSHServer(runner=network.enter, address=network.address)


@pytest.mark.usefixtures("soon")
def test_frozen_lines_hang_nobody(
    real_run: RealRun, lines: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While awaiting, starting, and cleaning up: sshd stopped, and packets that vanish."""
    pytest.importorskip("paramiko")
    monkeypatch.setattr(cleaner, "CLEAN_S", 4.0)
    jobs = real_run.submit_all(
        [(line.place, "sleep 81", "c", {"timeout": 8, "grace": 0}) for line in lines]
    )
    real_run.until(lambda: all(job.state is State.RUNNING for job in jobs))
    for line in lines:
        line.freeze()
    other = RealRun(tmp_path)
    late = other.submit_all([(again(line.place), "true", "c", {"timeout": 1}) for line in lines])
    told = [*real_run.results(jobs, 60), *other.results(late, 60)]
    states = {result.state for result in told}
    assert states == {State.UNREACHABLE}, told
    other.close()
    assert len(real_run.close()) == len(lines)
    for line in lines:
        line.thaw()
    # The jobs have ended by their own limits, whoever was there to see it.
    assert wait_until(lambda: not with_argument(f"guard:{real_run.run}-"), 30)
    shutil.rmtree(os.fsdecode(lines[0].place.directory or b""))


def test_one_dead_host_is_tried_once_and_delays_no_other(
    real_run: RealRun, server: SSHServer, ssh_server: SSHServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MARGIN_S", 4.0)
    server.pause()
    try:
        dead = ssh(server, " dead")
        dead.transport = Counting(dead.transport)
        lost = [real_run.submit(dead, "true", f"c{n}", timeout=3) for n in range(1)]
        lost += real_run.submit_all([(dead, "true", f"d{n}", {"timeout": 3}) for n in range(5)])
        living = [ssh(ssh_server, f" {n}") for n in range(3)]
        good = real_run.submit_all([(place, "true", "c", {}) for place in living])
        begun = time.monotonic()
        assert {result.state for result in real_run.results(good)} == {State.SUCCEEDED}
        print(f"the others: {time.monotonic() - begun:.2f} s")
        assert not any(record.result for record in lost)
        assert {result.state for result in real_run.results(lost)} == {State.UNREACHABLE}
        tried = len(dead.transport.calls)
        late = real_run.submit(dead, "true", "late")
        assert "given up before" in real_run.result(late, 5).detail
        assert len(dead.transport.calls) == tried
    finally:
        server.resume()


# --- refused at random ----------------------------------------------------------------------------


def test_connections_dropped_at_random_change_no_result(real_run: RealRun) -> None:
    with SSHServer(config=["MaxStartups 2:50:10"]) as ours:
        places = [ssh(ours, f" {n}") for n in range(12)]
        jobs = real_run.submit_all([(p, f"exit {n}", "c", {}) for n, p in enumerate(places)])
        assert [result.rc for result in real_run.results(jobs)] == list(range(12))
        dropped = ours.log.read_text().count("MaxStartups")
        print(f"{dropped} lines tell of connections dropped")
        assert real_run.close() == []


def test_two_sessions_of_a_shared_connection_are_enough(real_run: RealRun) -> None:
    with SSHServer(config=["MaxSessions 2"]) as ours:
        places = [
            target("ssh://target", f" {n}", ssh_config=str(ours.shared_config)) for n in range(6)
        ]
        jobs = real_run.submit_all(
            [(p, f"sleep 1; exit {n}", "c", {}) for n, p in enumerate(places)]
        )
        assert [result.rc for result in real_run.results(jobs)] == list(range(6))
        assert real_run.close() == []


# --- many -----------------------------------------------------------------------------------------


def test_three_hundred_jobs_on_a_host(real_run: RealRun, ssh_server: SSHServer) -> None:
    place = ssh(ssh_server)
    place.transport = Counting(place.transport)
    threads = threading.active_count()
    jobs = real_run.submit_all([(place, f"exit {n % 250}", f"c{n}", {}) for n in range(300)])
    most = most_threads(real_run, jobs)
    assert [record.result.rc for record in jobs if record.result] == [n % 250 for n in range(300)]
    assert most <= threads + 3
    print(f"{len(place.transport.calls)} calls, {most - threads} threads")
    assert len(place.transport.calls) < 20


def test_fifty_hosts_with_ten_jobs_each(real_run: RealRun, tmp_path: Path) -> None:
    addresses = [f"127.0.1.{n}" for n in range(1, 51)]
    # A server listens on 16 addresses at the most, so that one stands for all.
    with SSHServer(names=["127.0.1.*"]) as ours:
        threads = threading.active_count()
        places = [ssh(ours, host=address) for address in addresses]
        jobs = real_run.submit_all(
            [(place, f"exit {n}", f"c{n}", {}) for place in places for n in range(10)]
        )
        most = most_threads(real_run, jobs)
        codes = [record.result.rc for record in jobs if record.result]
        assert codes == [n for _ in places for n in range(10)]
        real_run.close()  # one computer has to do it fifty times: not all have an answer in time
        assert not list(tmp_path.iterdir())
        print(f"{ours.connections()} connections, {most - threads} threads")
        assert most <= threads + 2 * len(places)
        # One to start, one to wait, one to clean; more only if a wait was cut or made anew.
        assert ours.connections() < 5 * len(places)


def most_threads(real_run: RealRun, jobs: list[Record]) -> int:
    most, deadline = 0, time.monotonic() + 150
    while not all(record.result for record in jobs):
        assert time.monotonic() < deadline
        most = max(most, threading.active_count())
        time.sleep(0.05)
    return most


# --- an interrupt ---------------------------------------------------------------------------------


def test_one_more_interrupt_cuts_the_clean_up_short_and_leaves_no_connection(
    server: SSHServer, pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="bgc-", dir="/tmp") as own:
        monkeypatch.setenv("TMPDIR", own)  # short enough for ssh's socket
        pytester.makepyfile(
            test_it=HEAD + "c = background_check('sleep 96', timeout=8)\n"
            "@pytest.mark.bgcheck('c')\ndef test_c(host): pass\n"
        )
        options = [f"--ssh-config={server.client_config}", f"--bgcheck-dir={tmp_path}"]
        with (pytester.path / "out").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "--hosts=ssh://target", *options],
                cwd=pytester.path,
                stdout=out,
                stderr=out,
            )
        # The waiting call is there: a later one is the clean-up's.
        assert wait_until(lambda: any(tmp_path.glob("pytest-bgcheck-*/*/bell.*")), 30)
        server.pause()
        try:
            calls = len(with_argument(own))
            process.send_signal(signal.SIGINT)
            assert wait_until(lambda: len(with_argument(own)) > calls, 20)  # it cleans up
            process.send_signal(signal.SIGINT)
            begun = time.monotonic()
            assert process.wait(30) == pytest.ExitCode.INTERRUPTED
            assert time.monotonic() - begun < cleaner.CLEAN_S - 2
            assert not with_argument(own)
            assert not list(Path(own).glob("bgcheck-*"))
        finally:
            server.resume()
        told = (pytester.path / "out").read_text()
        assert re.search(r"ssh://target: interrupted; 1 job \(.*\) and \S+ may be left there", told)
        assert "Traceback" not in told
        assert wait_until(lambda: not leftovers.supervisors(), 30)
