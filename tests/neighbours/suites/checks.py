"""Tests with and without checks. Each ends as its name says."""

import os
import time
import unittest

import pytest

from pytest_bgcheck import background_check

NOTE = "echo $CHECK >>$COUNT; "

good = background_check(NOTE + "sleep 0.3; echo fine", timeout=60, env={"CHECK": "good"})
bad = background_check(NOTE + "echo broken; exit 3", timeout=60, env={"CHECK": "bad"})
slow = background_check(NOTE + "sleep 60", timeout=1, grace=1, env={"CHECK": "slow"})


def test_ordinary_passes():
    assert os.getpid()


def test_ordinary_fails():
    assert time.time() < 0


@pytest.mark.skip(reason="its name says so")
@pytest.mark.bgcheck
def test_good_skips(good):
    raise AssertionError


@pytest.mark.xfail(reason="its name says so", strict=True)
@pytest.mark.bgcheck
def test_bad_xfails(bad):
    raise AssertionError


@pytest.mark.bgcheck
def test_good_passes(good):
    assert good.stdout == "fine\n"


@pytest.mark.bgcheck
def test_bad_check_fails(bad):
    raise AssertionError


@pytest.mark.bgcheck
def test_slow_check_times_out(slow):
    raise AssertionError


@pytest.mark.bgcheck("bad", rc=None)
def test_rc_of_bad_passes(bad):
    assert (bad.rc, bad.stdout) == (3, "broken\n")


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.bgcheck
def test_parametrized_passes(good, n):
    assert good.succeeded


@pytest.mark.bgcheck("good")
class TestClass:
    def test_first_passes(self):
        pass

    def test_second_passes(self, good):
        assert good.rc == 0

    @pytest.mark.bgcheck("bad")
    def test_third_check_fails(self):
        raise AssertionError


class Case(unittest.TestCase):
    @pytest.mark.bgcheck("good")
    def test_case_passes(self):
        assert time.time() > 0

    @pytest.mark.bgcheck("bad")
    def test_case_check_fails(self):
        raise AssertionError


@pytest.fixture
def job(bgcheck):
    return bgcheck.start("exit 4", name="started", timeout=60)


def test_started_in_a_fixture_passes(job):
    assert job.result(30).rc == 4
