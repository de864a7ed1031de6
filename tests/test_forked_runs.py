"""Runs of pytest that are forked, beside the same ones that are started."""

import os
import signal
import sys
from pathlib import Path

import pytest
from support.machines.processes import find

FORKED, STARTED = (sys.executable, "-mpytest"), (sys.executable, "-m", "pytest")

SEES = """
import atexit, os, sys, tempfile, threading
def test_sees():
    with open(f"/proc/{os.getppid()}/cmdline") as parent:
        print("forked", "support/forked_runs.py" in parent.read())
    print("arguments", sys.argv)
    print("path", sys.path)
    print("working directory", os.getcwd())
    print("environment", sorted(set(os.environ.items())))
    print("temporary files", tempfile.gettempdir())
    print("input", repr(sys.stdin.read()), sys.stdin.isatty(), sys.stdout.isatty())
    print("descriptors", len(os.listdir("/proc/self/fd")))
    print("threads", threading.active_count())
    print("bytecode", sys.dont_write_bytecode)
    print("errors", file=sys.stderr)
    atexit.register(print, "the end")
"""


@pytest.mark.usefixtures("own_tmpdir")
def test_a_run_sees_the_same_whether_it_is_forked_or_started(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEN", "here alone")
    pytester.makepyfile(SEES)
    forked, started = (pytester.run(*how, "-sq", timeout=60) for how in (FORKED, STARTED))
    assert (forked.ret, started.ret) == (0, 0)
    assert (forked.errlines, started.errlines) == (["errors"], ["errors"])
    first, *rest = forked.outlines
    assert first == "forked True"
    assert started.outlines[0] == "forked False"
    assert rest[-1] == "the end"
    assert [line for line in rest if " in 0." not in line] == [
        line for line in started.outlines[1:] if " in 0." not in line
    ]


def test_what_python_reads_at_its_start_only_has_a_run_started(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(SEES)
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    assert "forked False" in pytester.run(*FORKED, "-sq", timeout=60).outlines


@pytest.mark.started
def test_a_run_that_is_to_be_started_is_started(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SEES)
    assert "forked False" in pytester.runpytest_subprocess("-sq", timeout=60).outlines


def test_a_signal_that_ends_a_run_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import os\ndef test(): os.kill(os.getpid(), 15)\n")
    assert pytester.run(*FORKED, timeout=60).ret == -signal.SIGTERM


def test_a_run_that_takes_too_long_is_killed(pytester: pytest.Pytester, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    pytester.makepyfile(
        "import os, pathlib, time\ndef test():\n"
        f"    pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n    time.sleep(60)\n"
    )
    with pytest.raises(pytester.TimeoutExpired):
        pytester.run(*FORKED, timeout=5)
    assert not os.path.exists(pid) or find(int(pid.read_text())) is None
