"""Checks that start behind a fixture that is set up for each host (``after=`` and ``host``)."""

import json
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

HOSTS = "--hosts=ssh://target,ssh://target2,local://"

# Each host has a version of its own, in a file of its name, for all three are this computer.
DEPLOY = """
def version(host):
    return f"cat {host.backend.get_pytest_id().rpartition('/')[2]}"

c = background_check(version, after="deploy", cwd=FOLDER)

@pytest.fixture(scope="module")
def inventory(host): return host.backend.get_pytest_id().rpartition("/")[2]

@pytest.fixture(scope=SCOPE, autouse=AUTO)
def deploy(inventory, host):
    assert inventory != FAILING
    host.check_output("sleep 0.3; echo new >%s/%s", FOLDER, inventory)
"""
AWAIT = "@pytest.mark.bgcheck('c')\ndef test(host, c, deploy): assert c.stdout == 'new\\n'\n"


def run_deploying(
    pytester: pytest.Pytester,
    server: SSHServer,
    tests: str = AWAIT,
    *options: str,
    scope: str = "module",
    auto: bool = False,
    failing: str = "",
) -> pytest.RunResult:
    for name in ("target", "target2", "local"):
        pytester.path.joinpath(name).write_text("old\n")
    given = f"FOLDER, SCOPE, AUTO, FAILING = {str(pytester.path)!r}, {scope!r}, {auto}, {failing!r}"
    return run(
        pytester, HOSTS, f"--ssh-config={server.client_config}", *options,
        test_it=f"{given}\n{DEPLOY}{tests}",
    )  # fmt: skip


@pytest.mark.parametrize("options", [[], ["-n2"], ["--bgcheck-order=keep"]])
@pytest.mark.parametrize("scope", ["module", "function"])
def test_each_host_s_job_starts_behind_the_set_up_for_that_host(
    pytester: pytest.Pytester, ssh_server: SSHServer, scope: str, options: list[str]
) -> None:
    tests = "def test_first(host, deploy): pass\n" + AWAIT
    result = run_deploying(pytester, ssh_server, tests, *options, scope=scope)
    result.assert_outcomes(passed=6)


def test_a_test_without_a_host_awaits_it_behind_each_set_up(
    pytester: pytest.Pytester, ssh_server: SSHServer
) -> None:
    tests = (
        "def test_first(host, deploy): pass\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(bgcheck):\n"
        "    for host in ('ssh://target', 'ssh://target2', 'local'):\n"
        "        assert bgcheck['c', host].stdout == 'new\\n'\n"
    )
    run_deploying(pytester, ssh_server, tests).assert_outcomes(passed=4)


def test_a_set_up_that_fails_for_one_host_keeps_only_its_job(
    pytester: pytest.Pytester, ssh_server: SSHServer
) -> None:
    result = run_deploying(
        pytester, ssh_server, AWAIT, "--bgcheck-report=r.json", failing="target2"
    )
    result.assert_outcomes(passed=2, errors=1)
    jobs = json.loads(pytester.path.joinpath("r.json").read_text())["jobs"]
    assert {job["host"]: job["state"] for job in jobs} == {
        "ssh://target": "succeeded",
        "ssh://target2": "not started",
        "local": "succeeded",
    }
    result.stdout.fnmatch_lines(["*'c' on ssh://target2 was judged by no test (not started, *"])
    result.stdout.fnmatch_lines(["*the fixture 'deploy', which failed: AssertionError*"])


def test_a_host_for_which_it_was_not_set_up_starts_nothing(
    pytester: pytest.Pytester, ssh_server: SSHServer
) -> None:
    tests = (
        "def test_first(host, request):\n"
        "    if 'ssh' in str(host.backend.get_pytest_id()): request.getfixturevalue('deploy')\n"
        "@pytest.mark.bgcheck('c')\ndef test(host): pass\n"
    )
    result = run_deploying(pytester, ssh_server, tests)
    result.assert_outcomes(passed=5, failed=1)
    why = "which was set up for other hosts, but not for this one before test_it.py::test[[]local]"
    result.stdout.fnmatch_lines(
        [f"*'c' on local not started: it starts after the fixture 'deploy', {why} awaited *"]
    )


def test_any_host_s_set_up_starts_a_pinned_check(
    pytester: pytest.Pytester, ssh_server: SSHServer
) -> None:
    tests = (
        "p = background_check('true', after='deploy', host='local://')\n"
        "@pytest.mark.bgcheck('p')\ndef test(host, p, deploy): pass\n"
    )
    # None is for the host that it is pinned to.
    run_deploying(pytester, ssh_server, tests, "-k=target").assert_outcomes(passed=2)


def test_a_job_of_a_call_starts_behind_it_too(
    pytester: pytest.Pytester, ssh_server: SSHServer, own_tmpdir: Path
) -> None:
    tests = (
        "@pytest.fixture\ndef own(bgcheck, host):\n"
        "    return bgcheck.start(version, name='own', after='deploy', host=host, cwd=FOLDER)\n"
        "@pytest.fixture\ndef here(bgcheck):\n"
        "    return bgcheck.start('true', name='here', after='deploy')\n"
        "def test(own, here, deploy):\n"
        "    assert own.result().stdout == 'new\\n'\n"
        "    assert here.result().succeeded\n"
        "def test_again(own): assert own.result().stdout == 'new\\n'\n"
    )
    run_deploying(pytester, ssh_server, tests).assert_outcomes(passed=6)


def test_an_autouse_fixture_may_deploy(pytester: pytest.Pytester, ssh_server: SSHServer) -> None:
    tests = "@pytest.mark.bgcheck('c')\ndef test(c): assert c.stdout == 'new\\n'\n"
    run_deploying(pytester, ssh_server, tests, "-n2", auto=True).assert_outcomes(passed=3)


def test_a_fixture_that_overrides_another_counts_with_what_that_requests(
    pytester: pytest.Pytester, ssh_server: SSHServer
) -> None:
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef made(inventory): return inventory\n")
    tests = (
        "m = background_check(version, after='made', cwd=FOLDER)\n"
        "@pytest.fixture\ndef made(made, deploy): return made\n"
        "@pytest.mark.bgcheck('m')\ndef test(host, m, made): assert m.stdout == 'new\\n'\n"
    )
    run_deploying(pytester, ssh_server, tests).assert_outcomes(passed=3)
