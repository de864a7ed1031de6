"""Tests whose file system is pyfakefs' while they wait, and while a job is started."""

import pytest

from pytest_bgcheck import background_check

good = background_check("sleep 1; echo fine", timeout=60)
bad = background_check("sleep 1; exit 3", timeout=60)


@pytest.mark.bgcheck
def test_fake_files_passes(fs, good):
    fs.create_file("/only/here")
    assert good.stdout == "fine\n"


@pytest.mark.bgcheck
def test_fake_files_check_fails(fs, bad):
    raise AssertionError


def test_started_in_the_body_passes(fs, bgcheck):
    assert bgcheck.start("echo fine", name="inside", timeout=60).result(60).stdout == "fine\n"
