"""Blocks that a test has made, and never entered: what it means to do in them was not done, so the
test fails."""

from __future__ import annotations

import warnings
from collections.abc import Generator

import pytest

from .judging import Judging


class NeverEntered:
    """What was not entered by the tests of a session. A plugin."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._said: list[str] = []

    def note(self, said: str, test: str) -> None:
        """Note that a block can be entered no more, which was made while a test ran; ``said``: what
        people read. Any thread may call."""
        if test and test == self._judging.test:
            self._said.append(said)
        else:
            warnings.warn(pytest.PytestWarning(said), stacklevel=3)

    # Innermost: behind the body, whose variables are gone.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        result = yield
        self._fail()
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self) -> None:
        self._fail()

    def _fail(self) -> None:
        __tracebackhide__ = True
        said, self._said = self._said, []
        if said:
            pytest.fail("\n".join(said), pytrace=False)
