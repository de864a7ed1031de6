"""``vip.window()`` in whole runs: what its blocks tell, and what becomes of those that go wrong."""

import pytest
from support import json_report, leftovers
from support.boxed import BOXED, INI
from support.suites import run
from support.watched_suites import HELP, probe

pytestmark = pytest.mark.usefixtures("own_tmpdir")

SUITE = """
import threading
from pytest_bgcheck import NotProven, WrongUse

def test_sees_an_outage(a):
    with a.window() as down: fails("a")
    with a.window() as up: look("a", "0", 2)
    assert (down.outage_count, down.outages[0].rc) == (1, 1)
    assert (down.outages[0].last_line, up.outages) == ("a is down", ())
    assert down.max_outage_s < down.length

def test_fails_for_an_outage(a):
    with a.window() as seen: fails("a")
    assert seen.max_outage_s == 0

@pytest.mark.bgcheck("a", max_outage=60)
def test_in_a_mark_and_in_threads(a):
    seen = []
    def watch():
        with a.window() as own: look("a", "0", 2)
        seen.append(own.samples)
    threads = [threading.Thread(target=watch) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert min(seen) >= 2

def test_raises(a):
    with pytest.raises(KeyError), a.window() as seen:
        look("a", "0"); raise KeyError
    assert seen.samples

def test_not_proven(b):
    with b.window(): time.sleep(0.05)

def test_not_entered(a):
    a.window()

def test_not_entered_but_read(a):
    with pytest.raises(WrongUse): a.window().samples

@pytest.fixture
def around(a):
    with a.window() as seen: yield seen
    assert seen.samples

def test_in_a_fixture(around):
    look("a", "0", 2)
    with pytest.raises(WrongUse): around.samples
"""


def suite(pytester: pytest.Pytester, tests: str) -> str:
    slow = probe(pytester.path, "b", "every=60")
    return HELP + probe(pytester.path, "a") + slow + tests


@pytest.mark.parametrize("args", ["-pno:xdist", "-n1"])
def test_a_test_has_the_windows_that_its_blocks_open(pytester: pytest.Pytester, args: str) -> None:
    if args == "-n1":
        pytest.importorskip("xdist")
    result = run(pytester, args, "--bgcheck-report=r.json", "-rA", test_it=suite(pytester, SUITE))
    assert result.parseoutcomes() == {"passed": 5, "failed": 3}
    result.stdout.fnmatch_lines_random(
        [
            "*NotProven: background probe 'b' on local: not proven: no sample was taken in 0.*s,"
            " and every=60",
            "background probe 'a' on local: a window has not been opened: it is when its block is"
            " entered, as in 'with a.window() as seen:'",
            "FAILED test_it.py::test_fails_for_an_outage*",
            "FAILED test_it.py::test_not_proven*",
            "FAILED test_it.py::test_not_entered *",
        ]
    )
    jobs = {job["name"]: job for job in json_report.read(pytester)["jobs"]}
    told = [window["test"].rpartition("::")[2] for window in jobs["a"]["windows"]]
    by_block = {"test_sees_an_outage": 2, "test_in_a_mark_and_in_threads": 3}
    assert {test: told.count(test) for test in told} == by_block | dict.fromkeys(
        ["test_fails_for_an_outage", "test_raises", "test_in_a_fixture"], 1
    )
    (not_proven,) = jobs["b"]["windows"]
    assert not_proven["not_proven"].startswith("no sample was taken in 0.")
    assert leftovers.directories() == []


INTERRUPTED = """
def test_it(a):
    with a.window() as seen:
        look("a", "0")
        {what}
"""


@pytest.mark.parametrize("what", ["pytest.exit('enough')", "raise KeyboardInterrupt"])
def test_what_ends_the_run_leaves_a_block_without_a_question(
    pytester: pytest.Pytester, what: str
) -> None:
    tests = INTERRUPTED.format(what=what)
    result = run(pytester, "-pno:xdist", "--bgcheck-report=r.json", test_it=suite(pytester, tests))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*not proven*")
    jobs = {job["name"]: job for job in json_report.read(pytester)["jobs"]}
    assert not jobs["a"].get("windows")


def test_a_mode_that_runs_no_test_opens_no_window(pytester: pytest.Pytester) -> None:
    tests = """
@pytest.fixture
def around(a):
    with a.window() as seen: yield seen

def test_it(around): pass
"""
    result = run(pytester, "--setup-only", "-pno:xdist", test_it=suite(pytester, tests))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*SETUP * F around*", "*TEARDOWN F around*"])


def test_tests_in_forked_children_have_windows_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    tests = """
@pytest.mark.alone
def test_in_the_parent(a):
    with a.window() as seen: look("a", "0", 2)
    assert seen.samples

def test_in_a_child(a):
    with a.window() as seen: fails("a")
    assert seen.outage_count == 1

@pytest.mark.bgcheck("a", max_outage=60)
def test_by_mark():
    look("a", "0", 2)

@pytest.mark.bgcheck("a")
def test_by_mark_without_limits():
    fails("a")
"""
    result = run(
        pytester,
        "-pno:xdist",
        "--bgcheck-report=r.json",
        conftest=BOXED,
        test_it=suite(pytester, tests),
    )
    assert result.parseoutcomes() == {"passed": 3, "failed": 1}
    result.stdout.fnmatch_lines(
        ["background probe 'a' on local: down for * (no outage is allowed)"]
    )
    jobs = {job["name"]: job for job in json_report.read(pytester)["jobs"]}
    assert len(jobs["a"]["windows"]) == 4
    assert leftovers.directories() == []
    assert not leftovers.supervisors()
