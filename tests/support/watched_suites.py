"""Suites whose probes see what their tests plant: a probe is good as long as a file is there."""

from pathlib import Path
from typing import Any

import pytest

HELP = """
import os, pathlib, shutil, signal, time, unittest

def eventually(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def seen(name):
    "What the samples of a probe have seen so far: 0 is good."
    try:
        return pathlib.Path("seen." + name).read_text().split()
    except FileNotFoundError:
        return []

def look(name, what, samples=1):
    "Wait until so many more samples have seen it."
    before = len(seen(name))
    eventually(lambda: seen(name)[before:].count(what) >= samples)

def goes_down(name, samples=1):
    os.remove("up." + name)
    look(name, "1", samples)

def goes_up(name):
    pathlib.Path("up." + name).touch()
    look(name, "0")

def fails(name, samples=1):
    goes_down(name, samples)
    goes_up(name)

def send(number, job, *kinds):
    "Send a signal to the prober of a probe (run), or to its guard (guard)."
    words = {f"{kind}:{job.id}".encode() for kind in kinds}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if words & set((entry / "cmdline").read_bytes().split(b"\\0")):
                os.kill(int(entry.name), number)
        except OSError:
            pass  # it has ended meanwhile
"""


def probe(folder: Path, name: str, more: str = "") -> str:
    """Return the line of a suite that declares a probe, which sees its file in the folder.

    ``more``: other arguments.
    """
    (folder / f"up.{name}").touch()
    command = (
        f"[ -e up.{name} ]; seen=$?; echo $seen >>seen.{name};"
        f" [ $seen = 0 ] || echo {name} is down; exit $seen"
    )
    given = ", ".join(filter(None, [f"host='local://', cwd={str(folder)!r}", more]))
    every = "" if "every=" in more else ", every=0.1"
    return f"{name} = background_probe({command!r}, {given}{every})\n"


NAMED = "background probe '{}' on local"


def suite(pytester: pytest.Pytester, probes: str, tests: str) -> str:
    return HELP + "".join(probe(pytester.path, name) for name in probes.split()) + tests


def windows(document: Any, name: str) -> list[Any]:
    (job,) = (job for job in document["jobs"] if job["name"] == name)
    found: list[Any] = job["windows"]
    return found
