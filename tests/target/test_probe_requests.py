"""How a prober waits, and hears what is said to it: under every shell."""

import os
import subprocess
from pathlib import Path

import pytest
from support.machines import SHELLS, shell_as_sh
from support.probe_accounts import PARTS

pytestmark = pytest.mark.once

WAITS = r"""
set -u
_newline="
"
for part in states clocks wait processes windows probe; do . "$1/$part.sh"; done
exec 4<>ask
now() { _clock=$((_clock + 1)) _now=$_clock; }
goes_on() { :; }
say() { echo "${_newline}open $1 50" >&4; }
_drains=0 _ending="" _from=0 _every=100 _begun=0 _over=0
begin_accounts
"""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "said",
    [
        pytest.param("_clock=97; for n in 1 2 3 4 5 6; do say w$n; done", id="little time"),
        pytest.param("_clock=400; for n in 1 2 3 4 5 6; do say w$n; done", id="no time"),
        pytest.param(
            "_clock=400; echo . >&4; echo .1 >&4; echo .0 >&4; drain; "
            "for n in 1 2 3 4 5; do say w$n; done; echo .1 >&4; say w6",
            id="lines of drains that did not end",
        ),
    ],
)
def test_windows_that_are_opened_together_are_open_before_the_next_sample(
    shell: str, said: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "ask")
    program = f'{WAITS}{said}\nawait_next\necho "$_open$_windows"'
    done = subprocess.run(
        [shell_as_sh(shell, tmp_path), "-c", program, "sh", str(PARTS)],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("6 w1 w2 w3 w4 w5 w6\n", "")


FORGETS = r"""
set -u
for part in states clocks wait processes; do . "$1/$part.sh"; done
exec 4<>ask
for n in 1 2 3 4 5 6 7 8 9 10; do
    echo said >&4
    hear 2000 ask
    while exists "$_timer"; do nap; done
done
jobs >jobs
cat jobs
"""


@pytest.mark.parametrize("shell", ["dash", "yash"])
def test_a_shell_forgets_the_timers_of_its_waits(shell: str, tmp_path: Path) -> None:
    """A prober that has no read with a time-out waits more than once for each sample."""
    os.mkfifo(tmp_path / "ask")
    done = subprocess.run(
        [shell_as_sh(shell, tmp_path), "-c", FORGETS, "sh", str(PARTS)],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) <= 1, done.stdout
