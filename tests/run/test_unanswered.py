"""What is told of a host that refuses, or that no longer answers."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.machines.machine import wait_until
from support.pseudo_terminal import run_on_tty
from support.scripted_transport import Scripted, ended, started
from support.suites import HEAD, run

from pytest_bgcheck import State
from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import NoAnswer, Unreachable
from pytest_bgcheck.model import Tries
from pytest_bgcheck.target import recovery
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.runner import Runner

REFUSES = (
    "refused = background_check('true', host='ssh://refuses', timeout={timeout})\n"
    "@pytest.mark.bgcheck('refused', timeout={patience})\ndef test_refused(): pass\n"
)
CONNECTING = re.compile(r"refused on ssh://refuses: connecting, Connection refused \(\d+ tr")


@pytest.fixture
def config(pytester: pytest.Pytester) -> Iterator[str]:
    """Yield the option for an ssh_config with a host that refuses connections."""
    with socket.socket() as bound:  # it does not listen
        bound.bind(("127.0.0.1", 0))
        path = pytester.path / "ssh_config"
        path.write_text(
            f"Host refuses\n HostName 127.0.0.1\n Port {bound.getsockname()[1]}\n"
            " IdentityFile none\n UserKnownHostsFile /dev/null\n"
        )
        yield f"--ssh-config={path}"


# --- what a runner tells --------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "FIRST_PAUSE_S", 0.01)


def tries_of(transport: Scripted) -> list[tuple[int, str] | None]:
    """Run two checks on a target to their ends; return what was told of its tries."""
    told: list[tuple[Sequence[Record], Tries | None]] = []
    ours = Runner("0123456789ab", on_tries=lambda records, tries: told.append((records, tries)))
    target = Target("host", "host", transport)
    given = {"timeout": 60, "grace": 0}
    checks = [make_check(n, "true", given, timeout_s=1, directory=Path()) for n in ("a", "b")]
    specs = [Spec(check.id_on("host", ours.run_id), check) for check in checks]
    records = ours.submit([(spec, target) for spec in specs])
    assert ours.wait_for(lambda: all(r.result is not None for r in records), records, 60)
    assert {record.state for record in records} == {State.SUCCEEDED}
    assert all(concerned == records for concerned, _ in told)
    begins = [tries.began_at for _, tries in told if tries is not None]
    assert len(set(begins)) <= 1
    return [None if tries is None else (tries.count, tries.cause) for _, tries in told]


def test_each_try_to_start_is_told_once() -> None:
    faults = [Unreachable("Connection refused"), NoAnswer("no answer in 60 s")]
    transport = Scripted(start=[*faults, started], waits=[ended("exit.0.5.1")])
    assert tries_of(transport) == [(1, "Connection refused"), (2, "no answer in 60 s")]
    assert transport.calls == ["start", "start", "start", "await"]


def test_each_try_to_hear_of_the_ends_is_told_once_and_so_is_the_answer() -> None:
    faults = [Unreachable("Connection timed out")] * 2
    transport = Scripted(start=[started], waits=[*faults, ended("exit.0.5.1")])
    cause = "Connection timed out"
    assert tries_of(transport) == [(1, cause), (2, cause), None]
    assert transport.calls == ["start", "await", "await", "await"]


# --- what a run tells -----------------------------------------------------------------------------


@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "worker"])
@pytest.mark.parametrize("columns", [80, 100])
def test_a_host_that_refuses_is_connecting_in_the_live_line(
    pytester: pytest.Pytester, config: str, args: list[str], columns: int
) -> None:
    pytester.makepyfile(test_it=HEAD + REFUSES.format(timeout=60, patience=6))
    shown = run_on_tty(pytester.path, config, *args, columns=columns)
    assert any(CONNECTING.search(line) for screen in shown.screens for line in screen)
    assert not shown.ever("1 running")
    assert shown.rc == pytest.ExitCode.TESTS_FAILED
    assert re.search(
        r"background check 'refused' on ssh://refuses still pending after [\d.]+ s of waiting:"
        r" ssh: connect to host 127.0.0.1 port \d+: Connection refused \(\d+ tr",
        shown.written.decode(),
    )


def test_a_log_the_table_and_the_report_tell_of_a_host_that_refuses_until_an_interrupt(
    pytester: pytest.Pytester, config: str
) -> None:
    often = (
        "import os, signal\nimport pytest_bgcheck.run.progress as p\np.PLAIN_EVERY_S = 0.5\n"
        "write = p.Progress._write\n"
        "def write_and_interrupt(self, lines, before_test=False):\n"
        "    write(self, lines, before_test)\n"
        "    if any(' tries in ' in text for text, _ in lines):\n"  # the first may be the third
        "        p.Progress._write = write\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "p.Progress._write = write_and_interrupt\n"
    )
    suite = REFUSES.format(timeout=60, patience=None)
    result = run(pytester, config, "--bgcheck-report=r.json", conftest=often, test_it=suite)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert any(
        line.startswith("background checks: ") and CONNECTING.search(line)
        for line in result.outlines
    )
    result.stdout.fnmatch_lines(
        [
            "refused  ssh://refuses  cancelled *",
            "background check 'refused' on ssh://refuses when the run ended: connecting,"
            " Connection refused (* tries in * s)",
        ]
    )
    (job,) = json.loads((pytester.path / "r.json").read_text())["jobs"]
    assert job["state"] == "cancelled"
    assert job["unanswered"]["count"] >= 2
    assert job["unanswered"]["cause"].endswith("Connection refused")


def test_a_host_that_goes_away_while_a_job_runs_is_told_of_until_the_job_is_heard_of(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    pytester.makeconftest("import pytest_bgcheck.run.progress as p\np.PLAIN_EVERY_S = 0.3\n")
    command = f"echo >{tmp_path}/runs; until [ -e {tmp_path}/end ]; do sleep 0.1; done"
    pytester.makepyfile(
        test_it=HEAD + f"c = background_check({command!r}, host='ssh://target')\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
    )
    out = tmp_path / "out"
    with SSHServer() as server, out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", f"--ssh-config={server.client_config}"],
            cwd=pytester.path, stdout=file, stderr=file,
        )  # fmt: skip
        try:
            assert wait_until((tmp_path / "runs").exists, 60)
            server.go_down()
            silent = re.compile(
                r"c on ssh://target: [\d.]+ of 360 s, no answer for \d+ s,"
                r" Connection refused \(\d+ tr"
            )
            assert wait_until(lambda: bool(silent.search(out.read_text())), 60)
            server.come_back()
            (tmp_path / "end").touch()
            assert process.wait(90) == 0
        finally:
            process.kill()
            process.wait()
    assert "1 passed" in out.read_text()


def test_a_host_that_is_given_up_has_its_tries_in_the_failure(
    pytester: pytest.Pytester, config: str
) -> None:
    soon = "from pytest_bgcheck.target import recovery\nrecovery.START_PATIENCE_S = 2.0\n"
    suite = REFUSES.format(timeout=60, patience=None)
    result = run(pytester, config, conftest=soon, test_it=suite)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            r"background check 'refused' on ssh://refuses unreachable: ssh: connect to host"
            r" 127.0.0.1 port \d+: Connection refused \(\d+ tries in \d+ s\)$"
        ]
    )
