"""Waits for a line of a job's output, in whole runs."""

import pytest
from support.suites import HEAD


def test_tests_wait_for_lines_and_fail_with_the_output_so_far(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEAD
        + """
speaker = background_check(
    "echo begin; sleep 0.3; echo listening on 80 >&2; sleep 60", timeout=90, unawaited="ignore"
)
late = background_check("echo late; sleep 60", timeout=90, after="never", unawaited="ignore")

@pytest.fixture
def never(): ...

def test_match(speaker):
    assert speaker.wait_for_output(r"listening on (\\d+)", timeout=30)[1] == "80"

def test_no_line(speaker):
    speaker.wait_for_output("never", timeout=0.5)

def test_held_back(late):
    late.wait_for_output("late", timeout=0.5)

def test_ended(bgcheck):
    bgcheck.start("echo bye; exit 3", name="short").wait_for_output("never")

def test_since_now(bgcheck, tmp_path):
    # The program writes nothing by which one could see that it has opened the file.
    log = bgcheck.start(f"tail -n +1 -F {tmp_path}/log", name="log", timeout=60)
    for number in range(20):
        with open(tmp_path / "log", "a") as file:
            file.write(f"line {number}\\n")
        assert log.wait_for_output(f"line {number}$", timeout=20)
    log.cancel()
    with pytest.raises(AssertionError, match="it ended before: cancelled"):
        log.wait_for_output("line 20")
"""
    )
    result = pytester.runpytest_subprocess("--tb=short", timeout=120)
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "E   AssertionError: background check 'speaker' on local wrote no line that matches"
            " 'never' within 0.5 s",
            "E     stdout (6 bytes):",
            "E       begin",
            "E   AssertionError: background check 'late' on local wrote no line that matches"
            " 'late': it ended before: not started: it starts after the fixture 'never'*",
            "E   AssertionError: background check 'short' on local wrote no line that matches"
            " 'never': it ended before: failed: rc 3 after *",
        ]
    )
    # Only the tests' own lines are shown.
    result.stdout.no_fnmatch_line("*pytest_bgcheck/target/*.py:*")
