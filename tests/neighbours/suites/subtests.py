"""A test with subtests that awaits."""

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 0.3; echo fine", timeout=60)
bad = background_check("exit 3", timeout=60)


@pytest.mark.bgcheck
def test_subtests_passes(subtests, good):
    for n in range(2):
        with subtests.test(n=n):
            assert good.succeeded


@pytest.mark.bgcheck
def test_subtests_check_fails(subtests, bad):
    raise AssertionError
