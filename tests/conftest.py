"""What all tests share: pytester, the machines, and a look for what a run left behind."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from support import leftovers
from support.forked_runs import ForkServer, forking

# How long it takes to draw an example tells how busy the computer is, not whether it is right.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

pytest_plugins = ("pytester", "support.machines.fixtures")


SLOW = {
    "pytester", "ssh_server", "docker_engine", "docker_container", "chroot_dir", "test_user",
    "clients",
}  # fmt: skip
"""Fixtures that stand for a whole run of pytest, for a machine, or for every shell."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a machine or a run of pytest: ``tox -e quick`` leaves it out."""
    for item in items:
        if SLOW.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a supervisor behind."""
    yield
    left = leftovers.supervisors()
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the CI's own settings out of the runs under test, and mark them."""
    monkeypatch.setenv(*leftovers.MARK.split("="))
    for name in ("CI", "BUILD_NUMBER"):  # pytest cuts no line there
        monkeypatch.delenv(name, raising=False)
    for name in list(os.environ):
        if name.startswith(("PYTEST_", "ANSIBLE_", "GITHUB_")) and name != "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)


@pytest.fixture
def own_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the runs under test a ``TMPDIR`` of their own, to see what they leave there."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    return path


OFF = "-p no:randomly -p no:asyncio -p no:hypothesispytest -p no:rerunfailures"
"""For the runs under test. hypothesis alone is half of what a short run costs. rerunfailures up to
16.3 leaves a thread behind for each worker that has ended, which reads from it on and on: behind
a few runs in a process of the tests, these took all of a CPU."""


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Yield what forks the runs of pytest of all tests, which are not `started`."""
    own = ("PYTEST_", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    server = ForkServer({**env, "PYTEST_ADDOPTS": OFF})
    yield server
    server.close()


@pytest.fixture
def pytester(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    fork_server: ForkServer,
) -> pytest.Pytester:
    """Keep plugins that change every run out of the runs under test, but for tests about them."""
    monkeypatch.setenv("PYTEST_ADDOPTS", OFF)
    # Behind it, a test file that is written again within a second, as long as before, is not seen.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    if request.node.get_closest_marker("started") is None:
        monkeypatch.setattr(pytester, "popen", forking(pytester, fork_server))
    return pytester
