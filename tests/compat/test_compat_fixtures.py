"""What `compat.pytest` needs to tell tests from hooks, and to fail a fixture."""

from collections.abc import Generator
from typing import Any

import pytest
from support.private import needs

from pytest_bgcheck.compat.pytest import failing, runs_test

RUNS = """
import sys
import pytest
from pytest_bgcheck.compat.pytest import is_of_pytest, runs_test

def runs():
    called = frame = sys._getframe()
    while not is_of_pytest(frame):
        called, frame = frame, frame.f_back
    return runs_test(frame, called)
"""


def test_the_code_of_tests_is_told_from_that_of_hooks(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        RUNS + "def pytest_configure(): assert not runs()\n"
        "def pytest_collection_modifyitems(): assert not runs()\n"
        "def pytest_runtest_setup(): assert runs()\n"
        "@pytest.fixture\ndef fixture():\n    assert runs()\n    yield\n    assert runs()\n"
    )
    pytester.makepyfile(
        "import unittest\nfrom conftest import runs\ndef test(fixture): assert runs()\n"
        "class Case(unittest.TestCase):\n    def test_case(self): assert runs()\n"
    )
    with needs("pytest", "pluggy, which calls hooks and nothing else", runs_test):
        pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_fixture_can_be_made_to_fail_as_by_itself(pytester: pytest.Pytester) -> None:
    class Plugin:
        @pytest.hookimpl(wrapper=True)
        def pytest_fixture_setup(
            self, fixturedef: pytest.FixtureDef[Any]
        ) -> Generator[None, object, object]:
            with failing(fixturedef, "by us"):
                return (yield)

    pytester.makepyfile(
        "import pytest\n@pytest.fixture(scope='module')\ndef fixture(): assert False\n"
        "def test_one(fixture): pass\ndef test_two(fixture): pass\n"
    )
    with needs("pytest", "FixtureDef.func", failing):
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider", plugins=[Plugin()])
        result.stdout.fnmatch_lines(["by us"] * 2)
