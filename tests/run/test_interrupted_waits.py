"""Waits that another plugin ends by a signal, as pytest-timeout does."""

import pytest
from support.suites import run

# As pytest-timeout does it, which does not run with each pytest.
LIMITED = (
    "import signal\n"
    "def ring(number, frame):\n"
    "    __tracebackhide__ = True\n"
    "    pytest.fail('Timeout (>1.0s) from pytest-timeout.')\n"
    "@pytest.hookimpl(wrapper=True)\n"
    "def pytest_runtest_protocol(item):\n"
    "    if 'limited' in item.name:\n"
    "        signal.signal(signal.SIGALRM, ring)\n"
    "        signal.setitimer(signal.ITIMER_REAL, 1)\n"
    "    try:\n        return (yield)\n"
    "    finally:\n        signal.setitimer(signal.ITIMER_REAL, 0)\n"
)
TOLD = "Timeout (>1.0s) from pytest-timeout: background check 'slow' on local still running after *"


@pytest.mark.started
@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "workers"])
def test_the_failure_names_the_job_and_shows_no_source_of_the_plugin(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    result = run(
        pytester,
        *args,
        conftest=LIMITED,
        test_it="import signal\nfrom conftest import ring\n"
        "slow = background_check('sleep 6; echo out')\n"
        "@pytest.mark.bgcheck('slow')\ndef test_mark_limited(): pass\n"
        "def test_rc_limited(slow): assert slow.rc == 0\n"
        "def test_result_limited(slow): slow.result()\n"
        "@pytest.fixture\ndef out(slow): return slow.stdout\n"
        "def test_fixture_limited(out): pass\n"
        "def test_endless_search(bgcheck):\n"
        "    with bgcheck.running('echo ' + 60 * 'a' + 'b; sleep 60', name='log') as log:\n"
        "        assert log.wait_for_output('^a')\n"
        "        signal.signal(signal.SIGALRM, ring)\n"
        "        signal.setitimer(signal.ITIMER_REAL, 1)\n"
        "        log.wait_for_output('^(a+)+$')\n"
        "@pytest.mark.bgcheck('slow')\ndef test_goes_on(slow): assert slow.stdout == 'out\\n'\n",
    )
    result.assert_outcomes(passed=1, failed=4, errors=1)
    assert len([line for line in result.outlines if TOLD[:60] in line]) >= 4
    result.stdout.fnmatch_lines(["E*from pytest-timeout: background service 'log' * still ready *"])
    result.stdout.fnmatch_lines_random(["E*" + TOLD + "; it goes on", TOLD])
    result.stdout.no_re_match_line(r".*(pytest_bgcheck[/\\]|threading\.py|During handling)")
