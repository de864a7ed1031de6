"""What proves to a supervisor that its job's directory cannot be written any more, and what not."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.machines import SHELLS, require, shell_as_sh, tool
from support.machines.machine import run_checked

from pytest_bgcheck.target import command_line

# The same on every Python.
pytestmark = pytest.mark.once


def functions(*names: str) -> str:
    """Return functions of the supervisor's program."""
    program = command_line.SUPERVISOR
    found = (re.search(rf"^{name}\(\) .*?^}}$", program, re.M | re.S) for name in names)
    return "\n".join(match[0] for match in found if match)


def writable(shell: Path, directory: Path, before: str = ":", user: int | None = None) -> bool:
    program = functions("writable", "denied") + f"\n{before}\nwritable . && echo yes || echo no\n"
    script = directory.parent / "program"
    script.write_text(program)
    done = subprocess.run(
        [str(shell), str(script)], cwd=directory, capture_output=True, user=user, timeout=30
    )
    assert done.stdout in (b"yes\n", b"no\n"), done
    return done.stdout == b"yes\n"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return shell_as_sh(request.param, tmp_path)


def job(tmp_path: Path) -> Path:
    directory = tmp_path / "job"
    directory.mkdir()
    (directory / "spec").touch()
    return directory


def test_a_file_that_cannot_be_opened_for_another_reason_is_no_proof(
    shell: Path, tmp_path: Path
) -> None:
    """It stands for a full table of files, which would be everybody's on this computer."""
    directory = job(tmp_path)
    assert writable(shell, directory)
    program = directory / "spec"
    shutil.copy(tool("sleep", "coreutils"), program)
    with subprocess.Popen([program, "60"]) as busy:
        try:
            assert writable(shell, directory)  # "text file busy"
        finally:
            busy.kill()


@pytest.mark.parametrize("name", ["dash", "bash"])
def test_a_shell_that_may_open_nothing_more_takes_no_directory_for_read_only(
    name: str, tmp_path: Path
) -> None:
    assert writable(shell_as_sh(name, tmp_path), job(tmp_path), "ulimit -n 3")


def test_a_directory_that_cannot_be_written_any_more_is_known(shell: Path, tmp_path: Path) -> None:
    require(os.getuid() == 0, "root, to mount", "run the tests as root")
    directory = job(tmp_path)
    run_checked("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "bgcheck", str(directory))
    try:
        (directory / "spec").touch()
        tmp_path.chmod(0o755)
        run_checked("mount", "-o", "remount,ro", str(directory))
        assert not writable(shell, directory)
    finally:
        run_checked("umount", str(directory))
