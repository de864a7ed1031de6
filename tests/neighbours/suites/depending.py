"""Tests that depend on others, by pytest-dependency. The first of them awaits.

By names of their own: a test's name ends in its host.
"""

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 0.3; echo fine", timeout=60)
bad = background_check("exit 3", timeout=60)


@pytest.mark.dependency(name="good")
@pytest.mark.bgcheck
def test_good_passes(good):
    pass


@pytest.mark.dependency(depends=["good"])
def test_depending_passes():
    pass


@pytest.mark.dependency(name="bad")
@pytest.mark.bgcheck
def test_bad_check_fails(bad):
    pass


@pytest.mark.dependency(depends=["bad"])
def test_depending_skips():
    pass
