"""A command that a function makes of testinfra's Host, when the job starts."""

import json

import pytest
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")


def inventory(pytester: pytest.Pytester) -> str:
    pytest.importorskip("ansible")
    path = pytester.path / "inventory"
    path.write_text(
        "[web]\nweb1 ansible_connection=local port=81\nweb2 ansible_connection=local port=82\n"
    )
    return f"--ansible-inventory={path}"


def test_it_may_depend_on_the_inventory(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        inventory(pytester),
        "--hosts=ansible://web",
        test_it="def port(host): return f'echo {host.ansible.get_variables()[\"port\"]}'\n"
        "c = background_check(port)\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(host, c): assert c.stdout == f'{host.ansible.get_variables()[\"port\"]}\\n'\n",
    )
    result.assert_outcomes(passed=2)


def test_it_may_ask_the_host_and_return_an_argv(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="def make(host): return ['printf', '%s', host.check_output('echo a b')]\n"
        "c = background_check(make)\n"
        "@pytest.mark.bgcheck('c')\ndef test(c): assert c.stdout == 'a b'\n",
    )
    result.assert_outcomes(passed=1)


def test_a_failure_and_the_reports_show_the_command_that_it_made(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--bgcheck-report=r.json",
        test_it="def make(host): return 'exit 3'\n"
        "c = background_check(make)\n@pytest.mark.bgcheck('c')\ndef test(): pass\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["background check 'c' on local failed: rc 3*", "  command: exit 3"]
    )
    (job,) = json.loads((pytester.path / "r.json").read_text())["jobs"]
    assert job["command"] == "exit 3"


def test_the_plan_shows_where_the_function_stands_and_does_not_call_it(
    pytester: pytest.Pytester,
) -> None:
    pytester.mkdir("deep")
    pytester.path.joinpath("deep/test_it.py").write_text(
        "import pytest\nfrom pytest_bgcheck import background_check\n"
        "def port(host): raise SystemExit\n"
        "c = background_check(port)\n@pytest.mark.bgcheck('c')\ndef test(): pass\n"
    )
    for look in ("--bgcheck-plan", "--collect-only", "--fixtures"):
        result = pytester.runpytest_subprocess(look, "-v", timeout=60)
        assert result.ret == 0
        if look == "--bgcheck-plan":
            where = "<port(host) in deep/test_it.py:3>"
            result.stdout.fnmatch_lines([f"*<Check c> timeout=360: {where}"])
        if look == "--fixtures":
            result.stdout.fnmatch_lines(["*The background check <port(host) in test_it.py:3>."])


@pytest.mark.parametrize("dist", ["load", "each"])
def test_it_is_called_once_in_a_run_of_workers(pytester: pytest.Pytester, dist: str) -> None:
    calls, runs = pytester.path / "calls", pytester.path / "runs"
    result = run(
        pytester,
        "-n3",
        f"--dist={dist}",
        test_it="def make(host):\n"
        f"    with open({str(calls)!r}, 'a') as file: file.write('x')\n"
        f"    return 'echo >>{runs}'\n"
        "c = background_check(make)\n"
        "@pytest.mark.bgcheck('c')\n@pytest.mark.parametrize('i', range(9))\ndef test(i): pass\n",
    )
    result.assert_outcomes(passed=9 if dist == "load" else 27)
    assert runs.read_text() == "\n"
    # More than once only where workers want it before they have heard of its start.
    assert set(calls.read_text()) == {"x"}
    assert len(calls.read_text()) <= 3


def test_another_workers_failure_shows_the_command_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "-n2",
        "--dist=each",
        test_it="import time\nc = background_check(lambda host: 'sleep 1; exit 3')\n"
        "def test_first(): time.sleep(0.5)\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n",
    )
    result.assert_outcomes(passed=2, failed=2)
    assert result.outlines.count("  command: sleep 1; exit 3") == 2


def test_workers_that_start_a_job_by_one_name_agree_on_its_command(
    pytester: pytest.Pytester,
) -> None:
    """Whoever comes second with another command is refused: its test must not judge the first's."""
    result = run(
        pytester,
        "-n2",
        "--dist=each",
        test_it="import os\n"
        "@pytest.fixture\ndef same(bgcheck):\n"
        "    return bgcheck.start(lambda host: 'echo same', name='same')\n"
        "@pytest.fixture\ndef other(bgcheck):\n"
        "    return bgcheck.start(lambda host: f'echo {os.getpid()}', name='other')\n"
        "def test_same(same): assert same.stdout == 'same\\n'\n"
        "def test_other(other):\n"
        "    if other.succeeded: assert other.stdout == f'{os.getpid()}\\n'\n"
        "    else: assert other.result().detail.endswith('with other arguments')\n",
    )
    result.assert_outcomes(passed=4)


WRONG = {
    "raise KeyError('port')": "raised KeyError: 'port' (test_it.py:4)",
    "pytest.skip('no')": "raised Skipped: no (test_it.py:4)",
    "yield 'echo'; raise KeyError('port')": "raised KeyError: 'port' (test_it.py:4)",
    "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})": ": internal error: *zero",
    "return None": "returned None, not a command",
    "return 3": ": its result must be a string or a sequence of strings, not int 3",
    "return ['echo', 3]": ": its result must be *, but its result[1] is int 3*",
    "return ' '": ": its result must not be empty*",
    "return 'x' * 200000": ": command is too long: *",
}


