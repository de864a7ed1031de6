"""A test awaits its checks, and fails with the first that is not good."""

import pytest
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")


def test_a_failure_tells_its_story(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="c = background_check('echo out; echo err >&2; exit 127', env={'S': 'secret'})\n"
        "@pytest.mark.bgcheck('c')\ndef test(c): raise AssertionError('body was run')",
    )
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            r"background check 'c' on local failed: rc 127 after 0(\.\d\d)? s",
            r"  command: echo out; echo err >&2; exit 127",
            r"  stdout \(4 bytes\):",
            r"    out",
            r"  stderr \(4 bytes\):",
            r"    err",
            r"  hint: 127: a command was not found",
        ]
    )
    result.stdout.no_re_match_line(".*(Traceback|body was run|secret|pytest_bgcheck/).*")


def test_marks_on_a_module_a_class_and_a_function_add_up(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="a = background_check('exit 1')\nb = background_check('true')\n"
        "c = background_check('true')\npytestmark = pytest.mark.bgcheck('b')\n"
        "@pytest.mark.bgcheck('a', rc=1)\nclass TestIt:\n"
        "    @pytest.mark.bgcheck('c')\n    def test(self, a, b, c):\n"
        "        assert a.done() and b.done() and c.done()",
    )
    result.assert_outcomes(passed=1)


def test_a_mark_without_names_awaits_all_requested_checks(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="a = background_check('sleep 0.3')\nb = background_check('sleep 0.3')\n"
        "@pytest.mark.bgcheck()\ndef test(a, b): assert a.done() and b.done()",
    )
    result.assert_outcomes(passed=1)


def test_a_mark_of_its_own_that_awaits_nothing_fails_a_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from pytest_bgcheck import background_check
        a = background_check("true")
        @pytest.mark.bgcheck
        def test_forgot():
            pass
        @pytest.mark.bgcheck
        class TestSome:
            def test_one(self, a):
                assert a.rc == 0
            def test_other(self):
                pass
    """)
    result = pytester.runpytest("--hosts=local://")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["this test awaits nothing: *name a check in the mark, or request its fixture"]
    )


def test_a_fixture_without_the_mark_does_not_wait(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="a = background_check('sleep 1')\n"
        "def test(a):\n    assert not a.done() and a.result().succeeded and a.rc == 0",
    )
    result.assert_outcomes(passed=1)


def test_other_kinds_of_tests_fail_too(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("a.own").touch()
    result = run(
        pytester,
        "--doctest-modules",
        conftest="bad = background_check('exit 3')\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items: item.add_marker(pytest.mark.bgcheck('bad'))\n"
        "def pytest_collect_file(file_path, parent):\n"
        "    if file_path.suffix == '.own': return File.from_parent(parent, path=file_path)\n"
        "class File(pytest.File):\n"
        "    def collect(self): yield Item.from_parent(self, name='own')\n"
        "class Item(pytest.Item):\n    def runtest(self): pass\n",
        test_case="import unittest\nclass TestIt(unittest.TestCase):\n"
        "    def test_one(self): pass\n    @unittest.skip('no')\n    def test_two(self): pass\n",
        test_doc="def f():\n    '''\n    >>> 1\n    1\n    '''\n",
    )
    result.assert_outcomes(failed=3, skipped=1)


def test_skip_and_xfail_keep_their_meaning(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="bad = background_check('sleep 0.2; exit 3')\n"
        "@pytest.mark.xfail\n@pytest.mark.bgcheck('bad')\ndef test_x(): pass\n"
        "@pytest.mark.skip\n@pytest.mark.bgcheck('bad')\ndef test_s(): pass\n"
        "@pytest.mark.xfail(run=False)\n@pytest.mark.bgcheck('bad')\ndef test_n(): pass\n",
    )
    result.assert_outcomes(xfailed=2, skipped=1)


def test_a_test_can_be_less_patient_than_the_check(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="c = background_check('sleep 9')\n"
        "@pytest.mark.bgcheck('c', timeout=4)\ndef test_1(): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test_2(): pass\n",
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["background check 'c' on local still running after * of waiting"])


def test_several_names_fail_with_the_first_and_tell_of_the_others(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        test_it="bad = background_check('exit 3')\nslow = background_check('sleep 60')\n"
        "@pytest.mark.bgcheck('slow', 'bad')\ndef test(): pass\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["background check 'bad' on local failed: rc 3*", "  'slow' on local: running"]
    )
    assert result.duration < 30


def test_an_unknown_name_fails_with_the_nearest(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="webapp = background_check('true')\n"
        "@pytest.mark.bgcheck('webap')\ndef test(): pass\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*'webap' was declared or started*; did you mean 'webapp'?"])
