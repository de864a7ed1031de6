"""The machines as fixtures: started by the first test that asks, ended with the session."""

from collections.abc import Iterator

import pytest

from . import ChrootDir, Container, DockerEngine, SSHServer, TestUser


@pytest.fixture(scope="session")
def ssh_server() -> Iterator[SSHServer]:
    """Yield a running OpenSSH server on loopback."""
    with SSHServer() as server:
        yield server


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """Yield a Docker engine that answers, the computer's own or one started for the session."""
    with DockerEngine() as engine:
        yield engine


@pytest.fixture(scope="session")
def docker_container(docker_engine: DockerEngine) -> Container:
    """Return a running container with all of busybox; the engine removes it."""
    return docker_engine.container()


@pytest.fixture(scope="session")
def chroot_dir() -> Iterator[ChrootDir]:
    """Yield a chroot with all of busybox and a /proc."""
    with ChrootDir() as chroot:
        yield chroot


@pytest.fixture(scope="session")
def test_user() -> Iterator[TestUser]:
    """Yield another user of this computer, without any sudo rule."""
    with TestUser() as user:
        yield user
