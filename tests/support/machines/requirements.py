"""What a machine needs from the computer that runs the tests."""

import os
import shutil

import pytest

# A user's PATH often lacks the folders of the daemons.
_DAEMONS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def require(condition: bool, what: str, install: str) -> None:
    """Skip the test unless ``condition`` holds; under ``BGCHECK_REQUIRE_ALL=1`` fail it."""
    __tracebackhide__ = True
    if condition:
        return
    reason = f"needs {what}: {install}"
    if os.environ.get("BGCHECK_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_root(what_for: str) -> None:
    """Skip or fail, as `require` does, unless the tests run as root."""
    __tracebackhide__ = True
    require(os.geteuid() == 0, f"root, for {what_for}", "run the tests as root")


def require_proc() -> None:
    """Skip or fail, as `require` does, where there is no Linux /proc to find processes in."""
    __tracebackhide__ = True
    require(os.path.exists("/proc/self/stat"), "Linux's /proc", "run the tests on Linux")


def tool(name: str, package: str) -> str:
    """Return the absolute path of a program; without it skip or fail, naming the package."""
    __tracebackhide__ = True
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_DAEMONS)))
    require(path is not None, name, f"apt-get install {package}")
    assert path is not None
    return os.path.abspath(path)
