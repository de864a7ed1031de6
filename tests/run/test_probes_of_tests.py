"""Runs with probes: reruns, interrupts, workers, and whom a probe's end concerns."""

import json
import signal

import pytest
from support import json_report
from support.runs_in_background import Run, eventually, nothing_is_left
from support.suites import HEAD, RERUNS, outcomes, run
from support.watched_suites import NAMED, suite, windows

pytestmark = pytest.mark.usefixtures("own_tmpdir")


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
        RERUNS,
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
