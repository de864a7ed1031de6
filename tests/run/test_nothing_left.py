"""A run leaves nothing on its targets, however it ends, unless it is asked to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import leftovers
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")


def test_keep_leaves_the_files_and_says_where(pytester: pytest.Pytester, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    result = run(
        pytester,
        "--bgcheck-keep",
        f"--bgcheck-dir={base}",
        test_it="c = background_check('echo kept')\n@pytest.mark.bgcheck('c')\ndef test(): pass",
    )
    result.stdout.fnmatch_lines([f"kept: local: {base}/pytest-bgcheck-*"])
    # Behind the mark that tells whether the check has overwritten it.
    assert [p.read_text()[14:] for p in base.glob("*/*/*/out")] == ["kept\n"]


LONG = (
    "c = background_check('sleep 95.3')\n"
    "@pytest.fixture\ndef broken(): raise RuntimeError\n"
    "def test_first(): pass\n"
)


@pytest.mark.parametrize(
    ("args", "test"),
    [
        (["-x"], "@pytest.mark.bgcheck('c', timeout=0.3)\ndef test_x(): pass\n"),
        ([], "@pytest.mark.bgcheck('c')\ndef test_f(broken): pass\n"),
        ([], "def test_k(c): raise KeyboardInterrupt\n"),
        ([], "def test_e(c): pytest.exit('over')\n"),
        (
            [],
            "def block(bgcheck, name):\n"
            "    command = 'trap \"\" TERM; while :; do sleep 0.9; done'\n"
            "    return bgcheck.running(command, name=name, grace=90)\n"
            "@pytest.fixture\ndef log(bgcheck):\n"
            "    with block(bgcheck, 'log') as log: yield log\n"
            "def test_b(log, bgcheck):\n"
            "    with block(bgcheck, 'load'): raise KeyboardInterrupt\n",
        ),
    ],
    ids=["x", "fixture", "interrupt", "exit", "blocks"],
)
def test_nothing_is_left_however_the_run_ends(
    pytester: pytest.Pytester, args: list[str], test: str
) -> None:
    result = run(pytester, *args, test_it=LONG + test)
    assert result.duration < 60
    assert leftovers.directories() == []
    assert not leftovers.checks()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_nothing_is_left_after_a_signal(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile(test_it=HEAD + LONG + "@pytest.mark.bgcheck('c')\ndef test_w(): pass\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest"], cwd=pytester.path, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while not leftovers.checks():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, getattr(signal, name))
    assert process.wait(30) == pytest.ExitCode.INTERRUPTED
    assert leftovers.directories() == []
    assert not leftovers.checks()
