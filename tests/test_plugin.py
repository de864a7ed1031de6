"""The plugin as a suite sees it, on the local backend."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import leftovers
from support.machines import require
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")


# --- wrong use ----------------------------------------------------------------------------------


WRONG = [
    ("", "exactly one of command and script must be given"),
    ("'true', script='x'", "exactly one of command and script must be given, not both"),
    ("script='nowhere.sh'", "script cannot be read: *nowhere.sh: No such file"),
    ("'true', args=['x']", "args go with script"),
    ("''", "command must be neither empty"),
    ("[]", "command must name a program"),
    ("['a', 3]", "command must be a string or a sequence of strings without NUL, got 3"),
    ("'true', timeout=-1", "timeout must be more than 0 seconds, not -1"),
    ("'true', timeout='5'", "timeout must be a number of seconds or a timedelta, not '5'"),
    ("'true', timeout=float('nan')", "timeout must be a number of seconds"),
    ("'true', timeout=1e9", "timeout must be at most 864000 seconds"),
    ("'true', grace=-1", "grace must be 0 or more seconds, not -1"),
    ("'true', retry_every=0", "retry_every must be more than 0 seconds"),
    ("'true', rc=256", "rc must be an exit code from 0 to 255 or several, not 256"),
    ("'true', rc=[]", "rc must have at least one exit code"),
    ("'true', rc=True", "rc must be an exit code"),
    ("'true', env=['A']", "env must be a mapping"),
    ("'true', env={'A-B': 'x'}", "env must have names of letters, digits and underscores"),
    ("'true', env={'A': 1}", r"env[[]'A'[]] must be a string"),
    ("'true', sudo='yes'", "sudo must be True or False"),
    ("'true', sudo=False, sudo_user='x'", "sudo_user='x' contradicts sudo=False"),
    ("'true', output_limit=0", "output_limit must be a positive number"),
    ("'true', name='a b'", "name must be an identifier, not 'a b'"),
    ("'true', name=3", "name must be an identifier, not 3"),
    ("'true', cwd=3", "cwd must be a string, not 3"),
    ("'true', name='host'", "name 'host' is the name of a fixture that checks need"),
    ("'x' * 200000", "command is too long: a program takes 131,071 bytes in one word"),
]
"""Arguments of a declaration, and what is said of them."""


def test_each_wrong_declaration_is_told_by_one_usage_error(pytester: pytest.Pytester) -> None:
    declared = [
        f"check{n} = background_check({arguments})" for n, (arguments, _) in enumerate(WRONG)
    ]
    result = run(pytester, conftest="\n".join(declared), test_it="def test(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    for line, (_, message) in enumerate(WRONG, 3):
        result.stderr.fnmatch_lines([f"*conftest.py:{line}: background check *: {message}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_check_in_a_class_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="class TestIt:\n    c = background_check('true')\n    def test(self): pass",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *'c': it must be declared at module level, not in the*"])


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("3", "a mark's arguments are names of checks, not 3"),
        ("'c', tiemout=3", "the mark takes rc and timeout, not tiemout"),
        ("'c', timeout=-1", "timeout must be more than 0 seconds"),
        ("'c', rc='x'", "rc must be an exit code"),
    ],
)
def test_a_wrong_mark_is_a_usage_error(pytester: pytest.Pytester, mark: str, message: str) -> None:
    result = run(
        pytester,
        test_it=f"c = background_check('true')\n@pytest.mark.bgcheck({mark})\ndef test(): pass",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: test_it.py::test: {message}*"])


def test_a_winrm_host_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="c = background_check('true', host='winrm://w')\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *winrm is not supported*"])


@pytest.mark.parametrize("option", ["timeout=x", "order=first", "unawaited=no", "dir=a", "forks=0"])
def test_a_wrong_option_is_a_usage_error(pytester: pytest.Pytester, option: str) -> None:
    result = run(pytester, f"--bgcheck-{option}", test_it="def test(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --bgcheck-{option.split('=')[0]}: *"])


# --- awaiting -----------------------------------------------------------------------------------


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
    result.stdout.fnmatch_lines(["*without names awaits*this one requests none"])


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


def test_the_nearest_declaration_wins(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HEAD + "c = background_check('echo outer')")
    for folder, text in (("a", "echo inner"), ("b", "")):
        pytester.mkpydir(folder)
        if text:
            pytester.path.joinpath(folder, "conftest.py").write_text(
                HEAD + f"c = background_check({text!r})"
            )
        wanted = "inner" if text else "outer"
        pytester.path.joinpath(folder, f"test_{folder}.py").write_text(
            HEAD + f"@pytest.mark.bgcheck('c')\ndef test(c): assert c.stdout == '{wanted}\\n'"
        )
    pytester.runpytest_subprocess(timeout=60).assert_outcomes(passed=2)


def test_a_test_without_a_host_awaits_the_check_on_every_host(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    other = "local://?sudo_user=nobody"  # another host to testinfra, the same to us
    result = run(
        pytester,
        f"--hosts=local://,{other}",
        test_it="c = background_check('exit 4')\n@pytest.mark.bgcheck('c')\ndef test(): pass",
    )
    result.assert_outcomes(failed=1)
    assert (
        sum(line.startswith("background check 'c' on local failed") for line in result.outlines)
        == 2
    )


def test_a_pinned_check_runs_on_its_host(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--hosts=docker://no-such-container",
        test_it="c = background_check('true', host='local://')\n"
        "@pytest.mark.bgcheck('c')\ndef test(c): assert c.host == 'local'",
    )
    result.assert_outcomes(passed=1)


def test_a_suite_can_have_a_host_fixture_of_its_own(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="import testinfra\nc = background_check('true')\n"
        "@pytest.fixture(scope='module')\ndef host(): return testinfra.get_host('local://')",
        test_it="@pytest.mark.bgcheck('c')\ndef test(c): assert c.done()",
    )
    result.assert_outcomes(passed=1)


# --- handles ------------------------------------------------------------------------------------


def test_jobs_can_be_started_and_found(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="@pytest.fixture(scope='session', autouse=True)\n"
        "def start(bgcheck): bgcheck.start('echo hi', name='mine')",
        test_it="from pytest_bgcheck import State, WrongUse\n"
        "def test_found(bgcheck):\n"
        "    job = bgcheck['mine']\n"
        "    assert job is bgcheck['mine', 'local://']\n"
        "    assert job.result().stdout == 'hi\\n' and job.state is State.SUCCEEDED\n"
        "    assert job.state == 'succeeded'\n"
        "    assert bgcheck.start('echo hi', name='mine') is job\n"
        "    with pytest.raises(WrongUse, match='with another argv, command, timeout_s'):\n"
        "        bgcheck.start('echo ho', name='mine', timeout=3)\n"
        "    with pytest.raises(KeyError, match='did you mean'): bgcheck['mein']\n"
        "    with pytest.raises(WrongUse, match=\"'x': timeout must be\"):\n"
        "        bgcheck.start('true', name='x', timeout=-1)\n"
        "@pytest.mark.bgcheck('mine')\ndef test_awaited(): pass\n",
    )
    result.assert_outcomes(passed=2)


# --- the run ------------------------------------------------------------------------------------


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


ONE = (
    "c = background_check('>ran')\nother = background_check('>other')\n"
    "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
    "@pytest.mark.bgcheck('other')\ndef test_other(): pass\n"
)


@pytest.mark.parametrize(
    "options",
    [
        ["--collect-only"],
        ["--setup-only"],
        ["--setup-plan"],
        ["--bgcheck-plan"],
        ["--fixtures"],
        ["--fixtures-per-test"],
        ["--fixtures", "-n2"],
        ["--markers"],
        ["--help"],
        ["--cache-show"],
    ],
    ids=" ".join,
)
def test_nothing_is_started_by(pytester: pytest.Pytester, options: list[str]) -> None:
    report = pytester.path.joinpath("report.json")
    report.write_text("of an earlier run")
    result = run(
        pytester,
        *options,
        "--bgcheck-report=report.json",
        test_it=ONE.replace("'>", "'cd %s; >" % pytester.path),  # noqa: UP031
    )
    assert result.ret == 0
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert not pytester.path.joinpath("ran").exists()
    assert report.read_text() == "of an earlier run"


def test_only_what_a_selected_test_wants_is_started(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-k", "test_c", test_it=ONE)
    result.assert_outcomes(passed=1, deselected=1)
    assert pytester.path.joinpath("ran").exists()
    assert not pytester.path.joinpath("other").exists()


def test_nothing_is_started_when_collection_failed(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_it=ONE, test_bad="import nothing_of_this_name")
    result.assert_outcomes(errors=1)
    assert not pytester.path.joinpath("ran").exists()


UNAWAITED = "c = background_check('true')\ndef test(c): c.stdout\n"


@pytest.mark.parametrize(("how", "ret", "told"), [("warn", 0, 1), ("fail", 1, 1), ("ignore", 0, 0)])
def test_a_job_that_no_test_judged_is_told(
    pytester: pytest.Pytester, how: str, ret: int, told: int
) -> None:
    result = run(pytester, f"--bgcheck-unawaited={how}", test_it=UNAWAITED)
    assert result.ret == ret
    line = "background check 'c' on local was judged by no test (succeeded, rc 0)"
    assert result.stdout.str().count(line) == told


def test_an_option_wins_over_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbgcheck_timeout = 7\nbgcheck_unawaited = fail\n")
    result = run(pytester, "--bgcheck-unawaited=warn", test_it=UNAWAITED)
    assert result.ret == 0
    plan = pytester.runpytest_subprocess("--bgcheck-plan")
    plan.stdout.fnmatch_lines(["  <Check c> timeout=7: true"])


def test_keep_leaves_the_files_and_says_where(pytester: pytest.Pytester, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    result = run(
        pytester,
        "--bgcheck-keep",
        f"--bgcheck-dir={base}",
        test_it="c = background_check('echo kept')\n@pytest.mark.bgcheck('c')\ndef test(): pass",
    )
    result.stdout.fnmatch_lines([f"kept: local: {base}/pytest-bgcheck-*"])
    # Behind the mark that tells whether the check has overwritten it.
    assert [p.read_text()[14:] for p in base.glob("*/*/*/out")] == ["kept\n"]


LONG = (
    "c = background_check('sleep 95.3')\n"
    "@pytest.fixture\ndef broken(): raise RuntimeError\n"
    "def test_first(): pass\n"
)


@pytest.mark.parametrize(
    ("args", "test"),
    [
        (["-x"], "@pytest.mark.bgcheck('c', timeout=0.3)\ndef test_x(): pass\n"),
        ([], "@pytest.mark.bgcheck('c')\ndef test_f(broken): pass\n"),
        ([], "def test_k(c): raise KeyboardInterrupt\n"),
        ([], "def test_e(c): pytest.exit('over')\n"),
    ],
    ids=["x", "fixture", "interrupt", "exit"],
)
def test_nothing_is_left_however_the_run_ends(
    pytester: pytest.Pytester, args: list[str], test: str
) -> None:
    result = run(pytester, *args, test_it=LONG + test)
    assert result.duration < 60
    assert leftovers.directories() == []
    assert not leftovers.checks()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_nothing_is_left_after_a_signal(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile(test_it=HEAD + LONG + "@pytest.mark.bgcheck('c')\ndef test_w(): pass\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest"], cwd=pytester.path, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while not leftovers.checks():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, getattr(signal, name))
    assert process.wait(30) == pytest.ExitCode.INTERRUPTED
    assert leftovers.directories() == []
    assert not leftovers.checks()


@pytest.mark.usefixtures("docker_engine")
def test_a_host_that_is_not_there_fails_only_its_own_tests(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="gone = background_check('true', host='docker://no-such-container-bgcheck')\n"
        "c = background_check('true', host='local://')\n"
        "@pytest.mark.bgcheck('gone')\ndef test_gone(): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines(
        [r"background check 'gone' on docker://no-such-container-bgcheck not started: .*[Nn]o such"]
    )


def test_a_suite_that_does_not_use_it_imports_nothing_of_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import sys\ndef test():\n"
        "    heavy = {'runner', 'transport', 'session', 'hosts', 'protocol'}\n"
        "    assert not {f'pytest_bgcheck.{m}' for m in heavy} & set(sys.modules)\n",
    )
    result.assert_outcomes(passed=1)


def test_a_wrong_start_shows_no_variables(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="ENV = {'TOKEN': 'secret-value'}\n"
        "def test_wrong(bgcheck): bgcheck.start('true', name='c', env=ENV, timeout=-1)\n"
        "def test_other(bgcheck):\n    bgcheck.start('true', name='d', env=ENV)\n"
        "    bgcheck.start('false', name='d', env=ENV)\n"
        "def test_host(bgcheck): bgcheck.start('true', name='e', env=ENV, host=3)\n",
    )
    result.assert_outcomes(failed=3)
    assert "WrongUse" in result.stdout.str()
    assert "'secret-value'" not in result.stdout.str()


def test_requests_stay_out_of_the_log(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--log-cli-level=DEBUG",
        test_it="c = background_check('true', env={'TOKEN': 'secret-value'})\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(host, c): host.run('echo of-the-test')\n",
    )
    result.assert_outcomes(passed=1)
    assert "of-the-test" in result.stdout.str()
    assert "secret-value" not in result.stdout.str()
    assert "supervisor" not in result.stdout.str()


def test_a_check_can_run_as_another_user(pytester: pytest.Pytester) -> None:
    require(os.getuid() == 0, "root", "run the tests as root")
    require(shutil.which("sudo") is not None, "sudo", "apt-get install sudo")
    result = run(
        pytester,
        test_it="a = background_check('id -un; sleep 0.2', sudo_user='nobody', cwd='/tmp')\n"
        "b = background_check('echo $SUDO_USER', sudo=True)\n"
        "@pytest.mark.bgcheck\ndef test_a(a): assert a.stdout == 'nobody\\n'\n"
        "@pytest.mark.bgcheck\ndef test_b(b): assert b.stdout == 'root\\n'\n",
    )
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*not cleaned up*")


def test_huge_output_costs_no_memory_here(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import resource\n"
        "def rss(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "big = background_check('head -c 200000000 /dev/zero; head -c 200000000 /dev/zero >&2')\n"
        "def test_before():\n    global before\n    before = rss()\n"
        "@pytest.mark.bgcheck\ndef test_big(big):\n"
        "    assert big.result().stdout_kept.size == 200_000_000\n"
        "    assert rss() - before < 60\n",
    )
    result.assert_outcomes(passed=2)


def test_a_handle_can_be_set_up_where_nothing_is_started(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--setup-only", test_it=UNAWAITED)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*SETUP*M c*"])


def test_a_lookup_says_how_to_tell_jobs_apart(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HEAD + "c = background_check('echo outer')")
    pytester.mkpydir("inner").joinpath("test_it.py").write_text(
        HEAD + "c = background_check('echo inner', host='local://')\n"
        "d = background_check('true')\n"
        "@pytest.mark.bgcheck('c')\ndef test_inner(): pass\n"
        "@pytest.mark.bgcheck('d')\ndef test_d(): pass\n"
        "def test_lookup(bgcheck):\n"
        "    with pytest.raises(KeyError, match='2 background checks with the name'):\n"
        "        bgcheck['c']\n"
        "    with pytest.raises(KeyError, match='has no job on ssh://x, but on: local'):\n"
        "        bgcheck['d', 'ssh://x']\n"
        "    job = bgcheck['d', 'local']\n"
        "    assert job is bgcheck['d', 'local://'] is bgcheck['d', job.host]\n"
    )
    pytester.path.joinpath("test_outer.py").write_text(
        HEAD + "@pytest.mark.bgcheck('c')\ndef test_outer(): pass\n"
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


# --- what a suite or pytest lacks -----------------------------------------------------------------


def test_a_host_that_is_none_of_testinfras_is_told_where_it_matters(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        test_it="@pytest.fixture(scope='module')\ndef host(): return 'web1'\n"
        "pinned = background_check('true', host='local://')\nfree = background_check('true')\n"
        "@pytest.mark.bgcheck('pinned')\ndef test_pinned(host, pinned): assert pinned.done()\n"
        "@pytest.mark.bgcheck('free')\ndef test_free(host): pass\n"
        "def test_handle(host, free): pass\n"
        "@pytest.mark.bgcheck('started')\ndef test_started(host, started): pass\n"
        "@pytest.fixture\ndef started(bgcheck): bgcheck.start('true', name='started')\n",
    )
    result.assert_outcomes(passed=2, failed=1, errors=1)
    told = "host must be a hostspec or a testinfra Host, not 'web1'"
    result.stdout.fnmatch_lines_random([told, f"background check 'free': {told}"])
    result.stdout.no_re_match_line(r".*(Traceback|pytest_bgcheck[/\\])")


OFF = (
    "setuponly", "setupplan", "stepwise", "cacheprovider", "junitxml", "skipping", "unittest",
    "doctest", "logging", "warnings", "faulthandler", "recwarn", "capture", "debugging",
    "pastebin", "unraisableexception", "threadexception", "subtests", "xdist",
)  # fmt: skip


@pytest.mark.parametrize("off", [OFF, ("terminal",), ("pytest11.testinfra",)], ids=lambda o: o[0])
def test_plugins_that_are_switched_off_are_not_missed(
    pytester: pytest.Pytester, off: tuple[str, ...]
) -> None:
    result = run(
        pytester,
        *(f"-pno:{name}" for name in off),
        "--bgcheck-report=told.json",
        test_it="good = background_check('true', host='local://')\n"
        "bad = background_check('exit 3', host='local://')\n"
        "@pytest.mark.bgcheck('good')\ndef test_good(bgcheck):\n"
        "    assert bgcheck.start('true', name='other').result().succeeded\n"
        "@pytest.mark.bgcheck('bad')\ndef test_bad(): pass\n",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = json.loads(pytester.path.joinpath("told.json").read_text())
    assert {test["test"]: test["outcome"] for test in told["tests"]} == {
        "test_it.py::test_good": "passed",
        "test_it.py::test_bad": "failed",
    }
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "pytest_bgcheck/" not in result.stdout.str() + result.stderr.str()
