"""Probes on targets whose supervisor the tests speak to themselves."""

import os
import signal
from functools import partial
from pathlib import Path

from support.supervisor_client import Client, run_of


def sampling(clients: dict[str, Client], command: str = "true", **given: object) -> None:
    """Start a probe on each target, ``$F`` being a file of its own, and open a window of it.

    Its first sample is over by then.
    """
    for client in clients.values():
        env = (("F", str(file_of(client))),)
        client.start(client.probe("c", command, **({"every_s": 0.2, "env": env} | given)))
    for client in clients.values():
        spec = client.specs["c"]
        client.sampled(spec)
        assert client.open((spec, "w1")).opened == {(spec.id, "w1")}


def file_of(client: Client) -> Path:
    return client.base / f"{client.run}.file"


def has_taken(client: Client, samples: int, name: str = "c") -> bool:
    return client.life(client.specs[name]).samples >= samples


def takes(client: Client, samples: int, name: str = "c") -> None:
    """Wait until a probe has taken so many samples more than it has by now."""
    samples += client.life(client.specs[name]).samples
    client.eventually(partial(has_taken, client, samples, name))


def prober(client: Client, name: str = "c") -> int:
    """Return the process id of a probe's prober."""
    return _process(client, name, 5)


def guard(client: Client, name: str = "c") -> int:
    return _process(client, name, 6)


def _process(client: Client, name: str, place: int) -> int:
    (state,) = (run_of(client) / client.specs[name].id).glob("state.run.*")
    return int(state.name.split(".")[place])


def runs(client: Client, *words: str) -> bool:
    """Return whether a job of this target runs a program with these words."""
    of_jobs = client.processes(f"PYTEST_BGCHECK_JOB={client.run}")
    return any(pid in of_jobs for pid in client.processes("\0".join([*words, ""])))


def stop(client: Client) -> None:
    """Stop a prober between two samples."""
    job = run_of(client) / client.specs["c"].id
    for _ in range(1000):
        pid = prober(client)
        os.kill(pid, signal.SIGSTOP)
        if job.joinpath("sample").read_text().startswith("0 0 "):
            return
        os.kill(pid, signal.SIGCONT)
        client.eventually(lambda: job.joinpath("sample").read_text().startswith("0 0 "))
    raise AssertionError("it is always in a sample")
