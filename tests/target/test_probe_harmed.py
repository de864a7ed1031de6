"""Whatever befalls a probe, its prober and its guard: what is told is true, and all of it ends."""

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from support.machines.users import TestUser
from support.probes import file_of, guard, prober, runs, sampling, stop, takes
from support.supervisor_client import Client, nothing_runs, run_of

from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests

pytestmark = pytest.mark.once


def test_a_probe_whose_prober_is_killed_is_lost_with_what_it_has_seen(
    clients: dict[str, Client],
) -> None:
    sampling(clients)
    for client in clients.values():
        takes(client, 2)
        os.kill(prober(client), signal.SIGKILL)
    for client in clients.values():
        spec = client.specs["c"]
        result = client.results(spec)["c"]
        assert result.state is State.LOST
        assert result.window is not None
        assert result.window.samples >= 3
        assert client.close((spec, "w1")).refused == {spec.id: "it has ended"}
        assert client.open((spec, "w2")).refused == {spec.id: "it has ended"}
        nothing_runs(client)


def test_a_prober_that_is_killed_ends_a_close_that_waits_for_it(clients: dict[str, Client]) -> None:
    """It is in the middle of a sample."""
    sampling(clients, "[ ! -e $F ] || sleep 97; >$F")
    for client in clients.values():
        client.eventually(partial(runs, client, "sleep", "97"))
        spec = client.specs["c"]
        begun = time.monotonic()
        os.kill(prober(client), signal.SIGKILL)
        (reason,) = client.close((spec, "w1")).refused.values()
        assert "ended" in reason
        print(client.shell, f"told {time.monotonic() - begun:.2f} s later")
        assert client.results(spec)["c"].state is State.LOST


def test_a_guard_that_is_killed_is_replaced_and_the_limit_of_a_sample_holds(
    clients: dict[str, Client],
) -> None:
    """While the window is asked for: nobody else looks after it."""
    sampling(clients, "[ ! -e $F ] || { rm $F; sleep 97; }", sample_timeout_s=3.0)
    for client in clients.values():
        os.kill(guard(client), signal.SIGKILL)
        file_of(client).touch()
        client.eventually(partial(runs, client, "sleep", "97"))
    for client in clients.values():
        spec = client.specs["c"]
        seen = client.seen(spec, "w1")
        assert [outage.rc for outage in seen.outages] == [None]
        assert seen.bad == 1
        assert client.guards(spec)


def test_a_probe_whose_directory_is_removed_ends(clients: dict[str, Client]) -> None:
    sampling(clients, every_s=30)
    for client in clients.values():
        shutil.rmtree(run_of(client) / client.specs["c"].id)
    for client in clients.values():
        spec = client.specs["c"]
        assert client.open((spec, "w2")).refused == {spec.id: "gone"}
        assert client.close((spec, "w1")).refused == {spec.id: "gone"}
        nothing_runs(client)


def test_a_prober_that_is_stopped_for_some_seconds_leaves_a_gap(clients: dict[str, Client]) -> None:
    sampling(clients)
    for client in clients.values():
        stop(client)
    time.sleep(3)
    for client in clients.values():
        spec = client.specs["c"]
        assert client.close((spec, "w1"), expire_s=1).refused == {
            spec.id: "its prober was stopped or is stuck"
        }
        os.kill(prober(client), signal.SIGCONT)
        takes(client, 2)
        seen = client.seen(spec, "w1")  # it was closed by the request that had no answer
        assert (seen.bad, seen.outages) == (0, ())
        assert max(gap.length for gap in seen.gaps) > 2.5
        assert seen.gaps[-1].end == pytest.approx(seen.length)
        assert client.life(spec).unproven_s >= seen.unproven_s


def test_a_probe_runs_between_two_samples(clients: dict[str, Client]) -> None:
    sampling(clients, every_s=30)
    for client in clients.values():
        for at_end in (False, True):
            ask = partial(requests.await_request, proof=True, at_end=at_end)
            reply = client.ask(ask, 10, [client.specs["c"]])
            assert (reply.reports, reply.refused) == ((), {})


def test_what_others_write_to_a_prober_changes_nothing(clients: dict[str, Client]) -> None:
    sampling(clients)
    lines = [
        "", "open", "open $(touch HARM) 5", "open * 5", "open w2 x", "open w2 08", "open w2 -5",
        "open " + "w" * 100 + " 5", "open a/../w 5", "close w1", "close w1 x y",
        "close w1 5 ../HARM", "close nowhere 5 call", "end", "end now", ".", "..", "timer",
        "x" * 5000, "open w2 5 6 7", "open _ 5", "close _ 5 call", "\\101 \x01 \xff",
        "a=(1) `touch HARM`", "open w-1 5",
    ]  # fmt: skip
    for client in clients.values():
        job = run_of(client) / client.specs["c"].id
        with job.joinpath("ask").open("r+b", buffering=0) as ask:
            for line in lines:
                ask.write(line.encode("latin-1") + b"\n")
            ask.write(b"\n\nno end")
    for client in clients.values():
        spec = client.specs["c"]
        # In zsh a line that has begun is waited for: until a request writes the next one.
        assert client.open((spec, "w3")).opened == {(spec.id, "w3")}
        takes(client, 3)
        assert client.seen(spec, "w1").samples > 3
        assert client.seen(spec, "w3").samples >= 1
        assert not list(client.base.rglob("HARM"))


