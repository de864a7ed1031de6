"""Tests that depend on others, by pytest-dependency. The first of them awaits."""

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 0.3; echo fine", timeout=60)
bad = background_check("exit 3", timeout=60)


@pytest.mark.dependency
@pytest.mark.bgcheck
def test_good_passes(good):
    pass


@pytest.mark.dependency(depends=["test_good_passes"])
def test_depending_passes():
    pass


@pytest.mark.dependency
@pytest.mark.bgcheck
def test_bad_check_fails(bad):
    pass


@pytest.mark.dependency(depends=["test_bad_check_fails"])
def test_depending_skips():
    pass
