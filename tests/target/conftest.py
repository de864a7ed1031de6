"""Targets whose supervisor the tests speak to themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.supervisor_client import Client, fleet


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[dict[str, Client]]:
    """A target with each shell, to be harmed all at once: most of the time goes into waiting."""
    ours = fleet(tmp_path)
    yield ours
    for client in ours.values():
        client.clean()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Client]:
    ours = Client(Path("/bin/sh"), tmp_path)
    yield ours
    ours.clean()
