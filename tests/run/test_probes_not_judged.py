"""Tests that await a probe by mark, and whose windows judge nothing; and whose mark judges it."""

import pytest
from support import json_report
from support.suites import outcomes, run
from support.watched_suites import HELP, NAMED, probe, suite, windows

pytestmark = pytest.mark.usefixtures("own_tmpdir")


def test_a_test_that_skips_in_its_body_has_not_watched_its_probe(
    pytester: pytest.Pytester,
) -> None:
    bodies = """
@pytest.mark.bgcheck("a")
def test_skips():
    fails("a"); pytest.skip("no")

def test_uses(a):
    pass

@pytest.mark.bgcheck("b", timeout=0.01)
def test_does_not_wait_for_its_probe(b):
    pass
"""
    declared = HELP + probe(pytester.path, "a")
    declared += "b = background_probe('sleep 600', host='local://', timeout=600)\n"
    result = run(
        pytester, "-rA", "--bgcheck-unawaited=fail", "-pno:xdist", test_it=declared + bodies
    )
    assert outcomes(result) == {"test_uses": "passed", "test_does_not_wait_for_its_probe": "failed"}
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    (line,) = (line for line in result.outlines if "was judged by no test" in line)
    assert line.startswith(f"{NAMED.format('a')} was judged by no test (stopped, ")


def test_a_test_whose_windows_were_not_closed_when_the_run_was_stopped_is_skipped(
    pytester: pytest.Pytester,
) -> None:
    """By -x: another worker's test has failed. Else it would be green, though it saw an outage."""
    pytest.importorskip("xdist")
    bodies = """
from pytest_bgcheck.run import SESSION

@pytest.mark.bgcheck("a")
def test_is_in_its_body(pytestconfig):
    fails("a"); open("begun", "w")
    eventually(lambda: pytestconfig.stash[SESSION].runner.records.closing)

@pytest.mark.bgcheck("b")
def test_fails():
    eventually(lambda: os.path.exists("begun")); assert 0
"""
    text = suite(pytester, "a b", bodies)
    result = run(pytester, "-n2", "-x", "-rA", "--bgcheck-report=r.json", test_it=text)
    result.assert_outcomes(failed=1, skipped=1)
    assert outcomes(result) == {"test_fails": "failed"}
    said = "the run was stopped before this test's probes had told what they saw"
    result.stdout.fnmatch_lines([f"SKIPPED *: {said}"])
    assert windows(json_report.read(pytester), "a") == []


def test_the_mark_of_a_class_is_nearer_than_those_that_it_inherits(
    pytester: pytest.Pytester,
) -> None:
    bodies = """
@pytest.mark.bgcheck("down", max_outage=60)
@pytest.mark.bgcheck("ends", rc=3)
class Base:
    def test_it(self): time.sleep(0.3)

class TestInherits(Base): pass

@pytest.mark.bgcheck("down")
class TestAllowsNoOutage(Base): pass

@pytest.mark.bgcheck("ends")
class TestAcceptsNoOther(Base): pass
"""
    declared = "import time\ndown = background_probe('exit 1', host='local://', every=0.1)\n"
    declared += "ends = background_check('exit 3', host='local://')\n"
    result = run(pytester, "-pno:xdist", "-rA", test_it=declared + bodies)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["PASSED *::TestInherits::test_it"])
