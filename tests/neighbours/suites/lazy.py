"""Parameters that are fixtures by pytest-lazy-fixtures, and request a check.

testinfra gives a test a host only where that, or a check, is its own parameter.
"""

import pytest
from pytest_lazy_fixtures import lf

from pytest_bgcheck import background_check

good = background_check("sleep 0.3; echo fine", timeout=60)
bad = background_check("exit 3", timeout=60)


@pytest.fixture
def text(good):
    return good.result(60).stdout


@pytest.mark.parametrize("value", [lf("text")])
@pytest.mark.bgcheck("good")
def test_lazy_passes(value, host):
    assert value == "fine\n"


@pytest.mark.parametrize("value", [lf("text")])
@pytest.mark.bgcheck("bad")
def test_lazy_check_fails(value, host):
    raise AssertionError
