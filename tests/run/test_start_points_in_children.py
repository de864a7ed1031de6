"""Checks that start behind a fixture (``after=``), where tests fork children."""

import pytest
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

HEAD = """
import os
c = background_check('echo c >>count', after='deploy', cwd=%r)

@pytest.fixture(scope='session')
def deploy(): pass

def in_child(work):
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_what_a_child_awaits_in_vain_may_still_start_behind_its_end(
    pytester: pytest.Pytester,
) -> None:
    text = HEAD % str(pytester.path) + (
        "def test_child(c):\n"
        "    def work(): assert c.result().state == 'not started', c.result()\n"
        "    in_child(work)\n"
        "    assert c.state == 'pending'\n"
        "@pytest.mark.bgcheck('c')\ndef test(deploy): pass\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=2)
    assert pytester.path.joinpath("count").read_text() == "c\n"


def test_a_fixture_that_a_child_sets_up_starts_it_once(pytester: pytest.Pytester) -> None:
    text = HEAD % str(pytester.path) + (
        "def test_child(request, c):\n"
        "    def work():\n"
        "        request.getfixturevalue('deploy')\n"
        "        assert c.result().succeeded\n"
        "    in_child(work)\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test_too(deploy): pass\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=3)
    assert pytester.path.joinpath("count").read_text() == "c\n"
