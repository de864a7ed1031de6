"""The examples, run as their READMEs say."""

import shutil
from pathlib import Path

import pytest
from support.machines import SSHServer, tool

pytestmark = pytest.mark.quick

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(pytester: pytest.Pytester, name: str, *args: str) -> pytest.RunResult:
    shutil.copytree(EXAMPLES / name, pytester.path / name)
    result = pytester.runpytest_subprocess(name, *args, timeout=120)
    result.stdout.no_fnmatch_line("*judged by no test*")
    return result


def test_quickstart_passes(pytester: pytest.Pytester) -> None:
    run(pytester, "quickstart").assert_outcomes(passed=3)


def test_quickstart_shows_a_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_RC", "3")
    result = run(pytester, "quickstart")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["background check 'backup' on local failed: rc 3 after *"])


def test_monitoring_passes(pytester: pytest.Pytester) -> None:
    run(pytester, "monitoring").assert_outcomes(passed=3)


def test_monitoring_passes_over_ssh(pytester: pytest.Pytester, ssh_server: SSHServer) -> None:
    options = ["--hosts=ssh://target", f"--ssh-config={ssh_server.client_config}"]
    run(pytester, "monitoring", *options).assert_outcomes(passed=3)


def test_hosts_passes_on_two_hosts(pytester: pytest.Pytester, ssh_server: SSHServer) -> None:
    options = ["--hosts=ssh://target,ssh://target2", f"--ssh-config={ssh_server.client_config}"]
    run(pytester, "hosts", *options).assert_outcomes(passed=4)


@pytest.mark.parametrize("options", ["-n0", "-n4"])
def test_xdist_passes(pytester: pytest.Pytester, options: str) -> None:
    run(pytester, "xdist", options).assert_outcomes(passed=17)


def test_deploy_passes(pytester: pytest.Pytester) -> None:
    run(pytester, "deploy").assert_outcomes(passed=2)


@pytest.mark.parametrize("options", ["-n0", "-n4"])
def test_services_passes(pytester: pytest.Pytester, options: str) -> None:
    tool("curl", "curl")
    run(pytester, "services", options).assert_outcomes(passed=7)


@pytest.mark.parametrize("options", ["-n0", "-n2 --dist loadfile"])
def test_probes_passes(pytester: pytest.Pytester, options: str) -> None:
    tool("curl", "curl")
    run(pytester, "probes", *options.split()).assert_outcomes(passed=2, xfailed=1)


def test_probes_shows_an_outage(pytester: pytest.Pytester) -> None:
    tool("curl", "curl")
    result = run(pytester, "probes", "--runxfail", "-k", "at_once")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(["background probe 'vip' on local: down for * s (allowed: 0.5 s)"])
