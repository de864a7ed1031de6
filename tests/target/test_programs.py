"""A check is its own program, whatever its words look like to a shell or to `env`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import shell_as_sh
from support.supervisor_client import Client

from pytest_bgcheck.model import State

pytestmark = pytest.mark.once

SECRET = {"SECRET": "zqhidden"}


@pytest.fixture(params=["dash", "bash", "busybox"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    # Each job's path has a "=" in it.
    base = tmp_path / "a=b" / "-i"
    base.mkdir(parents=True)
    ours = Client(shell_as_sh(request.param, tmp_path), base)
    yield ours
    ours.clean()


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_program_is_run_whatever_it_is_called(client: Client) -> None:
    base = client.base
    text = '#!/bin/sh\necho "ran $0 $SECRET $*"\nexit 7\n'
    interpreter = executable(base / "in=terpreter", "#!/bin/sh\necho ran $2; exit 7\n")
    for name in ("-i", "x=y", "-S", "--", "-"):
        executable(base / "bin" / name, text)
    (base / "plain").write_text("echo ran; exit 7\n")
    (base / "shebang").write_text(text)
    (base / "other").write_text(f"#!{interpreter} -x\n")
    (base / "split").write_text("#!/usr/bin/env -S sh -e\necho ran; exit 7\n")
    path = {"PATH": f"{base}/bin:/usr/bin:/bin"}
    commands: dict[str, tuple[object, dict[str, object]]] = {
        "script": (None, {"script": "shebang", "args": ["a=b"]}),
        "script_plain": (None, {"script": "plain"}),
        "script_other": (None, {"script": "other"}),
        "script_split": (None, {"script": "split"}),
        "path": ([f"{base}/bin/x=y", "-i"], {}),
        "words": (["sh", "-c", "echo ran; exit 7", "-i", "a=b"], {}),
        "option": (["-i"], {}),
        "variable": (["x=y"], {}),
        "split": (["-S"], {}),
        "end": (["--"], {}),
        "hyphen": (["-"], {}),
    }
    specs = []
    for name, (command, given) in commands.items():
        specs.append(client.spec(f"{name}_env", command, env={**SECRET, **path}, **given))
        if name.startswith(("script", "path", "words")):
            specs.append(client.spec(name, command, **given))
    client.start(*specs)
    results = client.results(*specs)
    assert {name: r.rc for name, r in results.items()} == dict.fromkeys(results, 7), results
    assert not [name for name, r in results.items() if not r.stdout.startswith("ran")]


def test_a_directory_is_where_it_says(client: Client) -> None:
    home = client.base
    for name in ("-", "-P", "--", "up", "a=b"):
        (home / name).mkdir()
    (home / "far" / "up").mkdir(parents=True)
    client.env = {"PATH": "/usr/bin:/bin", "OLDPWD": "/", "CDPATH": f"{home}/far"}
    specs = [client.spec(f"c{n}", "pwd", cwd=name) for n, name in enumerate(("-", "-P", "up"))]
    specs.append(client.spec("c3", "pwd", cwd="a=b", env=SECRET))
    client.start(*specs)
    results = client.results(*specs)
    told = [results[f"c{n}"].stdout for n in range(4)]
    assert told == [f"{home}/{name}\n" for name in ("-", "-P", "up", "a=b")]


def test_a_program_that_is_not_there_has_not_succeeded(client: Client) -> None:
    specs = [
        client.spec(f"c{n}", [word], env=SECRET)
        for n, word in enumerate(("no=such", "/no=such/x", "-a=b", "-a", "-0"))
    ]
    client.start(*specs)
    results = client.results(*specs)
    assert {r.rc for r in results.values()} <= {126, 127}
    assert not [r for r in results.values() if "zqhidden" in r.stdout + r.stderr]
    assert {r.state for r in results.values()} == {State.SUCCEEDED}  # not judged yet
