"""A probe takes its samples, one after the other, whatever they do: under every shell."""

import time
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
