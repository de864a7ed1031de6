"""Whatever else orders, cuts or adds the items: none is taken for run, or passes, by mistake."""

import pytest
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

SUITE = (
    "good = background_check('true')\n"
    "@pytest.mark.bgcheck('good')\ndef test_awaits(): pass\n"
    "def test_plain(): pass\n"
    "def test_last(): assert {}\n"
)
AS_COLLECTED = ["test_awaits", "test_plain", "test_last"]
MOVED = ["test_plain", "test_last", "test_awaits"]


def collected(pytester: pytest.Pytester, *args: str) -> list[str]:
    result = pytester.runpytest("--collect-only", "-q", *args)
    return [line.split("::")[1] for line in result.outlines if "::" in line]


def test_stepwise_skips_only_what_has_passed(pytester: pytest.Pytester) -> None:
    test = pytester.makepyfile(HEAD + SUITE.format(False))
    pytester.runpytest("--sw").assert_outcomes(passed=2, failed=1)
    test.write_text(HEAD + SUITE.format(True))
    pytester.runpytest("--sw").assert_outcomes(passed=1, deselected=2)


def test_an_order_that_pytest_was_asked_for_is_kept(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAD + SUITE.format(True))
    assert collected(pytester) == MOVED
    for option in ("--stepwise", "--sw-skip", "--ff", "--nf"):
        assert collected(pytester, option) == AS_COLLECTED, option
    assert collected(pytester, "--lf") == MOVED
    assert collected(pytester, "-p", "no:cacheprovider", "-p", "no:stepwise") == MOVED


def test_what_another_plugin_orders_after_all_others_is_ordered(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n    yield\n    items.reverse()\n"
    )
    pytester.makepyfile(HEAD + SUITE.format(True))
    assert collected(pytester) == ["test_last", "test_plain", "test_awaits"]


LATE = """
import pytest

class Late(pytest.Item):
    def runtest(self): pass

def late(session, name):
    item = Late.from_parent(session, name=name)
    item.add_marker(pytest.mark.bgcheck("bad"))
    session.items.append(item)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(session):
    yield
    late(session, "late")
"""
LATER = """
@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    late(session, "later")
"""


@pytest.mark.parametrize("args, failed", [([], 2), (["-n2"], 1)], ids=["alone", "workers"])
def test_items_that_come_late_await_too(
    pytester: pytest.Pytester, args: list[str], failed: int
) -> None:
    # xdist runs nothing that comes after its word of what was collected.
    pytester.makeconftest(LATE + ("" if args else LATER))
    # Where only a plugin declares, and no other item has to do with checks.
    pytester.makepyfile(checks=HEAD + "bad = background_check('exit 3')\n", test_it="def test(): 0")
    result = pytester.runpytest_subprocess("-p", "checks", *args)
    result.assert_outcomes(passed=1, failed=failed)
    result.stdout.fnmatch_lines(["background check 'bad' on local failed: rc 3*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_tests_that_await_come_last_soonest_first(pytester: pytest.Pytester) -> None:
    text = (
        "slow = background_check('sleep 0.6', timeout=50)\n"
        "fast = background_check('true', timeout=60)\n"
        "@pytest.mark.bgcheck('slow')\ndef test_slow(): pass\n"
        "@pytest.mark.bgcheck('fast')\ndef test_fast(): pass\n"
        "def test_plain(): pass\n"
    )
    first = run(pytester, "-v", test_it=text)
    first.stdout.fnmatch_lines(["*test_plain PASSED*", "*test_slow PASSED*", "*test_fast PASSED*"])
    again = pytester.runpytest_subprocess("-v")
    again.stdout.fnmatch_lines(["*test_plain PASSED*", "*test_fast PASSED*", "*test_slow PASSED*"])
    kept = pytester.runpytest_subprocess("-v", "--bgcheck-order=keep")
    kept.stdout.fnmatch_lines(["*test_slow PASSED*", "*test_fast PASSED*", "*test_plain PASSED*"])
