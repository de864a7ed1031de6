"""The playbook that this project comes from: two checks in the background, awaited later."""

import pytest

from pytest_bgcheck import background_check

webapp = background_check(script="checks.py", timeout=360)
db = background_check(script="db.py", args=["--full"], timeout=360, rc={0, 2})


@pytest.mark.bgcheck("webapp")
def test_webapp(webapp):
    assert webapp.stdout.count("200 OK") == 3


@pytest.mark.bgcheck("db")
def test_db(db):
    assert "replication lag" in db.stdout


def test_that_does_not_wait(host):
    assert host.run("uname").rc == 0
