"""Runs with probes: the tests that their mark fails, and those that it does not."""

import json
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from typing import Any

import pytest
from support import json_report
from support.runs_in_background import Run, eventually, nothing_is_left
from support.suites import HEAD, run
from support.watched_suites import HELP, probe

pytestmark = pytest.mark.usefixtures("own_tmpdir")

NAMED = "background probe '{}' on local"


def suite(pytester: pytest.Pytester, probes: str, tests: str) -> str:
    return HELP + "".join(probe(pytester.path, name) for name in probes.split()) + tests


def failures(pytester: pytest.Pytester) -> dict[str, tuple[str, str]]:
    """Return the message and the text of each failed test in the JUnit file."""
    root = ET.parse(pytester.path / "j.xml").getroot()
    return {
        case.attrib["name"]: (failure.attrib["message"], failure.text or "")
        for case in root.iter("testcase")
        for failure in case.iter("failure")
    }


def outcomes(result: pytest.RunResult) -> dict[str, str]:
    """Return each test's outcome, by the words of -rA."""
    found = {}
    for line in result.outlines:
        word, _, test = line.partition(" ")
        if word in ("PASSED", "FAILED", "XFAIL", "SKIPPED", "XPASS") and "::" in test:
            found[test.split(" ")[0].rpartition("::")[2]] = word.lower()
    return found


def windows(document: Any, name: str) -> list[Any]:
    (job,) = (job for job in document["jobs"] if job["name"] == name)
    found: list[Any] = job["windows"]
    return found


# --- what the marks say ---------------------------------------------------------------------------

BODIES = """
@pytest.mark.bgcheck("a")
def test_no_outage():
    look("a", "0")

@pytest.mark.bgcheck("a")
def test_an_outage():
    fails("a")

@pytest.mark.bgcheck("a", max_outage=60)
def test_within():
    fails("a")

@pytest.mark.bgcheck("a", max_outage=0.02)
def test_beyond():
    fails("a")

@pytest.mark.bgcheck("a", min_available=99.9)
def test_available_too_little():
    fails("a", 3)

@pytest.mark.bgcheck("a", min_available=0.1)
def test_available_enough():
    fails("a")
    look("a", "0")

@pytest.mark.bgcheck("a", max_outage=0.02, min_available=99.9)
def test_both():
    fails("a")

@pytest.mark.bgcheck("a")
def test_down_at_its_end():
    goes_down("a")

@pytest.mark.bgcheck("a", max_outage=60)
def test_down_from_its_beginning():
    goes_up("a")

@pytest.mark.bgcheck("a")
def test_own_failure():
    fails("a")
    assert 1 == 2, "its own"

@pytest.mark.bgcheck("a")
@pytest.mark.xfail(strict=True)
def test_xfail():
    fails("a")

@pytest.mark.bgcheck("a")
@pytest.mark.xfail(raises=ZeroDivisionError)
def test_raises_other():
    fails("a")

@pytest.mark.bgcheck("a")
@pytest.mark.xfail(raises=ZeroDivisionError)
def test_raises():
    fails("a")
    1 / 0

@pytest.mark.bgcheck("a")
def test_skips():
    fails("a")
    pytest.skip("no need")

@pytest.fixture
def marked(request):
    request.node.add_marker(pytest.mark.bgcheck("a"))

def test_marked_in_the_set_up(marked):
    fails("a")

def test_marked_in_the_body(request, a):
    request.node.add_marker(pytest.mark.bgcheck("a"))

@pytest.mark.bgcheck("a", max_outage=60)
def test_limited_in_the_body(request):
    fails("a")
    request.node.add_marker(pytest.mark.bgcheck("a", max_outage=0.02), append=False)

done = background_check("exit 3", host="local://")
lives = background_service("exec sleep 60", host="local://")

@pytest.mark.bgcheck("done", "lives", "a", rc=3, max_outage=0.02)
def test_three_kinds():
    fails("a")

@pytest.mark.bgcheck(rc=3, max_outage=60)
def test_nameless(done, lives, a):
    fails("a")

@pytest.mark.bgcheck
def test_nameless_without_limits(a):
    fails("a")

@pytest.mark.bgcheck("a", max_outage=60)
class TestMarked:
    def test_in_class(self):
        fails("a")

    @pytest.mark.bgcheck("a")
    def test_nearer(self):
        fails("a")

@pytest.mark.bgcheck("a")
@pytest.mark.asyncio
async def test_async():
    fails("a")

@pytest.mark.bgcheck("a")
def test_subtests(subtests):
    with subtests.test():
        fails("a")

@pytest.mark.bgcheck("a", max_outage=0.02)
def test_reads_another_window(a):
    with a.window() as first:
        look("a", "0")
    assert (first.max_outage_s, first.bad) == (0, 0)
    fails("a")

@pytest.mark.bgcheck("a")
class TestIt(unittest.TestCase):
    def test_case(self):
        fails("a")

    def test_case_own(self):
        fails("a")
        self.assertEqual(1, 2)

    @unittest.expectedFailure
    def test_case_expected(self):
        fails("a")

    @unittest.expectedFailure
    def test_case_expected_own(self):
        fails("a")
        self.fail()

    def test_case_skips(self):
        fails("a")
        self.skipTest("no need")

    def test_case_good(self):
        look("a", "0")
"""

