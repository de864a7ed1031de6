"""A test that fails once after its wait, and is run again."""

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 0.3; echo retried >>$COUNT", timeout=60)

runs = []


@pytest.mark.bgcheck
def test_second_run_passes(good):
    runs.append(good.id)
    assert len(runs) == 2
    assert len(set(runs)) == 1
