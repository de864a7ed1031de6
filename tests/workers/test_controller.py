"""The controller of a run with workers: the order of the tests, what it tells, what it asks."""

from pathlib import Path

import pytest
from support.machines import SSHServer
from support.runs_in_background import HEAD, QUICK, nothing_is_left, runs

pytest.importorskip("xdist")

pytestmark = pytest.mark.usefixtures("own_tmpdir")


@pytest.mark.parametrize("dist", ["load", "worksteal"])
def test_no_worker_waits_while_ordinary_tests_are_left_for_others(
    pytester: pytest.Pytester, tmp_path: Path, dist: str
) -> None:
    log = tmp_path / "log"
    log.touch()
    pytester.makeconftest(
        f"def pytest_runtest_logstart(nodeid): open({str(log)!r}, 'a').write(nodeid + '\\n')"
    )
    pytester.makepyfile(
        HEAD + "slow = background_check('sleep 2')\nslower = background_check('sleep 3')\n"
        "@pytest.mark.bgcheck('slower')\ndef test_slower(): pass\n"
        "@pytest.mark.bgcheck('slow')\ndef test_slow(): pass\n"
        "@pytest.mark.parametrize('n', range(24))\n"
        "def test_ordinary(n): time.sleep(0.4 if n < 6 else 0.02)\n"
    )
    pytester.runpytest_subprocess("-n3", f"--dist={dist}").assert_outcomes(passed=26)
    begun = dict.fromkeys(line.rpartition("::")[2] for line in log.read_text().splitlines())
    order = list(begun)
    # Each worker has at most the test after the one that it runs.
    assert min(order.index("test_slow"), order.index("test_slower")) >= 24 - 2 * 1


def test_the_order_follows_the_durations_of_earlier_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEAD + "a = background_check('sleep 1', timeout=50)\n"
        "b = background_check('true', timeout=60)\n"
        "@pytest.mark.bgcheck('a')\ndef test_a(): pass\n"
        "@pytest.mark.bgcheck('b')\ndef test_b(): pass\n"
    )
    for _ in range(2):
        result = pytester.runpytest_subprocess("-n1", "-v")
    result.stdout.fnmatch_lines(["*PASSED*test_b*", "*PASSED*test_a*"])


def test_the_controller_tells_of_a_job_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEAD + "c = background_check('true')\n"
        "@pytest.mark.parametrize('n', range(8))\ndef test(c, n): c.stdout\n"
    )
    result = pytester.runpytest_subprocess("-n3", "--bgcheck-unawaited=fail")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    line = "background check 'c' on local was judged by no test (succeeded, rc 0)"
    assert result.stdout.str().count(line) == 1


def test_few_calls_are_made_to_a_host(
    pytester: pytest.Pytester, own_tmpdir: Path, ssh_server: SSHServer
) -> None:
    pytester.makepyfile(
        HEAD + "for i in range(12):\n"
        "    exec(f'c{i} = background_check(\"sleep 2\")')\n"
        "    exec(f'@pytest.mark.bgcheck(\"c{i}\")\\ndef test_c{i}(host): pass')\n"
    )
    before = ssh_server.connections()
    result = pytester.runpytest_subprocess(
        "-n3", "--hosts=ssh://target", f"--ssh-config={ssh_server.client_config}",
        f"--bgcheck-dir={own_tmpdir}",
    )  # fmt: skip
    result.assert_outcomes(passed=12)
    # Each worker asks for all starts, unless it has heard of them, and for all ends; one cleans.
    # Each call connects by itself here: this TMPDIR is too long for the socket of a shared one.
    assert ssh_server.connections() - before <= 3 * 2 + 1
    assert nothing_is_left()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bad = background_check('x', timeout=-3)", "'bad': timeout must be more than 0 seconds"),
        ("pytestmark = pytest.mark.bgcheck('c', rc='zero')", "rc must be one or more exit codes"),
    ],
)
@pytest.mark.parametrize("dist", ["load", "worksteal", "loadfile", "each"])
def test_a_wrong_suite_is_a_usage_error(
    pytester: pytest.Pytester, text: str, message: str, dist: str
) -> None:
    pytester.makepyfile(HEAD + text + "\ndef test_1(): pass\ndef test_2(): pass\n")
    result = pytester.runpytest_subprocess("-n2", f"--dist={dist}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{message}*"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_the_plan_is_shown_without_workers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAD + QUICK)
    result = pytester.runpytest_subprocess("-n2", "--bgcheck-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["<Host local>", "  <Check c>*"])


@pytest.mark.parametrize("dist", ["loadfile", "loadscope"])
def test_a_worker_without_tests_starts_its_share_all_the_same(
    pytester: pytest.Pytester, count: Path, dist: str
) -> None:
    hosts = ["local://", "local://?sudo_user=nobody", "local://?sudo_user=daemon"]
    pytester.makepyfile(
        HEAD + f"for i, host in enumerate({hosts!r}):\n"
        "    exec(f'c{i} = background_check(\"echo c{i} >>$COUNT\", host=host)')\n"
        "def test_first():\n"
        "    deadline = time.monotonic() + 30\n"
        "    while len(open(os.environ['COUNT']).read().split()) < 3:\n"
        "        assert time.monotonic() < deadline\n        time.sleep(0.05)\n"
        "@pytest.mark.bgcheck('c0', 'c1', 'c2')\ndef test_last(): pass\n"
    )
    pytester.runpytest_subprocess("-n3", f"--dist={dist}").assert_outcomes(passed=2)
    assert runs(count) == {"c0": 1, "c1": 1, "c2": 1}


def test_a_suite_that_uses_nothing_of_it_runs_as_ever(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test(n): pass")
    for dist in ("load", "worksteal"):
        pytester.runpytest_subprocess("-n2", f"--dist={dist}").assert_outcomes(passed=9)