def test_a_sample_that_fills_the_fifo_of_its_prober_is_ended_with_its_probe(
    clients: dict[str, Client],
) -> None:
    kibibyte = "y" * 1023  # and its newline; a FIFO holds 64 of these
    fills = (
        "cd {}/*/*/$PYTEST_BGCHECK_JOB && n=0 && while :; do"
        f" echo {kibibyte}; n=$((n + 1)); [ $n != 64 ] || : >full.by.sample; done >ask"
    )
    for client in clients.values():
        client.start(client.probe("c", fills.format(client.base), every_s=0.1, grace_s=0.5))
    for client in clients.values():
        full = run_of(client) / client.specs["c"].id / "full.by.sample"
        client.eventually(full.exists)
        client.ask(requests.cancel_request, [client.specs["c"]])
    for client in clients.values():
        assert client.results(client.specs["c"])["c"].state is State.CANCELLED
        nothing_runs(client)


def test_files_that_a_sample_has_changed_harm_no_other_job(clients: dict[str, Client]) -> None:
    """What it loses is its own: what was seen is not known, or has gaps, and never is a guess."""
    harm = {
        "sample": "rm -f sample; echo 1 $(id) 5 >sample",
        "forged": "echo 1 1 1 >sample; echo 0 0 5 >sample",
        "pipes": "[ -p counts ] || { rm -f sample counts outages; mkfifo sample counts outages; }",
        "directories": "rm -f sample counts outages out err; mkdir sample counts outages out err",
        "counts": "echo 9 9 0 >counts; echo 'outage 1 2 3' >outages",
        "links": "rm -f out err counts; ln -s /dev/full out; ln -s / err; ln -s /dev/zero counts",
        "window": "rm -f window.*; for w in w1 w2; do mkdir window.$w; done",
    }
    for client in clients.values():
        for kind, command in harm.items():
            client.probe(kind, f"cd {client.base}/*/*/$PYTEST_BGCHECK_JOB && {{ {command}; }}; :",
                         every_s=1, sample_timeout_s=5.0)  # fmt: skip
        client.probe("well", "true")
        client.start(*client.specs.values())
    for client in clients.values():
        well = client.specs["well"]
        client.sampled(well)
        client.open(*((spec, "w1") for spec in client.specs.values()))
    time.sleep(2)
    for client in clients.values():
        told = client.close(*((spec, "w1") for spec in client.specs.values()), expire_s=4)
        seen = told.windows[client.specs["well"].id, "w1"]
        assert seen is not None
        assert seen.bad == 0
        for kind in harm:
            window = told.windows.get((client.specs[kind].id, "w1"))
            assert window is None or window.bad == 0, (client.shell, kind)
        reports = client.ask(requests.tail_request, list(client.specs.values())).reports
        assert len(reports) == len(client.specs)
        client.ask(requests.cancel_request, list(client.specs.values()))
    for client in clients.values():
        results = client.results(*client.specs.values())
        assert results["well"].state is State.CANCELLED
        assert results["well"].window is not None
        nothing_runs(client)


def test_a_sample_that_cannot_be_killed_costs_its_guard_nothing(test_user: TestUser) -> None:
    """It has become another user's, as by sudo."""
    program = test_user.home / "become"
    shutil.copy(shutil.which("setpriv") or "", program)
    program.chmod(0o4755)
    become = f"{program} --reuid=0 --regid=0 --clear-groups"
    client = Client(Path("/bin/sh"), test_user.home, user=test_user.uid)
    hangs = f"[ ! -e {test_user.home}/hang ] || exec {become} sleep 25.1; exit 0"
    spec = client.probe("c", hangs, every_s=0.2, sample_timeout_s=1.0)
    client.start(spec)
    client.sampled(spec)
    test_user.home.joinpath("hang").touch()
    client.eventually(lambda: bool(client.processes("sleep\x0025.1")))
    before = client.life(spec)
    time.sleep(3)
    used = -cpu_s(guard(client))
    time.sleep(5)
    used += cpu_s(guard(client))
    print(f"the guard used {1000 * used / 5:.1f} ms a second")
    assert used < 0.5
    assert client.life(spec) == before
    test_user.home.joinpath("hang").unlink()
    for pid in client.processes("sleep\x0025.1"):
        os.kill(pid, signal.SIGKILL)
    takes(client, 2)
    (outage,) = client.life(spec).outages
    assert outage.rc is None
    client.clean()


def cpu_s(pid: int) -> float:
    """Return what a process, and those that it has waited for, have used of the CPU."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
