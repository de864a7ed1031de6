"""Runs with probes: what their marks say of what was seen during a body."""

from importlib.util import find_spec

import pytest
from support import json_report
from support.runs_in_background import nothing_is_left
from support.suites import failures, outcomes, run
from support.watched_suites import NAMED, suite, windows

pytestmark = pytest.mark.usefixtures("own_tmpdir")

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

@pytest.mark.bgcheck("a", min_available=1.1)
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
