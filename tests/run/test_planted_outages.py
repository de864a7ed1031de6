"""Outages whose true length is known, here and over ssh: what was measured, and the verdicts."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import json_report
from support.machines import SSHServer
from support.suites import run

EVERY_S = 0.2

# The same on every Python.
pytestmark = pytest.mark.once

# Each sample notes, by the clock that the target itself goes by, when it looked and what it saw.
SUITE = """
import json, os, pathlib, time
from pytest_bgcheck import background_probe

FOLDER = pathlib.Path(__file__).parent
BOTH = ("local://", "ssh://target")
LOOKS = (
    'read -r at rest </proc/uptime; [ -e up ]; seen=$?;'
    ' echo "$at $seen" >>seen.{0}.${{SSH_CONNECTION:+ssh}}; exit $seen'
)
strict = background_probe(LOOKS.format("strict"), every=EVERY_S, host=BOTH, cwd=str(FOLDER))
loose = background_probe(LOOKS.format("loose"), every=EVERY_S, host=BOTH, cwd=str(FOLDER))

def uptime_s():
    return time.clock_gettime(time.CLOCK_BOOTTIME)

def planted(seconds):
    opened = uptime_s()
    time.sleep(0.7)
    began = ended = uptime_s()
    if seconds:
        (FOLDER / "up").rename(FOLDER / "down")
        time.sleep(seconds)
        (FOLDER / "down").rename(FOLDER / "up")
        ended = uptime_s()
    time.sleep(0.7)
    with open(FOLDER / "planted", "a") as file:
        print(json.dumps([opened, began, ended, uptime_s()]), file=file)

@pytest.mark.bgcheck("strict")
@pytest.mark.bgcheck("loose", max_outage=1)
def test_none():
    planted(0)

@pytest.mark.bgcheck("loose", max_outage=2)
@pytest.mark.bgcheck("strict")
def test_short():
    planted(0.4)

@pytest.mark.bgcheck("strict", max_outage=1)
@pytest.mark.bgcheck("loose", max_outage=5)
def test_medium():
    planted(2)

@pytest.mark.bgcheck("strict", max_outage=5)
@pytest.mark.bgcheck("loose", min_available=99)
def test_long():
    planted(7)
"""

DOWN = {
    "test_none": [],
    "test_short": ["strict"],
    "test_medium": ["strict"],
    "test_long": ["strict", "loose"],
}
"""The probes that have to fail each test."""


def test_outages_are_measured_and_each_verdict_that_is_clear_is_right(
    pytester: pytest.Pytester, own_tmpdir: Path, ssh_server: SSHServer
) -> None:
    folder = pytester.path
    (folder / "up").touch()
    options = [f"--ssh-config={ssh_server.client_config}", f"--bgcheck-dir={own_tmpdir}"]
    result = run(pytester, "--bgcheck-report=r.json", "--bgcheck-order=keep", "-pno:xdist",
                 *options, test_it=SUITE.replace("EVERY_S", str(EVERY_S)))  # fmt: skip
    result.assert_outcomes(passed=1, failed=3)
    windows = {
        (job["host"], job["name"], window["test"].rpartition("::")[2]): window
        for job in json_report.read(pytester)["jobs"]
        for window in job["windows"]
    }
    planted = map(json.loads, (folder / "planted").read_text().splitlines())
    for (test, down), times in zip(DOWN.items(), planted, strict=True):
        for host, there in (("local", ""), ("ssh://target", "ssh")):
            for name in ("strict", "loose"):
                window = windows.pop((host, name, test))
                looks = (folder / f"seen.{name}.{there}").read_text().splitlines()
                print(host, name, test, times, window)
                compare(window["seen"], times, looks)
                assert window["verdict"] == ("beyond limits" if name in down else "within limits")
    assert not windows


def compare(
    seen: "dict[str, Any]",
    planted: "tuple[float, float, float, float]",
    looks: "list[str]",
) -> None:
    """Compare what a window tells with the planted outage, and with what its samples saw.

    ``planted``: when the test's body and its outage began and ended, by the target's clock;
    ``looks``: when each sample of the probe looked, and what it saw.
    """
    opened, began, ended, closed = planted
    times = [(float(at), saw != "0") for at, saw in map(str.split, looks)]
    within = [(at, down) for at, down in times if opened <= at <= closed]
    downs = sum(down for _, down in within)
    assert seen["bad"] == downs
    # The window is a moment longer than the body, at both ends.
    assert len(within) <= seen["samples"] <= seen["length_s"] / EVERY_S + 2
    assert seen["outage_count"] == bool(downs)
    # Whatever else the computer does: a sample that is late is late in both.
    apart_s = max(EVERY_S, *(b - a for (a, _), (b, _) in pairwise(within)))
    assert downs or ended - began < apart_s + 0.1
    assert abs((seen["max_outage_s"] or 0.0) - (ended - began)) <= 2 * apart_s + 0.1
