"""Suites that the tests write and run: what is the same in all of them."""

import pytest

HEAD = "import pytest\nfrom pytest_bgcheck import background_check\n"


def run(pytester: pytest.Pytester, *args: str, **files: str) -> pytest.RunResult:
    """Write the files, each after `HEAD`, and run pytest there in a process of its own."""
    pytester.makepyfile(**{name: HEAD + text for name, text in files.items()})
    return pytester.runpytest_subprocess(*args, timeout=120)
