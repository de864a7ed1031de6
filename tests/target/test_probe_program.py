"""A probe takes its samples, one after the other, whatever they do: under every shell."""

import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from support.supervisor_client import Client, nothing_runs, run_of

from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests

pytestmark = pytest.mark.once


def has_seen(client: Client, name: str, good: int = 0, bad: int = 0) -> bool:
    """Return whether a probe has seen so many samples."""
    life = client.life(client.specs[name])
    return life.good >= good and life.bad >= bad


def send(signum: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a sample that has ended
            os.kill(pid, signum)


def down_of(client: Client) -> Path:
    return client.base / f"{client.run}.down"


def test_samples_are_taken_at_their_interval_and_counted_by_what_they_say(
    clients: dict[str, Client],
) -> None:
    for client in clients.values():
        fails = f"! [ -e {down_of(client)} ] || {{ echo first; echo oops; exit 3; }}"
        looks = client.probe("looks", fails, every_s=0.2)
        accepts = client.probe("accepts", "exit 7", every_s=0.2, rc=frozenset({0, 7}))
        client.start(looks, accepts)
    for client in clients.values():
        looks, accepts = client.specs.values()
        client.sampled(looks, accepts)
        asked = {(looks, "w1"), (accepts, "w2")}
        assert client.open(*asked).opened == {(spec.id, window) for spec, window in asked}
    time.sleep(0.5)
    for client in clients.values():
        down_of(client).touch()
        client.eventually(partial(has_seen, client, "looks", bad=2))
        down_of(client).unlink()
    for client in clients.values():
        looks, accepts = client.specs.values()
        good = client.life(looks).good
        client.eventually(partial(has_seen, client, "looks", good=good + 1))
        seen = client.seen(looks, "w1")
        (outage,) = seen.outages
        assert (outage.rc, outage.last_line) == (3, "oops")
        assert 0.15 < outage.length < seen.length
        assert seen.good >= 2
        assert seen.bad >= 2
        assert seen.resolution_s > 0.19
        other = client.seen(accepts, "w2")
        assert (other.samples, other.bad) == (other.good, 0)
        client.ask(requests.cancel_request, [looks, accepts])
    for client in clients.values():
        results = client.results(*client.specs.values())
        assert {result.state for result in results.values()} == {State.CANCELLED}
        window = results["looks"].window
        assert window is not None
        assert [o.last_line for o in window.outages] == ["oops"]
        nothing_runs(client)
        assert not list(run_of(client).glob("reply.*"))


def test_each_outage_of_its_whole_life_is_told_also_one_that_is_not_the_longest(
    clients: dict[str, Client],
) -> None:
    for client in clients.values():
        counter = client.base / f"{client.run}.counter"
        counter.write_text("1\n")
        counts = f"read n <{counter}; echo $((n + 1)) >{counter}; case $n in"
        spec = client.probe("flaps", f"{counts} 2|3|4|6) exit $n ;; esac", every_s=0.1)
        client.start(spec)
    for client in clients.values():
        client.eventually(partial(has_seen, client, "flaps", good=5, bad=4))
        life = client.life(client.specs["flaps"])
        assert life.outage_count == 2
        assert [outage.rc for outage in life.outages] == [2, 6]


HOSTILE = "outage 1 2 3 $(id) `id` * ; \\ \\101 '\" ."


def test_each_end_of_a_sample_is_told_as_it_was(clients: dict[str, Client]) -> None:
    ends = {
        "rc": ("echo said; echo not this >&2; exit 3", 3, "said"),
        "highest": ("echo said >&2; echo >&2; exit 255", 255, "said"),
        "TERM": ("echo said; kill -TERM $$", 143, "said"),
        "KILL": ("kill -KILL $$", 137, ""),
        # Without setsid it is ignored.
        "INT": ("command -v setsid >/dev/null || exit 130; kill -INT $$", 130, ""),
        "long": ("head -c 5000 /dev/zero | tr '\\000' x; exit 1", 1, "x" * 200),
        "hostile": (f"cat <<'E'\n{HOSTILE}\nE\nexit 1", 1, HOSTILE),
    }  # fmt: skip
    for client in clients.values():
        client.start(*(client.probe(name, end[0], every_s=30) for name, end in ends.items()))
        client.start(client.probe("bytes", "printf '\\377\\300\\000\\033 end\\r\\n \\n'; exit 4"))
    for client in clients.values():
        client.sampled(*client.specs.values())
        (outage,) = client.life(client.specs["bytes"]).outages
        assert outage.rc == 4
        # A yash has no room in a variable for what is no text.
        lost = "" if client.shell.endswith("bare-yash/yash/sh") else "\x1b end"
        assert outage.last_line.endswith(lost), client.shell
        for name, (_, rc, text) in ends.items():
            life = client.life(client.specs[name])
            (outage,) = life.outages
            assert (life.samples, outage.rc, outage.last_line) == (1, rc, text), client.shell


def test_a_sample_that_could_not_look_is_not_taken(clients: dict[str, Client]) -> None:
    """As a program that is not there, or says so by the same exit code."""
    for client in clients.values():
        down = down_of(client)
        missing = client.probe("missing", f"[ ! -e {down} ] || exec ./nothing-here", every_s=0.2)
        says = client.probe("says", f"[ ! -e {down} ] || exit 126", every_s=0.2)
        accepted = client.probe("accepted", "exit 127", every_s=0.2, rc=frozenset({127}))
        client.start(missing, says, accepted)
        client.sampled(missing, says, accepted)
        down.touch()
    for client in clients.values():
        for name in ("missing", "says"):
            client.eventually(partial(has_gap, client, name))
        samples = [client.life(client.specs[name]).samples for name in ("missing", "says")]
        down_of(client).unlink()
        for name, before in zip(("missing", "says"), samples, strict=True):
            client.eventually(partial(has_seen, client, name, good=before + 1))
            life = client.life(client.specs[name])
            assert (life.bad, life.outages) == (0, ())
        life = client.life(client.specs["accepted"])
        assert life.good == life.samples >= 2


def has_gap(client: Client, name: str) -> bool:
    return client.life(client.specs[name]).gap_count > 0


def test_a_sample_begins_as_a_check_does(clients: dict[str, Client]) -> None:
    """With the same variables, directory and signals, and no file open but its own three."""
    tells = (
        "env | grep -v -e ^PYTEST_BGCHECK_JOB= -e ^SHLVL= -e ^_=; umask; pwd;"
        " grep ^SigIgn /proc/$$/status; ls /proc/$$/fd; set -- $(cat /proc/$$/stat);"
        ' [ "$1 $1" = "$5 $6" ] && echo leader; [ ! -t 0 ] && wc -c'
    )
    for client in clients.values():
        client.env = {**(client.env or os.environ), "V": "a  $b\n*", "LC_ALL": "C.UTF-8"}
        client.start(client.probe("probe", tells, every_s=30), client.spec("check", tells))
    for client in clients.values():
        expected = client.results(client.specs["check"])["check"].stdout
        client.sampled(client.specs["probe"])
        (report,) = client.ask(requests.tail_request, [client.specs["probe"]]).reports
        told = report.stdout.text()
        assert sorted(told.splitlines()) == sorted(expected.splitlines()), client.shell
        assert "SigIgn" in expected


def test_a_probe_that_never_could_be_run_is_refused_as_a_check_is(
    clients: dict[str, Client],
) -> None:
    for client in clients.values():
        client.start(client.probe("c", "true", cwd=str(client.base / "nowhere")))
    for client in clients.values():
        result = client.results(client.specs["c"])["c"]
        assert (result.state, result.detail) == (
            State.NOT_STARTED,
            "its directory (cwd) does not exist there",
        )
        nothing_runs(client)


def test_one_whose_directory_goes_for_a_while_has_a_gap(local: Client) -> None:
    place = local.base / "place"
    place.mkdir()
    spec = local.probe("c", "true", every_s=0.1, cwd=str(place))
    local.start(spec)
    local.sampled(spec)
    place.rmdir()
    local.eventually(partial(has_gap, local, "c"))
    place.mkdir()
    before = local.life(spec)
    local.eventually(partial(has_seen, local, "c", good=before.good + 2))
    assert local.life(spec).bad == 0


# --- a sample that takes too long -----------------------------------------------------------------

DETACHED = "$(command -v setsid) "
HANGS = {
    "hangs": "exec sleep 95.1",
    "ignores TERM": "trap '' TERM HUP INT; sleep 95.1; sleep 95.1",
    "forks": "for n in 1 2 3 4 5 6 7 8 9; do (while :; do sleep 95.1; done) & done; wait",
    "leaves its session": f"{DETACHED}sleep 95.1 & sleep 95.1",
    "is stopped": "kill -STOP $$; sleep 95.1",
}


TWICE = 'echo said; n=$(cat $F 2>/dev/null) || n=; echo $n. >$F; [ "$n" = .. ] || {{ {}; }}'


def test_a_sample_that_hangs_is_killed_with_its_tree_and_was_bad(
    clients: dict[str, Client],
) -> None:
    for client in clients.values():
        for kind, command in HANGS.items():
            count = client.base / f"{client.run}.{kind.replace(' ', '')}"
            client.probe(
                kind, TWICE.format(command), sample_timeout_s=3.0, env=(("F", str(count)),)
            )
        client.start(*client.specs.values())
    for client in clients.values():
        for kind in HANGS:
            client.eventually(partial(has_seen, client, kind, good=1))
            life = client.life(client.specs[kind])
            # A busy machine may take longer, or let no sample begin for a while.
            told = {(outage.rc, outage.last_line) for outage in life.outages}
            assert told == {(None, "said")}, (client.shell, kind)
            assert life.bad >= 2
            assert life.down_s > 5.9
        client.ask(requests.cancel_request, list(client.specs.values()))
    for client in clients.values():
        client.results(*client.specs.values())
        nothing_runs(client)


# --- what a sample leaves -------------------------------------------------------------------------


def test_what_a_sample_leaves_running_is_killed_and_there_are_never_two_at_once(
    clients: dict[str, Client],
) -> None:
    """Some targets have no setsid: there is no group of its own that could be asked for at once."""
    alone = "[ ! -e $F ] || exit 9; >$F; sleep 0.5; rm $F"
    for client in clients.values():
        leaves = client.probe("leaves", f"sleep 96.1 & {DETACHED}sleep 96.2 & exit 0", every_s=0.5)
        lock = str(client.base / f"{client.run}.lock")
        overlaps = client.probe("alone", alone, every_s=0.1, env=(("F", lock),))
        client.start(leaves, overlaps)
    for client in clients.values():
        client.eventually(partial(has_seen, client, "leaves", good=20))
        # Of each sample one process at the most, but for what has left its session in 10 s.
        left = client.processes(f"PYTEST_BGCHECK_JOB={client.specs['leaves'].id}")
        assert len(left) < 25, client.shell
        life = client.life(client.specs["alone"])
        assert (life.bad, life.good > 2) == (0, True), client.shell


def test_a_report_has_the_output_of_the_last_sample(clients: dict[str, Client]) -> None:
    for client in clients.values():
        says = client.probe("says", "echo said; echo told >&2; sleep 0.1", every_s=0.3)
        loud = client.probe(
            "loud", "head -c 9000000 /dev/zero | tr '\\000' x; sleep 1", output_limit=1000
        )
        client.start(says, loud)
    for client in clients.values():
        client.eventually(partial(has_seen, client, "says", good=3))
        client.eventually(partial(has_seen, client, "loud", good=2))
        told = set()
        for _ in range(6):
            (report,) = client.ask(requests.tail_request, [client.specs["says"]]).reports
            assert not report.stdout.missing
            told.add((report.stdout.text(), report.stderr.text()))
        assert ("said\n", "told\n") in told, told
        for _ in range(3):
            (report,) = client.ask(requests.tail_request, [client.specs["loud"]]).reports
            assert set(report.stdout.head + report.stdout.tail) <= set(b"x")
            assert len(report.stdout.head) + len(report.stdout.tail) <= 1000
        client.ask(requests.cancel_request, list(client.specs.values()))


def runs(client: Client, words: str) -> bool:
    of_probe = client.processes(f"PYTEST_BGCHECK_JOB={client.run}")
    return any(pid in of_probe for pid in client.processes(words))


def test_a_sample_that_is_ended_with_its_probe_is_not_counted(clients: dict[str, Client]) -> None:
    slow = "[ -e $F ] || { >$F; exit 0; }; sleep 97"
    for client in clients.values():
        count = (("F", str(client.base / f"{client.run}.slow")),)
        client.start(client.probe("slow", slow, every_s=0.1, env=count),
                     client.probe("idle", "true", every_s=60),
                     client.probe("old", "sleep 97.1", every_s=60, timeout_s=3))  # fmt: skip
    for client in clients.values():
        client.sampled(client.specs["slow"], client.specs["idle"])
        client.eventually(partial(runs, client, "sleep\x0097\x00"))
        begun = time.monotonic()
        client.ask(requests.cancel_request, [client.specs["slow"], client.specs["idle"]])
        results = client.results(*client.specs.values())
        print(client.shell, f"ended after {time.monotonic() - begun:.2f} s")
        states = [results[name].state for name in ("slow", "idle", "old")]
        assert states == [State.CANCELLED, State.CANCELLED, State.TIMED_OUT]
        for name, samples in (("slow", 1), ("idle", 1), ("old", 0)):
            window = results[name].window
            assert window is not None
            assert (window.samples, window.bad) == (samples, 0), client.shell
        nothing_runs(client)


# --- all is stopped -------------------------------------------------------------------------------


def test_samples_that_are_stopped_with_all_else_say_nothing_whatever_they_end_with(
    clients: dict[str, Client],
) -> None:
    for client in clients.values():
        held = client.probe("held", "sleep 0.7", every_s=0.1)
        held_too_long = client.probe("long", "sleep 0.7", every_s=0.1, sample_timeout_s=2)
        client.start(held, held_too_long)
    stopped = []
    for client in clients.values():
        client.sampled(*client.specs.values())
        client.open(*((spec, "w") for spec in client.specs.values()))
    for client in clients.values():
        pids = client.processes(client.run)
        send(signal.SIGSTOP, pids)
        stopped += pids
    time.sleep(4)  # the fault itself
    send(signal.SIGCONT, stopped)
    for client in clients.values():
        for name, spec in client.specs.items():
            good = client.life(spec).good
            client.eventually(partial(has_seen, client, name, good=good + 2))
            seen = client.seen(spec, "w")
            assert seen.bad == 0, (name, seen)
            assert seen.unproven_s > 3, (name, seen)
            assert seen.resolution_s < 3, (name, seen)
