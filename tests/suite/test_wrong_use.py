"""What a suite gets wrong is a usage error, or fails the test that it is about."""

import pytest
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")


WRONG = [
    ("", "exactly one of command and script must be given"),
    ("'true', script='x'", "exactly one of command and script must be given, not both"),
    ("script='nowhere.sh'", "script cannot be read: *nowhere.sh: No such file"),
    ("script='~/x.sh'", "script='~/x.sh' would be taken literally: write script=pathlib.Path('~/"),
    ("'true', args=['x']", "args go with script"),
    ("script='x', args='a b'", "args must be a *, not str 'a b': write [[]'a', 'b']"),
    ("''", "command must not be empty"),
    ("[]", "command must name a program"),
    ("['a', 3]", "command must be a string or a sequence of strings, but command[[]1] is int 3"),
    ("{'a', 'b'}", "command must be a string or a sequence of strings, not set"),
    ("Path('/opt/x')", "command must be a string or *, not PosixPath '/opt/x': write [[]'/opt/x']"),
    ("'a', 'b'", "only the command is given by position, and 1 more was: write another name than"),
    ("'true', tiemout=3", "a check has no argument 'tiemout': did you mean 'timeout'[?]"),
    ("'true', xyz=3", "a check has no argument 'xyz': it takes command, name, host, timeout, "),
    ("'true', timeout=-1", "timeout must be more than 0 seconds, not -1"),
    ("'true', timeout='5'", "timeout must be *, not str '5': write 5"),
    ("'true', timeout='5 s'", "timeout must be a number of seconds or a timedelta, not str '5 s'"),
    ("'true', timeout=True", "timeout must be a number of seconds or a timedelta, not bool True"),
    ("'true', timeout=float('nan')", "timeout must be a number of seconds"),
    ("'true', timeout=1e9", "timeout must be at most 864000 seconds"),
    ("'true', grace=-1", "grace must be 0 or more seconds, not -1"),
    ("'true', retry_every=0", "retry_every must be more than 0 seconds"),
    ("'true', retry_every=5, rc=None", "retry_every contradicts rc=None"),
    (
        "'true', rc=256",
        "rc must be one or more exit codes from 0 to 255, or None for any, not int 2",
    ),
    ("'true', rc='2'", "rc must be one or more exit codes *, not str '2': write 2"),
    ("'true', rc=2.0", "rc must be one or more exit codes *, not float 2.0: write 2"),
    ("'true', rc=[]", "rc must have at least one exit code"),
    ("'true', rc=True", "rc must be one or more exit codes *, not bool True"),
    ("'true', env=['A']", "env must be a mapping of names to strings, not list: write env={'NAME'"),
    ("'true', env={'A-B': 'x'}", "env must have names of letters, digits and underscores"),
    ("'true', env={'PORT': 80}", "env[[]'PORT'] must be a string, not int: quote its value, or"),
    ("'true', env={'A': None}", "env[[]'A'] must be a string, not None: leave it out"),
    ("'true', sudo='yes'", "sudo must be True or False, not str 'yes'"),
    ("'true', sudo=1", "sudo must be True or False, not int 1"),
    ("'true', sudo=False, sudo_user='x'", "sudo_user='x' contradicts sudo=False"),
    ("'true', sudo_user=1000", "sudo_user must be a string, not int 1000"),
    ("'true', output_limit=0", "output_limit must be a positive number"),
    ("'true', output_limit=True", "output_limit must be a whole number of bytes, not bool True"),
    ("'true', output_limit=1e6", "output_limit must be *, not float 1000000.0: write 1000000"),
    (
        "'true', unawaited=False",
        "unawaited must be one of 'warn', 'fail', 'ignore', not bool False",
    ),
    ("'true', name='a b'", "name must be an identifier, since a test takes *, not 'a b'"),
    ("'true', name='class'", "name must be an identifier, since a test takes *, not 'class'"),
    ("'true', name=3", "name must be an identifier, since a test takes *, not 3"),
    ("'true', cwd=3", "cwd must be a string, not int 3"),
    ("'true', cwd='~/x'", "cwd='~/x' would be taken literally, for no shell reads it: write the"),
    ("check0", "command must not be the declaration of a check: where its name is meant, write"),
    ("'true', host=check0", "host must not be the declaration of a check"),
    ("'true', name=check0", "name must not be the declaration of a check"),
    ("'true', name='host'", "name must not be 'host': checks need the fixture of that name"),
    ("'x' * 200000", "command is too long: a program takes 131,071 bytes in one word"),
]
"""Arguments of a declaration, and what is said of them."""


def test_each_wrong_declaration_is_told_by_one_usage_error(pytester: pytest.Pytester) -> None:
    declared = [
        f"check{n} = background_check({arguments})" for n, (arguments, _) in enumerate(WRONG)
    ]
    head = "from pathlib import Path\n"
    result = run(pytester, conftest=head + "\n".join(declared), test_it="def test(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    for line, (_, message) in enumerate(WRONG, 4):
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
        ("['c', 'd']", "the mark's arguments must be names *: write mark.bgcheck('c', 'd')"),
        ("3", "the mark's arguments must be names of checks, services or probes, not 3"),
        (
            "'a, b'",
            "*of checks, services or probes, not 'a, b': write mark.bgcheck('a', 'b')",
        ),
        ("''", "the mark's arguments must be names of checks, services or probes, not ''"),
        ("'c', tiemout=3", "the mark has no argument 'tiemout': did you mean 'timeout'[?]"),
        ("'c', xyz=3", "the mark has no argument 'xyz': it takes rc, timeout"),
        ("'c', timeout=-1", "timeout must be more than 0 seconds"),
        ("'c', rc='x'", "rc must be one or more exit codes"),
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
    told = (
        "background check 'free': the fixture 'host' is the suite's own here and gives 'web1', not"
        ' a testinfra Host: pin it, as in host="ssh://web1"'
    )
    assert result.outlines.count(told) == 2
    result.stdout.no_re_match_line(r".*(Traceback|pytest_bgcheck[/\\]|During handling)")


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


def test_a_wrong_key_and_an_unknown_one_are_told(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="c = background_check('true')\n"
        "def test_job(bgcheck, c): bgcheck[c]\n"
        "def test_three(bgcheck): bgcheck['c', 'local://', 3]\n"
        "def test_unknown(bgcheck): bgcheck['d']\n"
        "def test_name(bgcheck, c): bgcheck.start('true', name=c)\n",
    )
    result.assert_outcomes(failed=4)
    takes = "WrongUse: bgcheck[[]...] takes a job's name, or its name and a host, not"
    result.stdout.fnmatch_lines_random(
        [f"E *{takes} tuple", f"E *{takes} Job",
         "E *NoSuchJob: no background check, service or probe 'd' was declared or started for *",
         "E *known: c",
         "E *WrongUse: name must be a non-empty string of printable characters, not <Job 'c' *"]
    )  # fmt: skip
