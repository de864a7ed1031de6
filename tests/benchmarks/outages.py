"""What probes measure of outages whose true length is known, and what the tests made of it."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.machines.machine import run_checked
from support.machines.planted import PlantedService
from support.machines.requirements import tool

from .commands import Failed, measured
from .lab import Lab, clean_environment

NAME = "outages"
TITLE = "Outages planted under probes that take a sample each 0.2 s"
US = "pytest-bgcheck"
EVERY_S = 0.2
LENGTHS_S = (0.0, 0.4, 2.0, 7.0)
LIMITS_S = (None, 1.0, 5.0)
"""What the tests' marks allow; None: no outage at all. All lengths are clear of all of them."""

EACH = 20
"""How many of each length on each kind of target."""

SILENT_S = 1.0
"""The longest that a sample asks a service that takes connections and says nothing."""

_HERE = Path(__file__).parent
_CONFTEST = """
import logging, os
_file = logging.FileHandler(f"log.{os.environ.get('PYTEST_XDIST_WORKER', 'controller')}")
logging.getLogger("pytest_bgcheck").addHandler(_file)
logging.getLogger("pytest_bgcheck").setLevel(logging.DEBUG)
"""
"""Has each process of a run write down its calls to the targets."""


@dataclass(frozen=True)
class Outage:
    """One that is to be planted. ``case``: what is told of it; ``service``: the probe's name."""

    case: str
    service: str
    seconds: float
    limit_s: float | None
    silent: bool

    @property
    def verdict(self) -> str:
        """What a test has to make of it."""
        return "down" if self.seconds > (self.limit_s or 0.0) else "passed"


def run(lab: Lab) -> None:
    tool("curl", "curl")
    each = lab.repeats(EACH, 2)
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(PlantedService())
            for name in ("local_1", "local_2", "ssh_1", "ssh_2", "ssh_silent")
        }
        sample_s = max(_sample_s(services["local_1"]) for _ in range(20))
        outages = list(_outages(each, lab.repeats(5, 1)))
        try:
            found = _run(lab, services, outages)
        except Failed as error:
            raise LookupError(f"the run was not done: {error}") from error
    _tell(lab, outages, found, sample_s)


def _outages(each: int, silent: int) -> Iterator[Outage]:
    for number in range(each):
        for length_s in LENGTHS_S:
            limit_s = LIMITS_S[number % len(LIMITS_S)]
            for case in ("local", "ssh"):
                yield Outage(case, f"{case}_{1 + number % 2}", length_s, limit_s, False)
    for _ in range(silent):
        for length_s, limit_s in ((2.0, 5.0), (7.0, 5.0)):
            yield Outage("ssh, silent", "ssh_silent", length_s, limit_s, True)


def _command(service: PlantedService) -> str:
    return f"curl -fsS -o /dev/null -m {SILENT_S:g} http://127.0.0.1:{service.port}/"


def _sample_s(service: PlantedService) -> float:
    """Return what one sample takes while the service is up."""
    begun = time.monotonic()
    run_checked("/bin/sh", "-c", _command(service))
    return time.monotonic() - begun


@dataclass(frozen=True)
class Found:
    """What became of one outage: when it was, its test's verdict, and what its probe saw."""

    true_s: float
    verdict: str
    window: Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """Of a run: what became of each outage, by its number, and the calls for windows, by kind."""

    found: Mapping[int, Found]
    calls: Counter[str]


def _run(lab: Lab, services: Mapping[str, PlantedService], outages: list[Outage]) -> Results:
    with lab.scratch() as directory:
        for name in services:
            shutil.copyfile(_HERE / "suites/outages.py", directory / f"test_{name}.py")
        (directory / "conftest.py").write_text(_CONFTEST)
        (directory / "pytest.ini").write_text("[pytest]\nmarkers =\naddopts = -q\n")
        told = {
            "every_s": EVERY_S,
            "planted": str(directory / "planted"),
            "services": {
                name: {
                    "command": _command(service),
                    "control_port": service.control_port,
                    "host": "local://" if name.startswith("local") else lab.ssh.hosts,
                }
                for name, service in services.items()
            },
            "outages": [
                {
                    "service": outage.service,
                    "seconds": outage.seconds,
                    "silent": outage.silent,
                    "limits": {} if outage.limit_s is None else {"max_outage": outage.limit_s},
                    # So that they begin anywhere between two samples.
                    "before_s": 0.4 + random.random() * EVERY_S,
                    "after_s": 0.6 + SILENT_S * outage.silent,
                }
                for outage in outages
            ],
        }
        environment = {
            **clean_environment(),
            "BENCH_OUTAGES": json.dumps(told),
            "PYTHONPATH": str(_HERE.parent),
        }
        argv = [
            *(sys.executable, "-m", "pytest", f"-n{len(services)}", "--dist=loadfile"),
            *(f"--ssh-config={lab.ssh.ssh_config}", "--bgcheck-report=r.json", "--junitxml=j.xml"),
        ]
        # Tests fail: that is what is asked of them.
        measured(argv, directory, environment, accepted=(0, 1))
        return _results(directory)


