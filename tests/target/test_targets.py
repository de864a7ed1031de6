"""The same suite on every backend, for real."""

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.machines import require

# On the local target; the others are machines.
pytestmark = pytest.mark.quick

SUITE = Path(__file__).parents[1] / "support" / "target_suite.py"
TESTS = sum(line.startswith("def test_") for line in SUITE.read_text().splitlines())
PATIENT = "from pytest_bgcheck.target import cleaner\ncleaner.CLEAN_S *= 7\n"
"""A conftest for a backend that starts Ansible for each call: seconds of CPU, and on a busy
computer more than a run's end has for its last two."""
PROBE = '#!/bin/sh -e\necho "script: $1, $2"\n'

LONG = "exit\n" + "".join(f"# {n}: 'a' \"b\" $c `d` \\ {{{{ e }}}} !\n" for n in range(600))
"""What a script has behind it, so that requests are as large as they get, and full of what quoting
makes longer."""


@dataclass
class Target:
    """One backend: what to give to pytest, and whether its files lie on this computer."""

    options: list[str]
    here: bool = True
    conftest: str = ""


def _ssh(request: pytest.FixtureRequest, scheme: str, shared: bool = False) -> Target:
    server = request.getfixturevalue("ssh_server")
    config = server.shared_config if shared else server.client_config
    return Target([f"--hosts={scheme}://target", f"--ssh-config={config}"])


def _ansible(request: pytest.FixtureRequest, *options: str) -> Target:
    require(shutil.which("ansible") is not None, "ansible", "pip install ansible-core")
    server = request.getfixturevalue("ssh_server")
    inventory = request.getfixturevalue("tmp_path") / "inventory"
    inventory.write_text(
        "[web]\ntarget ansible_ssh_common_args='-F "
        f"{server.client_config}' ansible_python_interpreter={sys.executable}\n"
    )
    return Target(["--hosts=ansible://web", f"--ansible-inventory={inventory}", *options])


@pytest.fixture(
    params=["local", "ssh", "ssh-shared", "safe-ssh", "paramiko", "docker", "chroot", "ansible",
            "force-ansible"]
)  # fmt: skip
def target(request: pytest.FixtureRequest) -> Target:
    match request.param:
        case "local":
            return Target(["--hosts=local://"])
        case "ssh-shared":
            return _ssh(request, "ssh", shared=True)
        case "paramiko":
            pytest.importorskip("paramiko")
            return _ssh(request, "paramiko")
        case "docker":
            return Target(
                [f"--hosts=docker://{request.getfixturevalue('docker_container').name}"], here=False
            )
        case "chroot":
            path = request.getfixturevalue("chroot_dir").path
            return Target(["--connection=chroot", f"--hosts={path}"], here=False)
        case "ansible":
            return _ansible(request)
        case "force-ansible":
            return replace(_ansible(request, "--force-ansible"), conftest=PATIENT)
        case scheme:
            return _ssh(request, scheme)


def test_the_suite_passes_on(pytester: pytest.Pytester, target: Target) -> None:
    pytester.makeconftest(target.conftest)
    pytester.makepyfile(test_suite=SUITE.read_text())
    pytester.path.joinpath("probe.sh").write_text(PROBE + LONG)
    base = pytester.mkdir("base")
    here = [f"--bgcheck-dir={base}"] if target.here else []
    result = pytester.runpytest_subprocess(*target.options, *here, "-v", timeout=300)
    result.assert_outcomes(passed=TESTS)
    result.stdout.no_fnmatch_line("*not cleaned up*")
    assert not list(base.iterdir())
