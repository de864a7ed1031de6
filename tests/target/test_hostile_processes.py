"""What a check can put before its guard's eyes: names of processes, and files of its own job."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import shell_as_sh
from support.machines.processes import find
from support.supervisor_client import Client

from pytest_bgcheck.model import State
from pytest_bgcheck.target import command_line

pytestmark = pytest.mark.once


@pytest.fixture(params=["dash", "bash", "busybox", "yash"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    ours = Client(shell_as_sh(request.param, tmp_path), tmp_path)
    yield ours
    ours.clean()


NAMED = """
import ctypes, os, sys, time
name = sys.argv[1].encode().decode("unicode_escape").encode()
ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
print(os.getpid(), flush=True)
if sys.argv[2:]:
    os.close(1), os.close(2)
time.sleep(300)
"""


NAMES = ("x\\ny", "a) Z 1 1 1", "\\n", "x\\n{innocent} (", "\\n{innocent} () S ", "$(exit 1)*")


def test_a_name_of_a_process_hides_nothing_and_forges_nothing(
    client: Client, tmp_path: Path
) -> None:
    program = tmp_path / "named.py"
    program.write_text(NAMED)
    with subprocess.Popen(["sleep", "94"], start_new_session=True) as innocent:
        specs = []
        for number, name in enumerate(NAMES):
            python = f"{sys.executable} -ISE {program} '{name.format(innocent=innocent.pid)}'"
            hidden = f"env -i {python} hidden & {python} & exec {python}"
            specs.append(client.spec(f"c{number}", hidden, timeout=2, grace=0))
        client.start(*specs)
        # Nobody waits: the guards alone have to end them.
        run = Path(os.fsdecode(client.directory))
        client.eventually(lambda: len(list(run.glob("*/state.timeout.*"))) == len(specs))
        assert innocent.poll() is None
        innocent.kill()
    results = client.results(*specs)
    assert {r.state for r in results.values()} == {State.TIMED_OUT}
    pids = [int(pid) for r in results.values() for pid in r.stdout.split()]
    assert len(pids) == 3 * len(specs)
    assert not [process for process in map(find, pids) if process and not process.has_ended]


HUGE = "9" * 40
PLANTED = {
    # Each is done in the job's directory, by a check that then goes on for ever.
    "long_grace": "mv state.run.* state.end.timeout.0.99999999.1.1",
    "endless": "mv state.run.* state.run.99999999.99999999.99999999.1.1",
    "no_state": "rm state.*",
    "other_state": "mv state.run.* state.x",
    "state_too": "touch state.0 state.end state.run 'state.a b' 'state.run.*' 'state.$(exit)'",
    "huge_state": f"mv state.run.* state.run.{HUGE}.{HUGE}.{HUGE}.{HUGE}.{HUGE}",
    "octal_state": "mv state.run.* state.run.08.09.010.1.1",
    "code_in_state": "mv state.run.* 'state.run.a[$(exit 1)].b.c.1.1'",
    "newline_state": "mv state.run.* 'state.exit.0.1.1\nc'",
    "no_final_state": "mv state.run.* state.refused.nonsense",
    "forged_end": "mv state.run.* state.end.exit.0.0.1.1",
    "state_directory": "mkdir state.timeout state.exit.x; touch state.x/y",
    "pid": f"mv pid.* pid.{HUGE}.x.08.z; mkdir pid.d pid.0.1.00; touch 'pid.* *' 'pid.1\n2.1.1'",
    "pid_code": "rm pid.*; touch 'pid.a[$(exit 1)].1.1' pid.08.09.1",
    "refused": "touch refused.x 'refused.a b'",
    "no_fifo": "rm alive; touch alive",
    "other_fifo": "rm alive; mkfifo alive",
    "fifo_out": "rm out err; mkfifo out err",
    "odd_out": "rm out err; mkdir out; ln -s /dev/zero err",
}
HERE = 'cd "$(dirname "$(readlink /proc/self/fd/3)")" && {}; sleep 91'


def test_nothing_that_a_check_does_to_its_job_keeps_it_from_its_end(client: Client) -> None:
    # Its directory is where its output is; after a moment, when its guard has seen it begin.
    specs = [
        client.spec(name, f"exec 3>&1; sleep 0.3; {HERE.format(harm)}", timeout=1.5, grace=0.5)
        for name, harm in PLANTED.items()
    ]
    good = client.spec("good", "sleep 2; exit 7")
    client.start(*specs, good)
    # What was made there delays no other.
    results = client.results(*specs, good)
    assert results.pop("good").rc == 7
    ended = {State.TIMED_OUT, State.LOST}
    assert not {name: r for name, r in results.items() if r.state not in ended}
    client.eventually(lambda: not client.processes(f"PYTEST_BGCHECK_JOB={client.run}"))
    client.eventually(lambda: not client.processes(client.run))


def test_a_planted_grace_makes_no_more_guards(client: Client) -> None:
    """Also not of a guard that was killed, whose successor has only the job's files."""
    plant = HERE.format("{ trap '' TERM; " + PLANTED["long_grace"] + "; }")
    spec = client.spec("c", f"exec 3>&1; {plant}", timeout=30, grace=1)
    client.start(spec)
    with client.waiting(spec) as waiter:
        job = Path(os.fsdecode(client.directory)) / spec.id
        client.eventually(lambda: not list(job.glob("state.run.*")))
        for pid in client.guards(spec):
            os.kill(pid, signal.SIGKILL)
        assert waiter.state()[0] is State.TIMED_OUT
    client.eventually(lambda: not client.processes(client.run))


def test_a_guard_that_dies_of_an_error_begins_again(tmp_path: Path) -> None:
    client = Client(shell_as_sh("bash", tmp_path), tmp_path)
    spec = client.spec("c", "exec sleep 91", timeout=3, grace=0)
    client.start(spec)
    job = Path(os.fsdecode(client.directory)) / spec.id
    client.eventually(lambda: bool(list(job.glob("pid.*"))))
    (guard,) = client.guards(spec)
    # As an error of its own would do: its shell goes through its exit.
    os.kill(guard, signal.SIGTERM)
    client.eventually(lambda: bool(list(job.glob("state.timeout.*"))))
    client.clean()
    assert command_line.SUPERVISOR.count("trap begin_again EXIT") == 1
