"""Probes on several hosts, behind a fixture, and in forked children."""

from pathlib import Path

import pytest
from support import json_report
from support.boxed import BOXED, INI
from support.machines import SSHServer
from support.runs_in_background import nothing_is_left
from support.suites import run
from support.watched_suites import HELP, probe

BOTH = "host=('local://', 'ssh://target')"


def test_each_host_of_a_probe_has_a_window_of_its_own(
    pytester: pytest.Pytester, own_tmpdir: Path, ssh_server: SSHServer
) -> None:
    """By a mark of the module, too."""
    folder = pytester.path
    command = "[ -e up.here ] || [ ${SSH_CONNECTION:+ssh} ]; seen=$?; echo $seen >>seen.here; "
    command += "exit $seen"
    (folder / "up.here").touch()
    result = run(
        pytester,
        f"--ssh-config={ssh_server.client_config}",
        f"--bgcheck-dir={own_tmpdir}",
        "--bgcheck-report=r.json",
        "-pno:xdist",
        test_it=HELP
        + f"vip = background_probe({command!r}, {BOTH}, cwd={str(folder)!r}, every=0.1)\n"
        "pytestmark = pytest.mark.bgcheck('vip')\n"
        "def test_good(): look('here', '0', 3)\n"
        "def test_down_on_one(vip):\n"
        "    os.remove('up.here')\n"
        "    look('here', '1')\n"
        "    with vip['ssh://target'].window() as there: look('here', '0')\n"
        "    assert there.max_outage_s == 0\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    said = [line for line in result.outlines if line.startswith("background probe 'vip' on ")]
    assert any(line.startswith("background probe 'vip' on local: down for ") for line in said)
    assert not any(" on ssh://target: down for " in line for line in said)
    jobs = {job["host"]: job["windows"] for job in json_report.read(pytester)["jobs"]}
    assert [one["verdict"] for one in jobs["local"]] == ["within limits", "beyond limits"]
    assert [one["verdict"] for one in jobs["ssh://target"]] == [
        "within limits",
        "without limits",
        "within limits",
    ]
    assert not list(own_tmpdir.glob("pytest-bgcheck-*"))


def test_a_probe_behind_a_fixture_is_watched_from_then_on(
    pytester: pytest.Pytester, own_tmpdir: Path
) -> None:
    result = run(
        pytester,
        "-pno:xdist",
        test_it=HELP
        + probe(pytester.path, "a", "after='deployed'")
        + "@pytest.fixture(scope='module')\n"
        "def deployed(): assert not seen('a')\n"
        "@pytest.mark.bgcheck('a')\n"
        "def test_good(deployed): look('a', '0')\n"
        "@pytest.mark.bgcheck('a')\n"
        "def test_bad(deployed): fails('a')\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    assert nothing_is_left()


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_test_in_a_forked_child_has_a_window_that_its_parent_tells_of(
    pytester: pytest.Pytester, own_tmpdir: Path, workers: str
) -> None:
    pytester.makeini(INI)
    result = run(
        pytester,
        workers,
        "--bgcheck-report=r.json",
        conftest=BOXED,
        test_it=HELP
        + probe(pytester.path, "a")
        + "@pytest.mark.bgcheck('a')\ndef test_good(): look('a', '0')\n"
        "@pytest.mark.bgcheck('a')\ndef test_bad(): fails('a')\n"
        "@pytest.mark.bgcheck('a', max_outage=60)\ndef test_allowed(): fails('a')\n"
        "def test_reads(a):\n"
        "    with a.window() as seen: fails('a')\n"
        "    assert seen.outage_count == 1\n"
        "@pytest.mark.alone\n@pytest.mark.bgcheck('a')\ndef test_in_the_parent(): look('a', '0')\n",
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["background probe 'a' on local: down for *"])
    result.stdout.no_fnmatch_line("*was judged by no test*")
    (job,) = json_report.read(pytester)["jobs"]
    assert job["state"] == "stopped"
    verdicts = {one["test"].rpartition("::")[2]: one["verdict"] for one in job["windows"]}
    assert verdicts == {
        "test_good": "within limits",
        "test_bad": "beyond limits",
        "test_allowed": "within limits",
        "test_reads": "without limits",
        "test_in_the_parent": "within limits",
    }
    assert nothing_is_left()