@pytest.mark.parametrize(("body", "message"), WRONG.items(), ids=WRONG)
def test_a_function_that_makes_no_command_starts_nothing_and_says_why(
    pytester: pytest.Pytester, body: str, message: str
) -> None:
    result = run(
        pytester,
        test_it=f"def make(host):\n    {body}\n"
        "c = background_check(make)\n"
        "other = background_check('true')\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
        "@pytest.mark.bgcheck('other')\ndef test_other(): pass\n",
    )
    result.assert_outcomes(failed=1, passed=1)
    shown = "<make(host) in test_it.py:3>"
    space = "" if message.startswith(":") else " "
    result.stdout.fnmatch_lines(
        [f"background check 'c' on local not started: {shown}{space}{message}".replace("[", "[[]")]
    )


def test_an_error_of_a_function_is_in_the_log_with_its_traceback(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--log-file=log",
        test_it="c = background_check(lambda host: 1 // 0, env={'TOKEN': 'hidden-word'})\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not started: <lambda(host) in test_it.py:3> raised Zero*"])
    log = (pytester.path / "log").read_text()
    assert "<lambda(host) in test_it.py:3> of 'c' made no command" in log
    assert "Traceback (most recent call last)" in log
    assert "ZeroDivisionError" in log


def test_a_function_that_does_not_return_delays_no_other_check(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="from pytest_bgcheck.target import commands\ncommands.MAKING_S = 2.0\n",
        test_it="import time\n"
        "stuck = background_check(lambda host: time.sleep(600))\n"
        "c = background_check('true')\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(bgcheck):\n"
        "    assert bgcheck['stuck'].state == 'pending'\n"
        "@pytest.mark.bgcheck('stuck')\ndef test_stuck(): pass\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*not started: <lambda(host) in *> has not returned after 2 s"])


def test_a_run_does_not_wait_for_a_function_when_it_ends(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import time\n"
        "stuck = background_check(lambda host: time.sleep(600))\n"
        "def test(stuck): pass\n",
    )
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*not cleaned up*")
    assert result.duration < 30


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lambda: 'true'", "command must be a function of one argument, testinfra's Host: *"),
        ("lambda a, b: 'true'", "command must be a function of one argument, testinfra's Host: *"),
        ("lambda host: 'true', script='x'", "exactly one of command and script must be given*"),
        ("str", "command must be a string or a sequence of strings, not type"),
    ],
)
def test_a_wrong_function_is_a_usage_error(
    pytester: pytest.Pytester, given: str, message: str
) -> None:
    result = run(
        pytester,
        test_it=f"c = background_check({given})\n@pytest.mark.bgcheck('c')\ndef test(): pass\n",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *test_it.py:3: background check 'c': {message}"])


def test_one_function_with_other_values_is_another_check(pytester: pytest.Pytester) -> None:
    """In one place and with one name, workers could not tell the jobs of the two apart."""
    pytester.makepyfile(
        shared="from pytest_bgcheck import background_check\n"
        "def make(port): return background_check(lambda host: f'echo {port}')\n"
    )
    for folder in ("a", "b"):
        pytester.mkpydir(folder)
        pytester.path.joinpath(folder, f"test_{folder}.py").write_text(
            f"import pytest\nfrom shared import make\nc = make({folder!r})\n"
            "@pytest.mark.bgcheck('c')\ndef test(c): pass\n"
        )
    pytester.syspathinsert()
    result = pytester.runpytest_subprocess(timeout=60)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *'c': its function <make.lambda(host) in shared.py:2> is*"]
    )


def test_a_module_that_is_imported_twice_declares_one_check(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_a="import pytest\nfrom pytest_bgcheck import background_check\n"
        "c = background_check(lambda host: 'true')\n"
        "@pytest.mark.bgcheck('c')\ndef test(bgcheck): assert bgcheck['c'].succeeded\n",
        test_b="import sys\nsys.path.insert(0, '.')\nfrom test_a import c\nimport pytest\n"
        "@pytest.mark.bgcheck('c')\ndef test(bgcheck): assert bgcheck['c'].succeeded\n",
    )
    result = pytester.runpytest_subprocess("--import-mode=importlib", timeout=60)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["1 background check on 1 host*"])


def test_a_job_that_a_call_starts_again_is_the_same_unless_the_function_holds_another_value(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        test_it="def start(bgcheck, port):\n"
        "    return bgcheck.start(lambda host: f'echo {port}', name='c')\n"
        "def test(bgcheck):\n"
        "    assert start(bgcheck, 1) is start(bgcheck, 1)\n"
        "    assert start(bgcheck, 1).stdout == '1\\n'\n"
        "    with pytest.raises(ValueError, match='on local with another command'):\n"
        "        start(bgcheck, 2)\n",
    )
    result.assert_outcomes(passed=1)
