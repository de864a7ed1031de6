"""A window of a probe tells what was seen from its opening to its closing: under every shell."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from support.probes import file_of, runs, sampling, takes
from support.supervisor_client import Client, nothing_runs, run_of

from pytest_bgcheck.target import requests

pytestmark = pytest.mark.once


def test_windows_that_overlap_see_each_its_own_time(clients: dict[str, Client]) -> None:
    sampling(clients, "[ ! -e $F ] || exit 3")
    for client in clients.values():
        spec = client.specs["c"]
        takes(client, 2)
        client.open((spec, "w2"))
        file_of(client).touch()
        takes(client, 2)
        down = client.seen(spec, "w2")
        client.open((spec, "w3"), (spec, "w4"))
        file_of(client).unlink()
        takes(client, 3)
        told = client.close((spec, "w1"), (spec, "w3"))
        whole, up = (told.windows[spec.id, window] for window in ("w1", "w3"))
        assert whole is not None
        assert up is not None
        # It was down when its window was closed, and when the next one was opened.
        assert down.outages[-1].end == pytest.approx(down.length)
        assert whole.outage_count >= 1
        assert whole.samples >= down.samples + 2
        assert whole.down_s > down.down_s
        assert all(outage.start == 0 for outage in up.outages[:1])
        assert up.down_s < whole.down_s
        assert client.seen(spec, "w4").good >= up.good


def test_a_sample_under_way_at_either_edge_counts(clients: dict[str, Client]) -> None:
    sampling(clients, "[ ! -e $F ] || { sleep 2; exit 3; }", every_s=0.1)
    for client in clients.values():
        spec = client.specs["c"]
        file_of(client).touch()
        client.eventually(partial(runs, client, "sleep", "2"))
        client.open((spec, "w2"))
        seen = client.seen(spec, "w2")
        # The answer has come behind the sample's end, by which its window was long closed.
        assert (seen.samples, seen.bad) == (1, 1), client.shell
        (outage,) = seen.outages
        assert (outage.start, outage.length) == (0, seen.length)
        assert outage.rc == 3


def test_a_window_without_a_sample_says_so_at_once(clients: dict[str, Client]) -> None:
    sampling(clients, every_s=600)
    for client in clients.values():
        spec = client.specs["c"]
        client.open((spec, "w2"))
        begun = time.monotonic()
        seen = client.seen(spec, "w2")
        print(client.shell, f"closed within {1000 * (time.monotonic() - begun):.0f} ms")
        assert (seen.samples, seen.outages, seen.gaps) == (0, (), ())
        assert client.seen(spec, "w1").samples == 0


def test_requests_that_are_repeated_change_nothing(clients: dict[str, Client]) -> None:
    sampling(clients)
    for client in clients.values():
        spec = client.specs["c"]
        takes(client, 2)
        asked = client.open((spec, "w1"), (spec, "w2"), (spec, "w2"))
        assert asked.opened == {(spec.id, "w1"), (spec.id, "w2")}
        seen = client.seen(spec, "w1")
        assert seen.samples >= 3
        assert client.open((spec, "w1")).opened == {(spec.id, "w1")}
        takes(client, 2)
        assert client.seen(spec, "w1") == seen
        client.ask(requests.cancel_request, [spec])
        client.results(spec)
        assert client.seen(spec, "w1") == seen
        assert client.close((spec, "w2")).refused == {spec.id: "it has ended"}


def test_what_is_no_window_is_refused(clients: dict[str, Client]) -> None:
    for client in clients.values():
        check = client.spec("check", "sleep 91")
        client.start(check, client.probe("c", "true"))
        spec = client.specs["c"]
        client.sampled(spec)
        assert client.open((check, "w1")).refused == {check.id: "it is no probe"}
        assert client.close((check, "w1")).refused == {check.id: "it is no probe"}
        (reason,) = client.close((spec, "nowhere")).refused.values()
        assert reason.startswith("the window was not open")
        odd = client.ask(requests.open_request, [(spec, "../w")])
        assert odd.refused == {"*": "a window is named with letters and digits"}
        assert client.life(spec).bad == 0


def test_the_201st_window_is_refused(clients: dict[str, Client]) -> None:
    for shell in set(clients) - {"dash", "mksh", "zsh", "bare yash"}:
        del clients[shell]
    sampling(clients, every_s=1)
    for client in clients.values():
        spec = client.specs["c"]
        windows = [(spec, f"n{number}") for number in range(199)]
        assert len(client.open(*windows).opened) == 199
        client.eventually((run_of(client) / spec.id / "full").exists)
        refused = {spec.id: "200 of its windows are open"}
        assert client.open((spec, "more")).refused == refused
        told = client.close(*windows[:150]).windows
        assert all(told.get((spec.id, window)) for _, window in windows[:150])
        assert client.open((spec, "more")).opened == {(spec.id, "more")}
        takes(client, 1)
        assert client.seen(spec, "more").samples >= 1
        told = client.close(*windows[150:]).windows
        assert len(told) == 49
        assert client.seen(spec, "w1").samples >= 2


def test_closing_leaves_no_process_and_no_file_but_what_was_seen(
    clients: dict[str, Client],
) -> None:
    sampling(clients)
    for client in clients.values():
        spec = client.specs["c"]
        client.seen(spec, "w1")
        assert not list(run_of(client).glob("reply.*"))
        job = run_of(client) / spec.id
        assert [path.name for path in job.glob("window.*")] == ["window.w1"]
        client.ask(requests.cancel_request, [spec])
        client.results(spec)
        nothing_runs(client)


def test_a_window_that_is_closed_while_the_probe_ends_is_told_or_refused(
    clients: dict[str, Client],
) -> None:
    sampling(clients, "sleep 0.5", every_s=0.1)
    with ThreadPoolExecutor() as pool:
        for client in clients.values():
            takes(client, 2)
            spec = client.specs["c"]
            closing = pool.submit(client.close, (spec, "w1"))
            client.ask(requests.cancel_request, [spec])
            reply = closing.result()
            window = reply.windows.get((spec.id, "w1"))
            assert window is not None or reply.refused, reply
            assert client.results(spec)["c"].window is not None
