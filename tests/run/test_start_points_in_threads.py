"""Checks that start behind a fixture (``after=``), where a thread of a fixture waits for them."""

import pytest
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

WATCHER = """
import threading, time
c = background_check("true", after="deploy", host="local://", timeout=%r)
states = []

@pytest.fixture(scope="session")
def watcher(c):
    thread = threading.Thread(target=lambda: states.append(c.result().state))
    thread.start()
    yield thread
    thread.join()

@pytest.fixture(scope="session")
def deploy(watcher): time.sleep(1)
"""


@pytest.mark.parametrize("args", [[], ["-n", "1"]], ids=" ".join)
def test_a_thread_may_wait_while_the_fixture_is_set_up(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    text = WATCHER % 60 + (
        "@pytest.mark.bgcheck('c')\n"
        "def test(deploy, watcher):\n    watcher.join()\n    assert states == ['succeeded']\n"
    )
    run(pytester, *args, test_it=text).assert_outcomes(passed=1)


def test_a_fixture_that_waits_for_such_a_thread_goes_on_in_the_end(
    pytester: pytest.Pytester,
) -> None:
    text = WATCHER % 2 + (
        "@pytest.fixture\n"
        "def patient(watcher): watcher.join()\n"
        "def test(patient): assert states == ['not started']\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=1)


def test_a_thread_of_a_body_is_told_at_once(pytester: pytest.Pytester) -> None:
    text = WATCHER % 600 + (
        "def test(c):\n"
        "    thread = threading.Thread(target=lambda: states.append(c.result().state))\n"
        "    thread.start()\n"
        "    thread.join(60)\n"
        "    assert states == ['not started']\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=1)
