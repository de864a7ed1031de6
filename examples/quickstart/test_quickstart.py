import pytest


@pytest.mark.bgcheck("webapp")
def test_webapp_is_healthy(webapp):
    assert "200 OK" in webapp.stdout


@pytest.mark.bgcheck("backup")
def test_backup_is_good():
    pass  # its exit code is the verdict


def test_ordinary_tests_run_meanwhile(host):
    assert host.file("/bin/sh").exists
