"""Tests that patch what a wait could use, by pytest-mock."""

import subprocess
import time

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 1; echo fine", timeout=60)
bad = background_check("sleep 1; exit 3", timeout=60)


@pytest.fixture
def patched(mocker):
    mocker.patch("time.time", return_value=0.0)
    mocker.patch("time.sleep")
    mocker.patch("subprocess.run")


@pytest.mark.bgcheck
def test_patched_passes(patched, good):
    assert time.time() == 0.0
    assert good.stdout == "fine\n"


@pytest.mark.bgcheck
def test_patched_check_fails(patched, bad):
    raise AssertionError


def test_waiting_in_the_body_passes(patched, good):
    subprocess.run(["true"], check=False)
    assert good.result(60).rc == 0
