"""The two checks that this project began with: one is awaited, the other only started."""

import pytest
from task import COMMANDS

from pytest_bgcheck import Job, background_check

webapp = background_check(COMMANDS[0], timeout=360)
db = background_check(COMMANDS[1], timeout=360)


@pytest.mark.bgcheck("webapp")
def test_webapp(webapp: Job, db: Job) -> None:
    assert webapp.rc == 0
