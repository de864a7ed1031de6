"""Suites that the tests write and run: what is the same in all of them."""

import xml.etree.ElementTree as ET

import pytest

# pytester forgets what a run in this process was the first to import: a second run in it would have
# two of each of our modules.
import pytest_bgcheck.run.session  # noqa: F401

HEAD = (
    "import pytest\n"
    "from pytest_bgcheck import background_check, background_probe, background_service\n"
)

RERUNS = "-prerunfailures"
"""Switches pytest-rerunfailures on, which is off in the runs under test: see ``conftest.py``."""

UNAWAITED = "c = background_check('true')\ndef test(c): c.stdout\n"
"""A suite whose one job no test judges."""


def run(pytester: pytest.Pytester, *args: str, **files: str) -> pytest.RunResult:
    """Write the files, each after `HEAD`, and run pytest there in a process of its own."""
    pytester.makepyfile(**{name: HEAD + text for name, text in files.items()})
    return pytester.runpytest_subprocess(*args, timeout=120)


def problems(pytester: pytest.Pytester, text: str) -> list[str]:
    """Return what pytest says at collection of a wrong module, with paths from its folder."""
    result = run(pytester, "--collect-only", "-q", test_it=text)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    lines = [line.removeprefix("ERROR: ") for line in result.errlines if line.strip()]
    return [line.replace(f"{pytester.path}/", "") for line in lines]


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