def _results(directory: Path) -> Results:
    planted = {
        number: ended - began
        for number, began, ended in map(
            json.loads, (directory / "planted").read_text().splitlines()
        )
    }
    verdicts = _verdicts(directory / "j.xml")
    windows = _windows(json.loads((directory / "r.json").read_text()))
    found = {
        number: Found(true_s, verdicts.get(number, "not run"), windows.get(number, {}))
        for number, true_s in planted.items()
    }
    return Results(found, _calls(directory))


def _verdicts(junit: Path) -> dict[int, str]:
    """Return what each test made of its outage, by its number: passed, down, or what else it said.

    A failed one says it in the first line of its message.
    """
    found = {}
    for case in ET.parse(junit).iter("testcase"):
        number = _number(case.attrib["name"])
        bad = [part.attrib["message"] for part in case if part.tag in ("failure", "error")]
        said = bad[0].splitlines()[0] if bad else "passed"
        found[number] = "down" if ": down for " in said else said
    return found


def _windows(document: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return what was seen in each test's window, by its outage's number."""
    return {
        _number(window["test"]): window["seen"] or {}
        for job in document["jobs"]
        for window in job["windows"]
    }


def _number(test: str) -> int:
    found = re.search(r"\[(\d+)\]", test)
    assert found is not None, test
    return int(found[1])


def _calls(directory: Path) -> Counter[str]:
    """Return the calls that the processes made from their first window to their last, by kind."""
    calls: Counter[str] = Counter()
    for log in directory.glob("log.*"):
        kinds = re.findall(r"^(\S+) on .*: asked, ", log.read_text(), re.M)
        if "open" in kinds:
            last = len(kinds) - kinds[::-1].index("close")
            calls.update(kinds[kinds.index("open") : last])
    return calls


def _tell(lab: Lab, outages: list[Outage], results: Results, sample_s: float) -> None:
    record = lab.record
    windows, right, late, early, beyond_told = 0, 0, [], [], []
    for number, outage in enumerate(outages):
        found = results.found.get(number)
        if found is None or found.window.get("max_outage_s") is None:
            said = "its test did not come to its end" if found is None else found.verdict
            record.note(NAME, f"{outage.case}, {outage.seconds:g} s, was not measured: {said}")
            continue
        windows += 1
        if found.verdict == outage.verdict:
            right += 1
        else:
            record.note(NAME, f"Wrong: {outage} was {found.true_s:.3f} s long: {found.verdict}")
        longest_s = SILENT_S + sample_s if outage.silent else sample_s
        more_s = found.window["max_outage_s"] - found.true_s
        late.append(more_s - longest_s)
        early.append(-more_s - longest_s)
        measure = f"{outage.seconds:g} s: measured less true"
        record.add(NAME, outage.case, US, measure, "s", more_s)
        apart_s = found.window["resolution_s"]
        beyond_told.append(abs(more_s) - longest_s - apart_s)
        record.add(NAME, outage.case, US, "from sample to sample, at most", "s", apart_s)
    if not windows:
        raise LookupError("no outage was measured")
    record.note(
        NAME,
        f"A sample is a curl, which took up to {sample_s * 1000:.0f} ms of a service that is up,"
        f" and {SILENT_S:g} s of one that is silent.",
    )
    of_all = f"of {len(outages)}"
    for what, allowed_s, beyond in (
        ("at most true + 2 x every + one sample", 2 * EVERY_S, late),
        ("at least true - every - one sample", EVERY_S, early),
    ):
        within = sum(s <= allowed_s for s in beyond)
        worst = f"the worst: {max(beyond):.2f} s and a sample"
        told = f"{within} {of_all}; {worst} (allowed: {allowed_s:g} s)"
        record.aim(NAME, f"measured {what}", told, within == len(outages))
    told_right = sum(s <= 0 for s in beyond_told)
    record.aim(
        NAME,
        "as true as the failure says: to the time between two samples and one sample",
        f"{told_right} {of_all}",
        told_right == len(outages),
    )
    record.aim(NAME, "each verdict right", f"{right} {of_all}", right == len(outages))
    # That is no window's: it stands all the time, to hear that a job has ended, and is renewed.
    waits = results.calls.pop("await", 0)
    calls = sum(results.calls.values())
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(results.calls.items()))
    record.aim(
        NAME,
        "at most two calls a window",
        f"{calls / windows:.2f} ({windows} windows: {told}; and {waits} of the wait that stands)",
        calls <= 2 * windows,
    )
