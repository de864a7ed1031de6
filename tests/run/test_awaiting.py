"""A test awaits its checks, and fails with the first that is not good."""

import pytest
from support.json_report import read
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
    result.stdout.no_re_match_line(".*([Tt]raceback|body was run|secret|pytest_bgcheck/).*")


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
        ["this test awaits nothing: *name one in the mark, or request its fixture"]
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


def test_a_mark_on_a_testcase_that_uses_no_check_is_no_success(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import unittest\n"
        "a = background_check('true', host='local://')\n"
        "@pytest.mark.bgcheck\nclass TestOne(unittest.TestCase):\n"
        "    def test_forgot(self): pass\n"
        "    @pytest.mark.usefixtures('a')\n    def test_uses(self): pass\n"
        "@pytest.mark.bgcheck('a')\nclass TestTwo(unittest.TestCase):\n"
        "    def test_named(self): pass\n",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["this test awaits nothing: *"])


def test_other_plugins_wrap_a_test_whose_check_fails(pytester: pytest.Pytester) -> None:
    """They see neither the wait, which is before their part, nor a test that ends without them."""
    result = run(
        pytester,
        conftest="import glob, os\n"
        "def state():\n"
        "    ended = glob.glob(os.environ['TMPDIR'] + '/*/*/*/state.exit.*')\n"
        "    return 'over' if ended else 'runs'\n"
        "seen = []\n"
        "class Old:\n"
        "    @pytest.hookimpl(hookwrapper=True)\n"
        "    def pytest_runtest_call(self, item):\n"
        "        seen.append(f'old {item.name} {state()}')\n"
        "        outcome = yield\n"
        "        failed = type(outcome.excinfo[1]).__name__ if outcome.excinfo else 'passed'\n"
        "        seen.append(f'old {item.name} {failed}')\n"
        "class New:\n"
        "    @pytest.hookimpl(wrapper=True)\n"
        "    def pytest_runtest_call(self, item):\n"
        "        seen.append(f'new {item.name} {state()}')\n"
        "        try: return (yield)\n"
        "        except BaseException as error:\n"
        "            seen.append(f'new {item.name} {type(error).__name__}')\n"
        "            raise\n"
        "def pytest_configure(config):\n"
        "    config.pluginmanager.register(Old())\n"
        "    config.pluginmanager.register(New())\n"
        "def pytest_unconfigure(config):\n"
        "    for line in seen: print('SEEN', line)\n",
        test_it="import unittest\n"
        "bad = background_check('sleep 1; exit 3', host='local://')\n"
        "@pytest.mark.bgcheck('bad')\ndef test_function(): pass\n"
        "@pytest.mark.bgcheck('bad', rc=3)\ndef test_good(): pass\n"
        "@pytest.mark.bgcheck('bad')\nclass TestCase(unittest.TestCase):\n"
        "    def test_method(self): pass\n",
    )
    result.assert_outcomes(failed=2, passed=1)
    assert sorted(line for line in result.outlines if line.startswith("SEEN ")) == [
        "SEEN new test_function Failed", "SEEN new test_function over",
        "SEEN new test_good over", "SEEN new test_method over",
        "SEEN old test_function Failed", "SEEN old test_function over",
        "SEEN old test_good over", "SEEN old test_good passed",
        # unittest tells pytest of a failure beside the call.
        "SEEN old test_method over", "SEEN old test_method passed",
    ]  # fmt: skip
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_what_many_tests_accept_is_no_failure_in_the_summary(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--bgcheck-report=r.json",
        test_it="a = background_check('exit 3')\nb = background_check('exit 2', rc=(0, 2))\n"
        "@pytest.mark.bgcheck('a', rc=3)\ndef test_widened(): pass\n"
        "@pytest.mark.bgcheck('b', rc=0)\ndef test_narrowed(): pass\n"
        "@pytest.mark.bgcheck('b')\ndef test_as_declared(): pass\n",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["background check 'b' on local failed: rc 2 * (accepted by this test's mark: 0; by the"
         " check: 0, 2)", "  the check itself succeeded: *", "2 background checks on 1 host, 1 did"
         " not succeed, as its tests accept: *", "a * failed, accepted *3 *"]
    )  # fmt: skip
    summary = read(pytester)["summary"]
    assert len(summary["did_not_succeed"]) == 1
    assert summary["accepted"] == summary["did_not_succeed"]
