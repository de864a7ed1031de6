"""Tests that pytest-cases parametrizes, and that await."""

import pytest
from pytest_cases import fixture, parametrize, parametrize_with_cases

from pytest_bgcheck import background_check

good = background_check("sleep 0.3; echo fine", timeout=60)
bad = background_check("exit 3", timeout=60)


def case_one():
    return 1


def case_two():
    return 2


@pytest.mark.bgcheck
@parametrize_with_cases("n", cases=".")
def test_cases_passes(n, good):
    assert good.stdout == "fine\n"


@pytest.mark.bgcheck
@parametrize_with_cases("n", cases=".")
def test_cases_check_fails(n, bad):
    raise AssertionError


@fixture
@parametrize(n=[1, 2])
def number(n):
    return n


@pytest.mark.bgcheck
def test_fixture_passes(number, good):
    assert number in (1, 2)
