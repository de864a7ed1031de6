"""Whoever says where a test runs is obeyed, and the run's header tells of tests that have moved."""

from __future__ import annotations

import pytest
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

CHECK = (
    HEAD
    + "good = background_check('true', host='local://')\nawaits = pytest.mark.bgcheck('good')\n"
)


def collected(pytester: pytest.Pytester, *args: str) -> list[str]:
    result = pytester.runpytest("--collect-only", "-q", "-p", "no:randomly", *args)
    return [line.rpartition("::test_")[2] for line in result.outlines if "::" in line]


# --- the header -----------------------------------------------------------------------------------

MOVED = (
    "@awaits\ndef test_first(): pass\n@awaits\ndef test_second(): pass\ndef test_plain(): pass\n"
)
IN_PLACE = "def test_plain(): pass\n@awaits\ndef test_last(): pass\n"
CLASS = (
    "class TestIt:\n    def test_a(self): pass\n    @awaits\n    def test_b(self): pass\n"
    "def test_plain(): pass\n"
)
ONE = "@awaits\ndef test_first(): pass\ndef test_plain(): pass\n@awaits\ndef test_last(): pass\n"


@pytest.mark.parametrize(
    "text, args, line",
    [
        (MOVED, [], "2 tests that await run last (--bgcheck-order=keep leaves them in place)"),
        (ONE, [], "1 test that awaits runs last (--bgcheck-order=keep leaves it in place)"),
        (
            CLASS,
            [],
            "1 test that awaits runs last, with 1 of the same class or module"
            " (--bgcheck-order=keep leaves them in place)",
        ),
        (MOVED, ["-n2"], "2 tests that await run last (*"),
        (MOVED, ["-n2", "-v"], "2 tests that await run last (*"),
        (MOVED, ["-n2", "--dist=loadfile"], "2 tests that await run last (*"),
        (IN_PLACE, [], ""),
        (MOVED, ["--bgcheck-order=keep"], ""),
        (MOVED, ["-q"], ""),
        (MOVED, ["-n2", "-q"], ""),
        (MOVED, ["--no-header"], ""),
        (MOVED, ["--ff"], ""),
    ],
)
def test_the_header_tells_of_tests_that_have_moved(
    pytester: pytest.Pytester, text: str, args: list[str], line: str
) -> None:
    pytester.makepyfile(CHECK + text)
    result = pytester.runpytest_subprocess("-p", "no:randomly", *args)
    assert result.ret == 0
    told = [out for out in result.outlines if out.startswith("bgcheck: ") and " last" in out]
    assert len(told) == bool(line)
    if line:
        result.stdout.fnmatch_lines([f"bgcheck: {line}"])
        assert "passed" not in "".join(result.outlines[: result.outlines.index(told[0])])


def test_a_worker_that_replaces_another_adds_no_header(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    ends = "def test_plain():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    pytester.makepyfile(CHECK + MOVED.replace("def test_plain(): pass\n", ends))
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-n1")
    result.assert_outcomes(passed=2, failed=1)
    assert len([out for out in result.outlines if " last (" in out]) == 1


# --- marks of ours --------------------------------------------------------------------------------


def test_a_mark_leaves_its_test_where_it_is(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        CHECK + "@pytest.mark.bgcheck('good', order='keep')\ndef test_kept(): pass\n"
        "@awaits\ndef test_moved(): pass\n"
        "@awaits\n@pytest.mark.bgcheck(order='keep')\ndef test_kept_too(): pass\n"
        "def test_plain(): pass\n"
    )
    assert collected(pytester) == ["kept", "kept_too", "plain", "moved"]


def test_a_module_and_a_class_can_leave_their_tests_where_they_are(
    pytester: pytest.Pytester,
) -> None:
    keeps = "pytest.mark.bgcheck(order='keep')\n"
    pytester.makepyfile(
        test_a=CHECK + f"pytestmark = {keeps}@awaits\ndef test_kept(): pass\n",
        test_b=CHECK + f"@{keeps}class TestIt:\n    @awaits\n    def test_kept_too(self): pass\n"
        "@awaits\ndef test_moved(): pass\n",
        test_c="def test_plain(): pass\n",
    )
    assert collected(pytester) == ["kept", "kept_too", "plain", "moved"]


def test_a_mark_of_the_order_alone_awaits_nothing(pytester: pytest.Pytester) -> None:
    text = (
        "bad = background_check('exit 3', host='local://')\n"
        "pytestmark = pytest.mark.bgcheck(order='keep')\n"
        "def test_plain(): pass\n"
        "@pytest.mark.bgcheck(order='keep')\ndef test_own_mark(): pass\n"
        "def test_requests(bad): assert not bad.succeeded\n"
    )
    run(pytester, test_it=text).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    "order, given", [("'first'", "str 'first'"), ("True", "bool True"), ("1", "int 1")]
)
def test_another_order_is_refused(pytester: pytest.Pytester, order: str, given: str) -> None:
    text = f"@pytest.mark.bgcheck(order={order})\ndef test_it(): pass\n"
    result = run(pytester, test_it=text)
    result.stderr.fnmatch_lines([f"ERROR: test_it.py::test_it: order must be 'keep', not {given}"])


# --- marks of other plugins -----------------------------------------------------------------------

MARKS = """
def pytest_configure(config):
    for mark in ("order", "run", "dependency"):
        config.addinivalue_line("markers", mark)
"""


def test_no_test_is_moved_past_one_that_another_plugin_has_put_in_its_place(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(MARKS)
    # As pytest-order and pytest-ordering leave them: the first, those without a mark, the last.
    pytester.makepyfile(
        test_a="import pytest\n@pytest.mark.order(0)\ndef test_first(): pass\n",
        test_b=CHECK + "@awaits\ndef test_awaits(): pass\ndef test_plain(): pass\n",
        test_c=CHECK + "@awaits\ndef test_awaits_too(): pass\ndef test_plain_too(): pass\n",
        test_d=CHECK + "@pytest.mark.run(order=-2)\nclass TestIt:\n"
        "    @awaits\n    def test_last_but_one(self): pass\n",
        test_e=CHECK + "@pytest.mark.order('last')\ndef test_last(): pass\n",
    )
    order = ["first", "plain", "plain_too", "awaits", "awaits_too", "last_but_one", "last"]
    assert collected(pytester) == order


def test_the_tests_of_a_module_stay_if_one_of_them_depends_on_another(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(MARKS)
    pytester.makepyfile(
        test_a=CHECK + "@awaits\n@pytest.mark.dependency\ndef test_made(): pass\n"
        "@pytest.mark.dependency(depends=['test_made'])\ndef test_used(): pass\n",
        test_b=CHECK + "@awaits\ndef test_awaits(): pass\n",
        test_c="def test_plain(): pass\n",
    )
    assert collected(pytester) == ["made", "used", "plain", "awaits"]


def test_no_test_is_moved_past_one_that_depends_on_tests_of_other_modules(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(MARKS)
    pytester.makepyfile(
        test_a=CHECK + "@awaits\ndef test_made(): pass\ndef test_plain(): pass\n",
        test_b="import pytest\n"
        "@pytest.mark.dependency(depends=['test_a.py::test_made'], scope='session')\n"
        "def test_used(): pass\n",
        test_c=CHECK + "@awaits\ndef test_awaits(): pass\ndef test_plain_too(): pass\n",
    )
    assert collected(pytester) == ["plain", "made", "used", "plain_too", "awaits"]
