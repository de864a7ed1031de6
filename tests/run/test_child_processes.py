"""Child processes of a test's own, and what they must not inherit."""

import os
import signal
import threading
import time
from typing import Any

import pytest
from support.suites import run

from pytest_bgcheck import originals

CHECK = "c = background_check('sleep 0.5; echo out')\n"
USES = CHECK + "@pytest.mark.bgcheck('c')\ndef test_c(c): assert c.stdout == 'out\\n'\n"


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_a_forked_child_that_is_terminated_ends_by_the_signal(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    result = run(
        pytester,
        "-s",
        "-Wignore::DeprecationWarning",
        *args,
        test_it="import multiprocessing, signal, time\n" + USES + "def test_terminated():\n"
        "    context = multiprocessing.get_context('fork')\n"
        "    child = context.Process(target=time.sleep, args=(60,))\n"
        "    child.start()\n"
        "    time.sleep(0.2)\n"
        "    child.terminate()\n"
        "    child.join(30)\n"
        "    assert child.exitcode == -signal.SIGTERM\n"
        "    assert signal.getsignal(signal.SIGHUP) != signal.SIG_IGN\n",
    )
    result.assert_outcomes(passed=2)
    assert "Traceback" not in result.stderr.str()


def test_a_forked_child_that_is_terminated_at_once_ends_by_the_signal(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(
        "import os, time\n"
        # Before the plugin's own: so the signal comes while the child has still its handlers.
        "os.register_at_fork(after_in_child=lambda: time.sleep(1))\n"
    )
    result = run(
        pytester,
        "-Wignore::DeprecationWarning",
        test_it="import multiprocessing, signal, time\n" + USES + "def test_terminated():\n"
        "    context = multiprocessing.get_context('fork')\n"
        "    child = context.Process(target=time.sleep, args=(60,))\n"
        "    child.start()\n"
        "    child.terminate()\n"
        "    child.join(30)\n"
        "    assert child.exitcode == -signal.SIGTERM\n"
        "    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])\n",
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_processes_works_while_checks_run(pytester: pytest.Pytester, method: str) -> None:
    result = run(
        pytester,
        "-Wignore::DeprecationWarning",
        test_it="import multiprocessing\n" + USES + "def test_pool(c):\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        assert pool.map(abs, range(-20, 0)) == list(range(20, 0, -1))\n"
        "    assert c.result(60).rc == 0\n",
    )
    result.assert_outcomes(passed=2)


def test_a_program_may_be_prepared_in_the_child(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import os, subprocess\n" + USES + "def test_program(c):\n"
        "    done = subprocess.run(['true'], preexec_fn=os.setsid, timeout=60)\n"
        "    assert (done.returncode, c.result(60).rc) == (0, 0)\n",
    )
    result.assert_outcomes(passed=2)


def test_no_thread_that_speaks_to_targets_imports_anything(pytester: pytest.Pytester) -> None:
    """In a child that is forked meanwhile, the same import would wait for ever."""
    result = run(
        pytester,
        conftest="import sys, threading\n"
        "class Imports:\n"
        "    def find_spec(self, name, *rest):\n"
        "        thread = threading.current_thread()\n"
        "        if thread is not threading.main_thread(): in_threads.append((thread.name, name))\n"
        "in_threads = []\n"
        "sys.meta_path.insert(0, Imports())\n"
        "def pytest_terminal_summary(terminalreporter):\n"
        "    terminalreporter.write_line(f'in threads: {in_threads}')\n",
        test_it=USES + "bad = background_check('exit 3')\n"
        "gone = background_check('true', host='docker://nowhere', timeout=5)\n"
        "refused = background_check('true', cwd='/nonexistent')\n"
        "def test_handles(c, bad, gone, refused):\n"
        "    assert c.tail().state and bad.result() and gone.result() and refused.result()\n",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["in threads: [[][]]"])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_keeps_no_pipe_of_a_program_that_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts, ended = threading.Event(), threading.Event()
    popen: Any = originals.subprocess.Popen.__mro__[1]
    start = popen._execute_child

    def slow_start(*args: Any) -> None:
        starts.set()
        time.sleep(0.5)
        start(*args)

    def read_a_program() -> None:
        originals.subprocess.run(["true"], capture_output=True, check=True)
        ended.set()

    monkeypatch.setattr(popen, "_execute_child", slow_start)
    threading.Thread(target=read_a_program, daemon=True).start()
    assert starts.wait(30)
    child = os.fork()
    if child == 0:
        time.sleep(120)
        os._exit(0)
    try:
        assert ended.wait(60)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
