import tempfile
from pathlib import Path

import pytest

from pytest_bgcheck import background_check

INSTALLED = Path(tempfile.gettempdir(), "bgcheck-example-version")

# Starts before the fixtures of the first test, so before `deploy`.
disk = background_check("sleep 1; df /", timeout=30)

# Starts when `deploy` has been set up: it finds the new version.
version = background_check(["cat", str(INSTALLED)], timeout=30, after="deploy")


@pytest.fixture(scope="session", autouse=True)
def deploy():
    INSTALLED.write_text("version 2\n")
    yield
    INSTALLED.unlink()
