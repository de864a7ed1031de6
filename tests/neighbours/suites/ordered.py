"""Tests in an order of their own, by pytest-order's or pytest-ordering's mark. The first awaits."""

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 0.3; echo fine", timeout=60)

ran = []


def note(name):
    ran.append(name)
    return ran


@pytest.mark.MARK(3)
def test_third_passes():
    assert note(3) == [1, 2, 3]


@pytest.mark.MARK(1)
@pytest.mark.bgcheck
def test_first_passes(good):
    assert note(1) == [1]


@pytest.mark.MARK(2)
def test_second_passes():
    assert note(2) == [1, 2]