NO_SUBTESTS = """
@pytest.fixture
def subtests():
    import contextlib, types
    return types.SimpleNamespace(test=contextlib.nullcontext)
"""
"""For a pytest that has none."""

OUTCOMES = {
    "test_no_outage": "passed",
    "test_an_outage": "failed",
    "test_within": "passed",
    "test_beyond": "failed",
    "test_available_too_little": "failed",
    "test_available_enough": "passed",
    "test_both": "failed",
    "test_down_at_its_end": "failed",
    "test_down_from_its_beginning": "passed",
    "test_own_failure": "failed",
    "test_xfail": "xfail",
    "test_raises_other": "failed",
    "test_raises": "xfail",
    "test_marked_in_the_set_up": "failed",
    "test_marked_in_the_body": "failed",
    "test_limited_in_the_body": "failed",
    "test_three_kinds": "failed",
    "test_nameless": "passed",
    "test_nameless_without_limits": "failed",
    "test_in_class": "passed",
    "test_nearer": "failed",
    "test_async": "failed",
    "test_subtests": "failed",
    "test_reads_another_window": "failed",
    "test_case": "failed",
    "test_case_own": "failed",
    "test_case_expected": "xfail",
    "test_case_expected_own": "xfail",
    "test_case_good": "passed",
}


@pytest.mark.parametrize("args", ["-pno:xdist", "-n2 --dist=loadfile"])
def test_a_mark_judges_what_a_probe_saw_during_the_body(
    pytester: pytest.Pytester, args: str
) -> None:
    for plugin in ("pytest_asyncio", "xdist"):
        pytest.importorskip(plugin)
    bodies = BODIES if find_spec("_pytest.subtests") else NO_SUBTESTS + BODIES
    result = run(
        pytester,
        "-rA",
        "--junitxml=j.xml",
        "--bgcheck-report=r.json",
        "--bgcheck-order=keep",
        "-ppytest_asyncio.plugin",
        "-oasyncio_default_fixture_loop_scope=function",
        *args.split(),
        test_it=suite(pytester, "a", bodies),
    )
    assert outcomes(result) == OUTCOMES
    assert result.parseoutcomes()["skipped"] == 2
    told = failures(pytester)
    first_lines = {test: message.partition("\n")[0] for test, (message, _) in told.items()}
    down = f"Failed: {NAMED.format('a')}: down for "
    for test in (
        "test_an_outage",
        "test_down_at_its_end",
        "test_raises_other",
        "test_marked_in_the_set_up",
        "test_nameless_without_limits",
        "test_nearer",
        "test_async",
        "test_subtests",
        "test_case",
    ):
        first, whole = first_lines[test], told[test][1]
        assert first.startswith(down), first
        assert first.endswith(" s (no outage is allowed)"), first
        assert "rc 1: a is down" in whole
        assert "1 outage, " in whole
    for test in (
        "test_beyond",
        "test_limited_in_the_body",
        "test_three_kinds",
        "test_reads_another_window",
    ):
        first = first_lines[test]
        assert first.startswith(down), first
        assert first.endswith(" s (allowed: 0.02 s)"), first
    first = first_lines["test_available_too_little"]
    assert first.startswith(f"Failed: {NAMED.format('a')}: available ")
    assert first.endswith(" % of the time (wanted: 99.9 %)")
    assert "s (allowed: 0.02 s), available " in first_lines["test_both"]
    assert first_lines["test_marked_in_the_body"].startswith(
        f"Failed: {NAMED.format('a')}: the test's body has added the mark, or requested"
        " the probe, and that is too late"
    )
    # The test's own failure comes first, and what the probe saw behind it.
    for test, own in (
        ("test_own_failure", "AssertionError: its own"),
        ("test_case_own", "AssertionError: 1 != 2"),
    ):
        whole = told[test][1]
        assert first_lines[test].startswith(f"{own}; {down.removeprefix('Failed: ')}")
        assert whole.index(own) < whole.index("When its body was over:") < whole.index("is down")
    assert "so the run fails" not in result.stdout.str()
    # The run is told of each window, but for those of tests that were skipped.
    tests = [one["test"].rpartition("::")[2] for one in windows(json_report.read(pytester), "a")]
    expected = {*OUTCOMES} - {"test_marked_in_the_body"}
    assert sorted(tests) == sorted([*expected, "test_reads_another_window"])
    assert nothing_is_left()


# --- what is not proven ---------------------------------------------------------------------------

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
        ("test_stopped_for_too_long", "d", "no sample was taken for "),
        ("test_still_stopped", "f", "its prober was stopped or is stuck"),
        ("test_ended_by_the_test", "g", "it has ended: stopped"),
        ("test_not_opened", "far", "no answer in 30 s"),
    ):
        assert messages[test].startswith(not_proven.format(name) + why), messages[test]
    assert "and every=60: take samples more often" in told["test_no_sample"][1]
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


