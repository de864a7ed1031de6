"""Runs with probes of which nobody knows what they have seen, or not all of it."""

import re

import pytest
from support import json_report
from support.suites import failures, outcomes, run
from support.watched_suites import NAMED, probe, suite, windows

pytestmark = pytest.mark.usefixtures("own_tmpdir")

UNPROVEN = """
@pytest.mark.bgcheck("rare", max_outage=60)
def test_no_sample():
    pass

@pytest.mark.bgcheck("a", max_outage=60)
def test_killed(a):
    send(signal.SIGKILL, a, "run")

@pytest.mark.bgcheck("a")
def test_after_that():
    open("body", "w")

@pytest.mark.bgcheck("b", max_outage=60)
def test_killed_with_its_guard(b):
    fails("b")
    send(signal.SIGKILL, b, "run", "guard")
    assert 1 == 2, "its own"

@pytest.mark.bgcheck("c", max_outage=60)
def test_removed(c):
    for directory in pathlib.Path(os.environ["TMPDIR"]).glob("pytest-bgcheck-*/*/" + c.id):
        directory.rename("gone")
        shutil.rmtree("gone", ignore_errors=True)  # its prober may write there for a moment

@pytest.mark.bgcheck("d", max_outage=0.5)
def test_stopped_for_too_long(d):
    send(signal.SIGSTOP, d, "run")
    time.sleep(2.5)  # what is planted
    send(signal.SIGCONT, d, "run")
    look("d", "0")

@pytest.mark.bgcheck("e", max_outage=60)
def test_stopped_for_less_than_is_allowed(e):
    send(signal.SIGSTOP, e, "run")
    time.sleep(2.5)
    send(signal.SIGCONT, e, "run")
    look("e", "0")

@pytest.mark.bgcheck("f", max_outage=60)
def test_still_stopped(f):
    send(signal.SIGSTOP, f, "run")

@pytest.mark.bgcheck("g", max_outage=60)
def test_ended_by_the_test(g):
    assert g.stop().state == "stopped"

@pytest.mark.bgcheck("far", "h")
def test_not_opened():
    open("body", "w")

@pytest.mark.bgcheck("far")
@pytest.mark.xfail
def test_not_opened_as_expected():
    open("body", "w")

@pytest.fixture(autouse=True)
def goes_on(request):
    yield
    if request.node.name == "test_still_stopped":
        send(signal.SIGCONT, request.getfixturevalue("f"), "run")
"""

FAR = """
from dataclasses import replace
from pytest_bgcheck.target.watching import Watching

opens, closes = Watching.open, Watching.close

def open_but_far(self, probes):
    return [
        replace(window, not_proven="no answer in 30 s") if window.record.name == "far" else window
        for window in opens(self, probes)
    ]

def close(self, opened):
    with open("closed", "a") as file:
        print(*(window.record.name for window in opened), file=file)
    return closes(self, opened)

Watching.open, Watching.close = open_but_far, close
"""
"""A conftest: the windows of the probe ``far`` cannot be opened."""


def test_what_is_not_proven_fails_the_test_and_says_why(pytester: pytest.Pytester) -> None:
    folder = pytester.path
    text = suite(pytester, "a b c d e g h far", "")
    text += probe(folder, "f", "timeout=0.5") + probe(folder, "rare", "every=60") + UNPROVEN
    result = run(
        pytester,
        "-rA",
        "--junitxml=j.xml",
        "--bgcheck-report=r.json",
        "--bgcheck-order=keep",
        "-pno:xdist",
        conftest=FAR,
        test_it=text,
    )
    told = failures(pytester)
    messages = {test: message.partition("\n")[0] for test, (message, _) in told.items()}
    assert outcomes(result) == {
        **dict.fromkeys(told, "failed"),
        "test_stopped_for_less_than_is_allowed": "passed",
        "test_not_opened_as_expected": "xfail",
    }
    assert len(told) == 9
    not_proven = "Failed: " + NAMED + ": not proven: "
    for test, name, why in (
        ("test_no_sample", "rare", "no sample was taken in "),
        ("test_killed", "a", "it has ended: lost"),
        ("test_removed", "c", "it has ended: lost"),
        ("test_still_stopped", "f", "its prober was stopped or is stuck"),
        ("test_ended_by_the_test", "g", "it has ended: stopped"),
        ("test_not_opened", "far", "no answer in 30 s"),
    ):
        assert messages[test].startswith(not_proven.format(name) + why), messages[test]
    assert "and every=60: take samples more often" in told["test_no_sample"][1]
    # It was stopped between two samples, or while one was under way.
    assert re.match(
        re.escape(not_proven.format("d"))
        + "(no sample was taken for|from the start of one sample to that of the next it took) ",
        messages["test_stopped_for_too_long"],
    )
    assert messages["test_after_that"].startswith(f"Failed: {NAMED.format('a')} lost")
    message, whole = told["test_killed_with_its_guard"]
    assert message.startswith("AssertionError: its own")
    assert f"{NAMED.format('b')}: not proven: it has ended: lost" in message
    # What had been seen until then is known.
    assert "until it ended" in whole
    assert "rc 1: b is down" in whole
    assert not (folder / "body").exists()
    # The other probe's window is closed, and nothing is told of it.
    assert "h\n" in (folder / "closed").read_text()
    document = json_report.read(pytester)
    assert windows(document, "h") == []
    assert [one["not_proven"] for one in windows(document, "far")] == ["no answer in 30 s"] * 2
    assert "so the run fails" not in result.stdout.str()
