"""The check's environment is the login's, and what a login's holds changes no verdict."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.machines import SHELLS, shell_as_sh
from support.supervisor_client import Client

from pytest_bgcheck.model import State
from pytest_bgcheck.target import command_line

pytestmark = pytest.mark.once


class Login(Client):
    """A target whose login shell hands on exactly the environment that it was given."""

    def output(self, request: str) -> bytes:
        done = subprocess.run(
            shlex.split(request), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self.env,
            check=True, timeout=60, cwd=self.base, start_new_session=True,
        )  # fmt: skip
        return done.stdout


@pytest.fixture(params=SHELLS)
def login(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Login]:
    ours = Login(shell_as_sh(request.param, tmp_path), tmp_path)
    yield ours
    ours.env = None
    ours.clean()


PLAIN = {"PATH": os.environ["PATH"], "HOME": "/root"}
OURS = sorted(set(re.findall(r"\b_[a-z_]+\b", command_line.SUPERVISOR)))
ODD = {
    **PLAIN,
    # Names of our own program's, as they were and as others would choose them.
    **dict.fromkeys(["job", "id", "run", "home", "start", *OURS], "mine"),
    # What shells set, or what means something to them or to tools.
    "OLDPWD": "/usr", "SHLVL": "7", "_": "/usr/bin/zqlogin", "IFS": "a", "LC_ALL": "C.UTF-8",
    "UID": "77", "RANDOM": "4", "SECONDS": "5", "PPID": "1", "OPTIND": "3", "PS4": "$(exit 1)",
    "ENV": "/no/such", "BASH_ENV": "/no/such", "CDPATH": "/usr", "TMOUT": "1", "FUNCNEST": "1",
    "SHELLOPTS": "braceexpand:errexit:monitor:noclobber:noglob:nounset", "POSIXLY_CORRECT": "1",
    "BASHOPTS": "failglob:nocasematch:nullglob:xpg_echo", "BASH_XTRACEFD": "1",
    "BLOCK_SIZE": "1M", "BLOCKSIZE": "1M", "LS_BLOCK_SIZE": "1M", "TIME_STYLE": "+zq",
    "QUOTING_STYLE": "c", "LS_COLORS": "no=1", "GREP_OPTIONS": "-v", "GREP_COLORS": "mt=1",
    "COLUMNS": "1", "LINES": "1", "GLOBIGNORE": "*", "KSH_VERSION": "x", "ZSH_VERSION": "x",
    # Names that no shell takes, and values of several lines.
    "zq.dotted-name": "a b", "LINES_OF": "a\nSHLVL=9\n\n", "zq-lines": "a\n b\n",
    "PS1": "\001\033[1m\002$ ", "zq-odd": "\001\n\002\n\n",
    **{f"BASH_FUNC_{name}%%": "() {  echo hijacked; return 1\n}"
       for name in ("cd", "mv", "cat", "printf", "echo", "kill", "env", "sed", "grep", "test")},
}  # fmt: skip


def told(output: bytes) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in os.fsdecode(output).split("\0")[:-1])
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("variables", [PLAIN, ODD], ids=["plain", "odd"])
def test_the_environment_is_the_logins_and_the_declarations(
    login: Login, variables: Mapping[str, str]
) -> None:
    login.env = {**variables, "PWD": str(login.base)}
    words = ["cat", "/proc/self/environ"]
    plain = login.spec("plain", words)
    given = login.spec("given", words, env={"A": "b\n", "IFS": "c", "SHLVL": "1"}, cwd="/usr")
    coded = login.spec("coded", "exit 3")
    limited = login.spec("limited", "sleep 91 & sleep 92", timeout=1, grace=0)
    again = login.spec("again", "[ -e f ] || { >f; exit 1; }; exec cat /proc/self/environ",
                       retry_every=0.1, cwd=str(login.base))  # fmt: skip
    specs = [plain, given, coded, limited, again]
    login.start(*specs)
    results = login.results(*specs)
    jobs = {spec.task.name: {"PYTEST_BGCHECK_JOB": spec.id} for spec in specs}
    assert told(results["plain"].stdout_bytes) == {**login.env, **jobs["plain"]}
    assert told(results["given"].stdout_bytes) == {
        **login.env, **jobs["given"], "A": "b\n", "IFS": "c", "SHLVL": "1", "PWD": "/usr"
    }  # fmt: skip
    # Whatever the login's variables mean to our shells and tools.
    assert results["coded"].rc == 3
    assert results["limited"].state is State.TIMED_OUT
    assert not login.processes(f"PYTEST_BGCHECK_JOB={limited.id}")
    assert (results["again"].rc, results["again"].attempts) == (0, 2)


def test_output_is_exact_whatever_the_login_says_of_sizes(login: Login) -> None:
    login.env = {**ODD, "PWD": str(login.base)}
    result = login.finish("head -c 70000 /dev/zero; echo end; exit 4", output_limit=1000)
    assert (result.rc, result.stdout_kept.size) == (4, 70_004)
    assert result.stdout_kept.bytes().endswith(b"end\n")
