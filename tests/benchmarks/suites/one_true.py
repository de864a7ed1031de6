"""The least that a suite with a target does: one command."""

from typing import Any

from task import stamp


def test_true(host: Any) -> None:
    stamp("ordinary")
    assert host.run("true").rc == 0
