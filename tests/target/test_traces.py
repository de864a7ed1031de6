"""What a check finds of us when it looks for its own words among all processes: nothing."""

import os
import re
import secrets
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from support.machines import shell_as_sh
from support.supervisor_client import Client

from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.model import State
from pytest_bgcheck.target import replies, requests

# The same on every Python.
pytestmark = pytest.mark.once


def told(word: str) -> dict[str, str]:
    """Return the arguments of the processes, but for checks and this one, that tell a word.

    In their arguments or in their environment, which is the login's: where it was is no news.
    """
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            environ = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(variable.startswith(b"PYTEST_BGCHECK_JOB=") for variable in environ):
            continue
        # Some of the login's are set aside for the check.
        given = [re.sub(rb"^PYTEST_BGCHECK_\d+=", b"", variable) for variable in environ]
        environ = [v for v in given if not v.startswith((b"PWD=", b"OLDPWD="))]
        if word.encode() in b"\0".join([words, *environ]) and int(entry.name) != os.getpid():
            found[entry.name] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "ksh93", "zsh", "yash"])
def test_no_process_of_ours_tells_a_word_of_the_suites(tmp_path: Path, shell: str) -> None:
    word = f"zq{secrets.token_hex(4)}"
    base, folder, bin_ = (tmp_path / name for name in (f"{word}base", f"{word}cwd", "bin"))
    for path in (base, folder, bin_):
        path.mkdir()
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n: {word}\nsleep 96\n")
    # The start waits here until it is told to go on.
    bin_.joinpath("mkfifo").write_text(
        f"#!/bin/sh\necho >>{tmp_path}/waits\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\n"
        f'exec {shutil.which("mkfifo")} "$@"\n'
    )
    bin_.joinpath("mkfifo").chmod(0o755)
    env = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}
    client = Client(shell_as_sh(shell, tmp_path), base, env)
    given = {"env": {word: word}, "cwd": str(folder)}
    specs = [
        client.spec(f"{word}1", f"sleep 96; : {word}", **given),
        client.spec(f"{word}2", None, script=str(script), args=[word], **given),
        client.spec(f"{word}3", f": {word}; exit 1", retry_every=30),
    ]
    nonce = secrets.token_hex(8)
    ((_, request, _),) = requests.start_requests(
        client.run, str(base), specs, iter([nonce]), client.shell
    )
    assert word not in request
    with subprocess.Popen(
        ["/bin/sh", "-c", request], env=env, stdout=subprocess.PIPE, cwd=folder
    ) as process:
        try:
            client.eventually((tmp_path / "waits").exists)
            found = told(word)
        finally:
            (tmp_path / "go").touch()
        reply = replies.parse(nonce, process.communicate(timeout=20)[0])
    client.directory = reply.directory or b""
    assert found == {}
    assert reply.refused == {}
    client.env = None
    with client.waiting(*specs):
        # The second is between two attempts, the first ones have begun.
        begun = [f"PYTEST_BGCHECK_JOB={spec.id}" for spec in specs]
        client.eventually(lambda: all(map(client.processes, begun)))
        assert len(told(client.run)) >= 7  # three supervisors and guards, and who waits
        client.eventually(lambda: told(word) == {})  # env is the check's own, for an instant
    client.clean()


def test_a_check_that_looks_for_its_name_finds_and_kills_nothing_of_ours(tmp_path: Path) -> None:
    name = f"zq{secrets.token_hex(4)}"
    regex = f"{name[:-1]}[{name[-1]}]"  # does not find itself
    client = Client(Path("/bin/sh"), tmp_path)
    finds = client.spec(name, f"pgrep -f {regex}")
    kills = client.spec(f"{name}s", f"pkill -KILL -f {regex}; sleep 0.1; echo alive")
    assert client.start(finds, kills).refused == {}
    results = client.results(finds, kills)
    client.clean()
    assert (results[name].rc, results[name].stdout) == (1, "")
    assert (results[f"{name}s"].state, results[f"{name}s"].stdout) == (State.SUCCEEDED, "alive\n")


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "yash"])
def test_who_looks_at_a_jobs_files_neither_holds_up_its_end_nor_is_killed(
    tmp_path: Path, shell: str
) -> None:
    client = Client(shell_as_sh(shell, tmp_path), tmp_path)
    ended, runs = client.spec("ended", "true"), client.spec("runs", "sleep 96")
    client.start(ended, runs)
    client.results(ended)
    job = Path(os.fsdecode(client.directory)) / ended.id
    with subprocess.Popen(["sleep", "60"], cwd=job) as reader:
        try:
            begun = time.monotonic()
            client.clean()
            assert time.monotonic() - begun < 5  # it would be waited for 6.5 s, and then killed
            assert reader.poll() is None
        finally:
            reader.kill()


def test_a_request_holds_nothing_that_a_login_shell_would_change(tmp_path: Path) -> None:
    hard = "".join(map(chr, range(1, 256))) + "{{ x }} {% y %} {# z #} ^^ \\\\ !! ''"
    check = make_check("c", ["echo", hard], {"env": {"A": hard}}, timeout_s=1, directory=tmp_path)
    run = "0123456789ab"
    spec = requests.Spec(check.id_on("h", run), check)
    ((_, request, _),) = requests.start_requests(run, f"/{hard}", [spec], iter(["0" * 16]))
    other = requests.await_request(f"/{hard}/{run}".encode(), "0" * 16, 1, [spec])
    for text in (request, other, requests.clean_request(f"/{hard}", "0" * 16, run, False)):
        assert text.isascii()
        assert text.isprintable()
        assert not any(pair in text for pair in ("\\\\", "!", "{{", "{%", "{#"))
        assert len(shlex.split(text)) == 6
        assert text.count("'") == 4
