"""Tests that wait while pytest-subprocess lets them start no process of their own."""

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 1; echo fine", timeout=60)
bad = background_check("sleep 1; exit 3", timeout=60)


@pytest.mark.bgcheck
def test_fake_processes_passes(fp, good):
    assert good.stdout == "fine\n"


@pytest.mark.bgcheck
def test_fake_processes_check_fails(fp, bad):
    raise AssertionError


def test_waiting_in_the_body_passes(fp, good):
    assert good.result(60).rc == 0
