"""What pytest only decides while it runs: marks that fixtures add, checks that are requested by
name, failures that are expected."""

import pytest
from support.suites import RERUNS, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

CHECKS = (
    "good = background_check('true', host='local://')\n"
    "bad = background_check('exit 3', host='local://')\n"
    "late = background_check('sleep 0.3; exit 4', host='local://')\n"
)


def outcomes(result: pytest.RunResult) -> dict[str, str]:
    """Return each test's outcome by its name, as ``-rA`` lists them."""
    words = ("PASSED", "FAILED", "XFAIL", "XPASS", "SKIPPED", "ERROR")
    found = {}
    for line in result.outlines:
        word, _, rest = line.partition(" ")
        if word in words and "::" in rest:
            found[rest.split(" ")[0].split("::", 1)[1]] = word
    return found


def test_marks_that_come_at_run_time_are_awaited(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("a.own").touch()
    result = run(
        pytester,
        "-rA",
        "--doctest-modules",
        conftest=CHECKS + "def pytest_runtest_setup(item):\n"
        "    if item.name in ('test_hook', 'test_own', 'test_doc.f'):\n"
        "        item.add_marker(pytest.mark.bgcheck('late'))\n"
        "def pytest_collect_file(file_path, parent):\n"
        "    if file_path.suffix == '.own': return File.from_parent(parent, path=file_path)\n"
        "class File(pytest.File):\n"
        "    def collect(self): yield Item.from_parent(self, name='test_own')\n"
        "class Item(pytest.Item):\n    def runtest(self): raise RuntimeError('body')\n"
        "@pytest.fixture\ndef adds(request):\n"
        "    request.node.add_marker(pytest.mark.bgcheck('bad'))\n"
        "@pytest.fixture\ndef adds_good(request):\n"
        "    request.applymarker(pytest.mark.bgcheck('good'))\n"
        "@pytest.fixture\ndef adds_wrong(request):\n"
        "    request.applymarker(pytest.mark.bgcheck(3))\n"
        "@pytest.fixture\ndef adds_unknown(request):\n"
        "    request.applymarker(pytest.mark.bgcheck('goood'))\n"
        "@pytest.fixture(scope='module')\ndef adds_to_module(request):\n"
        "    request.node.add_marker(pytest.mark.bgcheck('bad'))\n",
        test_it="def test_hook(): raise RuntimeError('body')\n"
        "def test_adds(adds): raise RuntimeError('body')\n"
        "def test_good(adds_good, good): assert good.done()\n"
        "def test_wrong(adds_wrong): raise RuntimeError('body')\n"
        "def test_unknown(adds_unknown): raise RuntimeError('body')\n"
        "def test_body(request): request.node.add_marker(pytest.mark.bgcheck('bad'))\n",
        test_doc="def f():\n    '''\n    >>> raise RuntimeError('body')\n    '''\n",
        test_module="def test_module(adds_to_module): raise RuntimeError('body')\n",
    )
    names = ("hook", "own", "doc.f", "adds", "wrong", "unknown", "body", "module")
    assert outcomes(result) == {f"test_{n}": "FAILED" for n in names} | {"test_good": "PASSED"}
    result.stdout.fnmatch_lines_random(
        [
            "background check 'late' on local failed: rc 4 after *",
            "background check 'bad' on local failed: rc 3 after *",
            "the mark's arguments must be names of checks, services or probes, not 3",
            "*'goood' was declared or started for this test; did you mean 'good'?",
        ]
    )
    result.stdout.no_re_match_line(r".*(RuntimeError|Traceback|WrongUse|pytest_bgcheck[/\\])")
    result.stdout.no_fnmatch_line("During handling of the above exception*")


def test_a_suite_that_declares_nothing_fails_for_a_mark_that_comes_at_run_time(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        "-rA",
        conftest="@pytest.fixture\ndef adds(request):\n"
        "    request.node.add_marker(pytest.mark.bgcheck('webapp'))\n"
        "@pytest.fixture\ndef expects(request):\n"
        "    request.node.add_marker(pytest.mark.xfail)\n",
        test_it="def test_plain(): pass\ndef test_adds(adds): raise RuntimeError('body')\n"
        "def test_expected(adds, expects): raise RuntimeError('body')\n",
    )
    expected = {"test_plain": "PASSED", "test_adds": "FAILED", "test_expected": "XFAIL"}
    assert outcomes(result) == expected
    result.stdout.fnmatch_lines(["no background check, service or probe 'webapp' was declared *"])


def test_a_mark_without_names_awaits_what_running_fixtures_request(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        "-rA",
        conftest=CHECKS + "@pytest.fixture\ndef dynamic(request):\n"
        "    return request.getfixturevalue('late')\n"
        "@pytest.fixture(scope='module')\ndef kept(request):\n"
        "    return request.getfixturevalue('bad')\n"
        "@pytest.fixture(scope='module')\ndef other(request):\n"
        "    return request.getfixturevalue('good')\n"
        "@pytest.fixture(scope='module')\ndef nested(other): return other\n",
        test_it="@pytest.mark.bgcheck(rc=4)\ndef test_dynamic(dynamic): assert dynamic.done()\n"
        "@pytest.mark.bgcheck\ndef test_kept(kept): raise RuntimeError('body')\n"
        "@pytest.mark.bgcheck\ndef test_kept_again(kept): raise RuntimeError('body')\n"
        # What other tests' fixtures have requested is not this one's.
        "@pytest.mark.bgcheck\ndef test_other(nested): assert nested.done()\n"
        "@pytest.mark.bgcheck\ndef test_other_again(nested): assert nested.done()\n"
        # Requested before the wait could be made: it is made behind the body.
        "@pytest.mark.bgcheck\ndef test_body(good, request):\n"
        "    assert not request.getfixturevalue('slow').done()\n"
        "@pytest.mark.bgcheck\ndef test_none(): raise RuntimeError('body')\n"
        "slow = background_check('sleep 1; exit 5', host='local://')\n",
    )
    names = ("kept", "kept_again", "body", "none")
    passed = ("dynamic", "other", "other_again")
    expected = {f"test_{n}": "FAILED" for n in names} | {f"test_{n}": "PASSED" for n in passed}
    assert outcomes(result) == expected
    result.stdout.fnmatch_lines_random(
        [
            "background check 'bad' on local failed: rc 3*",
            "background check 'slow' on local failed: rc 5*",
            "this test awaits nothing: its mark 'bgcheck' has no names*",
        ]
    )
    result.stdout.no_fnmatch_line("*RuntimeError*")


def test_a_check_that_fails_where_that_is_expected_is_an_xfail(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "-rA",
        conftest=CHECKS + "@pytest.fixture\ndef expects(request):\n"
        "    request.node.add_marker(pytest.mark.xfail(reason='known'))\n"
        "@pytest.fixture\ndef expects_strictly(request):\n"
        "    request.node.add_marker(pytest.mark.xfail(strict=True))\n"
        "@pytest.fixture\ndef expects_other(request):\n"
        "    request.node.add_marker(pytest.mark.xfail(raises=ValueError))\n",
        test_it="BAD = pytest.mark.bgcheck('bad')\nGOOD = pytest.mark.bgcheck('good')\n"
        "@BAD\ndef test_x(expects): raise RuntimeError('body')\n"
        "@BAD\ndef test_strict(expects_strictly): raise RuntimeError('body')\n"
        "@GOOD\ndef test_better(expects): pass\n"
        "@GOOD\ndef test_better_strict(expects_strictly): pass\n"
        "@BAD\ndef test_other(expects_other): raise RuntimeError('body')\n",
        test_case="import unittest\nBAD = pytest.mark.bgcheck('bad')\n"
        "GOOD = pytest.mark.bgcheck('good')\n"
        "class TestIt(unittest.TestCase):\n"
        "    def setUp(self):\n"
        "        if 'setup' in self._testMethodName: self.skipTest('not here')\n"
        "    @BAD\n    @unittest.expectedFailure\n    def test_x(self): assert False, 'body'\n"
        "    @GOOD\n    @unittest.expectedFailure\n    def test_better(self): pass\n"
        "    @BAD\n    def test_bad(self): raise RuntimeError('body')\n"
        "    @GOOD\n    def test_good(self): pass\n"
        "    @BAD\n    @unittest.skip('no')\n    def test_s(self): raise RuntimeError('body')\n"
        "    @BAD\n    def test_setup(self): raise RuntimeError('body')\n"
        "@unittest.expectedFailure\n"
        "class TestAll(unittest.TestCase):\n"
        "    @BAD\n    def test_x(self): raise RuntimeError('body')\n"
        "class TestAsync(unittest.IsolatedAsyncioTestCase):\n"
        "    @BAD\n    @unittest.expectedFailure\n"
        "    async def test_x(self): assert False, 'body'\n"
        "    @GOOD\n    async def test_good(self): pass\n"
        "    @BAD\n    async def test_bad(self): raise RuntimeError('body')\n",
    )
    assert outcomes(result) == {
        "test_x": "XFAIL",
        "test_strict": "XFAIL",
        "test_better": "XPASS",
        "test_better_strict": "FAILED",
        "test_other": "FAILED",
        "TestIt::test_x": "XFAIL",
        "TestIt::test_better": "FAILED",
        "TestIt::test_bad": "FAILED",
        "TestIt::test_good": "PASSED",
        "TestAll::test_x": "XFAIL",
        "TestAsync::test_x": "XFAIL",
        "TestAsync::test_good": "PASSED",
        "TestAsync::test_bad": "FAILED",
    }
    assert result.parseoutcomes()["skipped"] == 2
    result.stdout.no_re_match_line(".*(RuntimeError|Traceback|'body'|AssertionError)")


def test_a_rerun_awaits_what_came_at_run_time_again(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    result = run(
        pytester,
        RERUNS,
        "--reruns=1",
        conftest=CHECKS + "@pytest.fixture\ndef adds(request):\n"
        "    request.node.add_marker(pytest.mark.bgcheck('bad'))\n",
        test_it="import unittest\ndef test_it(adds): raise RuntimeError('body')\n"
        "@pytest.mark.bgcheck('bad')\nclass TestIt(unittest.TestCase):\n"
        "    def test_it(self): raise RuntimeError('body')\n",
    )
    assert result.parseoutcomes() == {"failed": 2, "rerun": 2}
    result.stdout.no_fnmatch_line("*RuntimeError*")


def test_a_job_that_only_a_running_test_wants_is_started_then(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "-n0",
        conftest="@pytest.fixture(scope='session')\ndef job(request):\n"
        "    return request.getfixturevalue('bgcheck').start('echo ran', name='job')\n",
        test_it="def test_plain(): pass\n"
        "def test_job(job): assert job.result().stdout == 'ran\\n'\n"
        "def test_mark(job, request): request.node.add_marker(pytest.mark.bgcheck('job'))\n",
    )
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*not cleaned up*")


def test_what_comes_at_run_time_is_awaited_in_workers_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "-n2",
        "-rA",
        conftest="@pytest.fixture\ndef adds(request):\n"
        "    request.getfixturevalue('bgcheck').start('sleep 0.2; exit 6', name='job')\n"
        "    request.node.add_marker(pytest.mark.bgcheck('job'))\n",
        test_it="def test_one(adds): pass\ndef test_two(adds): pass\n",
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["background check 'job' on local failed: rc 6*"])
    result.stdout.fnmatch_lines(["*1 background check*"])


def test_a_check_that_is_requested_by_name_is_awaited_on_the_host_it_runs_on(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        conftest="import testinfra\nc = background_check('exit 3')\n"
        "@pytest.fixture\ndef app(request): return request.getfixturevalue('c')\n"
        "@pytest.fixture(scope='module')\ndef host(): return testinfra.get_host('local://')\n",
        test_it="testinfra_hosts = ['docker://no-such-container']\n"
        "@pytest.mark.bgcheck()\ndef test(app): pass\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["background check 'c' on local failed: rc 3*", "*on 1 host, *"])


def test_unittests_skip_means_nothing_on_a_class_that_is_not_its_own(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        conftest=CHECKS,
        test_it="import unittest\n@unittest.skip('pytest runs it')\nclass TestPlain:\n"
        "    @pytest.mark.bgcheck('bad')\n    def test(self): raise RuntimeError('body')\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["background check 'bad' on local failed: rc 3*"])


def test_a_mark_that_the_body_adds_may_accept_less(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest=CHECKS,
        test_it="@pytest.mark.bgcheck('bad', rc=None)\ndef test(request):\n"
        "    request.node.add_marker(pytest.mark.bgcheck('bad', rc=0), append=False)\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["background check 'bad' on local failed: rc 3*"])


def test_a_mark_that_comes_when_the_test_is_over_is_an_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest=CHECKS + "def pytest_runtest_teardown(item):\n"
        "    if item.name == 'test_hook': item.add_marker(pytest.mark.bgcheck('bad'))\n"
        "@pytest.fixture\ndef adds(request):\n"
        "    yield\n"
        "    request.node.add_marker(pytest.mark.bgcheck('bad'))\n",
        test_it="def test_hook(): pass\n"
        "def test_fixture(adds): pass\n"
        "@pytest.mark.bgcheck('good')\ndef test_good(): pass\n",
    )
    result.assert_outcomes(passed=3, errors=2)
    line = "the mark 'bgcheck' was added after the test, when nothing could be awaited: *"
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_hook*", line])
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_fixture*", line])
    assert "traceback" not in result.stdout.str()