# --- reruns, interrupts, and who judges -----------------------------------------------------------


def test_each_run_of_a_test_has_a_window_of_its_own(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    bodies = """
@pytest.mark.bgcheck("a")
def test_flaky():
    if not os.path.exists("again"):
        open("again", "w")
        fails("a")
    look("a", "0")
"""
    result = run(
        pytester,
        "--reruns=1",
        "-pno:xdist",
        "--bgcheck-report=r.json",
        test_it=suite(pytester, "a", bodies),
    )
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
    assert result.ret == 0
    first, second = windows(json_report.read(pytester), "a")
    assert [first["verdict"], second["verdict"]] == ["beyond limits", "within limits"]


@pytest.mark.parametrize("args", ["-pno:xdist", "-n2"])
def test_an_interrupt_in_a_body_judges_nothing(pytester: pytest.Pytester, args: str) -> None:
    if args == "-n2":
        pytest.importorskip("xdist")
    import signal

    body = "@pytest.mark.bgcheck('a')\ndef test_it():\n    fails('a'); open('begun', 'w')\n"
    pytester.makepyfile(HEAD + suite(pytester, "a", body + "    time.sleep(95)\n"))
    with Run(pytester, args, "--bgcheck-report=r.json") as background:
        eventually((pytester.path / "begun").exists)
        background.process.send_signal(signal.SIGINT)
        status, output = background.end()
    assert status == pytest.ExitCode.INTERRUPTED
    assert "not proven" not in output
    assert "so the run fails" not in output
    document = json.loads((pytester.path / "r.json").read_text())
    (job,) = document["jobs"]
    assert job["state"] in ("cancelled", "stopped")
    assert windows(document, "a") == []


@pytest.mark.parametrize("unawaited", ["warn", "fail", "ignore"])
def test_a_probe_that_no_test_has_watched_is_told(
    pytester: pytest.Pytester, unawaited: str
) -> None:
    bodies = """
def test_uses(a, b):
    look("a", "0")
    with b.window() as seen:
        look("b", "0")
    assert seen.good
"""
    result = run(
        pytester,
        f"--bgcheck-unawaited={unawaited}",
        "-pno:xdist",
        test_it=suite(pytester, "a b", bodies),
    )
    result.assert_outcomes(passed=1)
    assert result.ret == (unawaited == "fail")
    (*lines,) = (line for line in result.outlines if "was judged by no test" in line)
    assert len(lines) == (unawaited != "ignore")
    for line in lines:
        assert line.startswith(f"{NAMED.format('a')} was judged by no test (stopped, ")
        assert line.endswith("or open a window of it") == (unawaited == "fail")


@pytest.mark.parametrize("args", ["-pno:xdist", "-n2"])
def test_a_bad_end_that_no_test_tells_makes_the_run_red(
    pytester: pytest.Pytester, args: str
) -> None:
    if args == "-n2":
        pytest.importorskip("xdist")
    bodies = """
@pytest.fixture(scope="session")
def last(a, b):
    yield
    send(signal.SIGKILL, a, "run")
    eventually(a.done)
    b.stop()

@pytest.mark.bgcheck("a", "b")
def test_passes(last):
    look("a", "0"); look("b", "0")
"""
    result = run(pytester, args, "--bgcheck-report=r.json", test_it=suite(pytester, "a b", bodies))
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (line,) = (line for line in result.outlines if line.endswith("so the run fails"))
    assert line.startswith(f"{NAMED.format('a')} lost after ")
    assert line in json_report.read(pytester)["run"]["causes"]


def test_two_workers_have_windows_of_one_probe_at_once(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    bodies = """
@pytest.mark.bgcheck("a")
@pytest.mark.parametrize("n", range(6))
def test_it(n):
    pathlib.Path(f"in.{n}").touch()
    eventually(lambda: len(list(pathlib.Path().glob("in.*"))) >= 2)
    look("a", "0")
    if n == 1: fails("a")

@pytest.mark.bgcheck("a", max_outage=60)
def test_allows(): look("a", "0")
"""
    result = run(
        pytester,
        "-n2",
        "--dist=load",
        "-rA",
        "--bgcheck-report=r.json",
        test_it=suite(pytester, "a", bodies),
    )
    found = outcomes(result)
    assert found["test_it[1]"] == "failed"
    assert found["test_allows"] == "passed"
    document = json_report.read(pytester)
    told = windows(document, "a")
    assert len(told) == 7
    assert len({one["worker"] for one in told}) == 2
    # Whoever's body ran meanwhile has seen the same outage, and nobody else.
    failed = {f"test_it.py::{test}" for test, outcome in found.items() if outcome == "failed"}
    assert {one["test"] for one in told if one["verdict"] == "beyond limits"} == failed
    assert nothing_is_left()
