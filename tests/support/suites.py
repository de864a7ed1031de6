"""Suites that the tests write and run: what is the same in all of them."""

import pytest

# pytester forgets what a run in this process was the first to import: a second run in it would have
# two of each of our modules.
import pytest_bgcheck.run.session  # noqa: F401

HEAD = "import pytest\nfrom pytest_bgcheck import background_check, background_service\n"

UNAWAITED = "c = background_check('true')\ndef test(c): c.stdout\n"
"""A suite whose one job no test judges."""


def run(pytester: pytest.Pytester, *args: str, **files: str) -> pytest.RunResult:
    """Write the files, each after `HEAD`, and run pytest there in a process of its own."""
    pytester.makepyfile(**{name: HEAD + text for name, text in files.items()})
    return pytester.runpytest_subprocess(*args, timeout=120)
