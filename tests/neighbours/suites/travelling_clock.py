"""A test that moves the clock by time-machine, and awaits."""

import time

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 1; echo fine", timeout=60)
later = background_check("sleep 2; echo later", timeout=60)


@pytest.fixture
def in_1970(time_machine):
    time_machine.move_to(1000.0, tick=False)


@pytest.mark.bgcheck
def test_travelled_passes(in_1970, good):
    assert time.time() == 1000.0
    assert 0.9 < good.duration < 30


def test_waiting_in_the_body_passes(in_1970, later):
    assert later.result(60).rc == 0
