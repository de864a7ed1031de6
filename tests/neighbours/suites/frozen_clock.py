"""A test whose clock freezegun has stopped while it waits."""

import datetime

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 1; echo fine", timeout=60)
bad = background_check("sleep 1; exit 3", timeout=60)


@pytest.mark.freeze_time("2017-05-20 15:42")
@pytest.mark.bgcheck
def test_frozen_passes(good):
    assert datetime.date.today().year == 2017
    assert 0.9 < good.duration < 30


@pytest.mark.freeze_time("2017-05-20 15:42")
@pytest.mark.bgcheck
def test_frozen_check_fails(bad):
    raise AssertionError


@pytest.mark.freeze_time("2017-05-20 15:42")
def test_waiting_in_the_body_passes(good):
    assert good.result(60).rc == 0
