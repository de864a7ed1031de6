import pytest


@pytest.mark.bgcheck("version")
def test_the_new_version_is_there(version):
    assert version.stdout == "version 2\n"


@pytest.mark.bgcheck("disk")
def test_the_disk_is_healthy():
    pass
