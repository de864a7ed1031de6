"""What a run says when its end begins, and how one more interrupt cuts that short."""

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Iterator

import pytest
from support import leftovers
from support.pseudo_terminal import run_on_tty
from support.runs_in_background import Run, eventually, left
from support.suites import HEAD, run

from pytest_bgcheck.events import JobEnded, JobPlanned, JobStarted
from pytest_bgcheck.ledger import Ledger
from pytest_bgcheck.model import Result, State
from pytest_bgcheck.report.live import ending
from pytest_bgcheck.tasks import Check

pytestmark = pytest.mark.usefixtures("own_tmpdir")

CTRL_C = b"\x03"

SUITE = HEAD + (
    "import os\n"
    "a = background_check('sleep 95.6')\n"
    "b = background_check('sleep 95.6', host='local://?sudo=false')\n"
    "unused = background_check('sleep 95.6')\n"
    "@pytest.fixture(autouse=True)\ndef begun(request):\n"
    "    open(f'{request.node.name}.begun', 'w').close()\n"
    "@pytest.mark.bgcheck('a')\ndef test_a(): pass\n"
    "@pytest.mark.bgcheck('b')\ndef test_b(): pass\n"
    "def test_unused(unused): pass\n"
)

DEAD = (
    "dead = background_check('true', host='ssh://dead')\n@pytest.mark.bgcheck('dead')\n"
    "def test_dead(): pass\n"
)


def ledger(*jobs: tuple[str, bool]) -> Ledger:
    """Return a run with a job for each host; those that are True have ended."""
    told = Ledger()
    for n, (host, over) in enumerate(jobs):
        event = JobPlanned.of(str(n), host, Check("c", ("x",), "x"), host, 1.0)
        told.tell(event)
        told.tell(JobStarted(event.key, "", 2.0))
        if over:
            told.tell(JobEnded.of(event.key, Result(State.SUCCEEDED), 3.0))
    return told


@pytest.mark.parametrize(
    ("jobs", "line"),
    [
        ([("a", False)], "ending 1 job on 1 host (Ctrl-C again leaves it)"),
        (
            [("a", False), ("a", False), ("b", False), ("c", True)],
            "ending 3 jobs on 2 hosts (Ctrl-C again leaves them)",
        ),
        ([("a", True), ("b", True)], "cleaning up 2 hosts (Ctrl-C again leaves them)"),
    ],
)
def test_the_line_counts_what_has_not_ended(jobs: list[tuple[str, bool]], line: str) -> None:
    known = ledger(*jobs).known_jobs()
    assert ending(known, again=True) == line
    assert ending(known, again=False) == line.replace(" again", "")


def test_what_was_never_asked_for_does_not_count() -> None:
    told = ledger(("a", False))
    held_back = Check("c", ("x",), "x", after="deploy")
    told.tell(JobPlanned.of("held", "b", held_back, "b", 1.0))
    assert (
        ending(told.known_jobs(), again=True) == "ending 1 job on 1 host (Ctrl-C again leaves it)"
    )


def begun(pytester: pytest.Pytester) -> bool:
    """Return whether a test waits, and the jobs run."""
    return (pytester.path / "test_a.begun").exists() and len(leftovers.checks()) >= 3


@pytest.mark.parametrize(
    ("args", "name", "again"),
    [
        ([], "SIGINT", " again"),
        (["-q"], "SIGINT", " again"),
        (["-s", "--log-cli-level=DEBUG"], "SIGINT", " again"),
        (["-n2"], "SIGINT", " again"),
        ([], "SIGTERM", ""),
        (["-n1"], "SIGHUP", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_signal_is_answered_by_a_line_and_the_number_of_what_nobody_judged(
    pytester: pytest.Pytester, args: list[str], name: str, again: str
) -> None:
    pytester.makepyfile(test_it=SUITE)
    with Run(pytester, *args) as ours:
        eventually(lambda: begun(pytester))
        ours.process.send_signal(getattr(signal, name))
        status, output = ours.end()
    assert status == pytest.ExitCode.INTERRUPTED
    lines = output.splitlines()
    assert lines.count(f"ending 3 jobs on 1 host (Ctrl-C{again} leaves them)") == 1, output
    told = [line for line in lines if "judged by no test" in line]
    assert len(told) == 1
    assert re.fullmatch(r"\d background checks? (was|were) judged by no test", told[0])


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_on_a_terminal_the_line_stands_by_itself_below_the_dots(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    pytester.makepyfile(test_it=SUITE)
    pressed: list[bool] = []

    def press(screen: list[str]) -> bytes:
        if pressed or not any(" of 360 s" in line for line in screen) or not begun(pytester):
            return b""
        pressed.append(True)
        return CTRL_C

    shown = run_on_tty(pytester.path, *args, press=press)
    assert shown.rc == pytest.ExitCode.INTERRUPTED
    assert "ending 3 jobs on 1 host (Ctrl-C again leaves them)" in shown.final
    assert not any(" of 360 s" in line for line in shown.final)
    eventually(lambda: not left())


@pytest.mark.parametrize(
    "stop", ["pytest.exit('over')", "pytest.exit('over', 7)", "raise KeyboardInterrupt"]
)
def test_an_end_that_takes_no_time_and_no_key_has_no_line(
    pytester: pytest.Pytester, stop: str
) -> None:
    suite = (
        "c = background_check('true')\n@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
        f"def test_stop(c, unused):\n    c.result()\n    {stop}\n"
        "unused = background_check('true')\n"
    )
    result = run(pytester, "-p", "no:randomly", "--bgcheck-order=keep", test_it=suite)
    assert result.ret in (2, 7)
    assert "Ctrl-C" not in result.stdout.str()
    told = [line for line in result.outlines if "judged by no test" in line]
    # For an exit status of one's own pytest writes no summary.
    assert told == ([] if result.ret == 7 else ["1 background check was judged by no test"])


# --- a host that does not answer ------------------------------------------------------------------


@pytest.fixture
def dead(pytester: pytest.Pytester) -> Iterator[str]:
    """Yield the option for an ssh_config with a host that accepts connections and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        path = pytester.path / "ssh_config"
        path.write_text(
            f"Host dead\n HostName 127.0.0.1\n Port {listening.getsockname()[1]}\n"
            " IdentityFile none\n UserKnownHostsFile /dev/null\n"
        )
        yield f"--ssh-config={path}"


def no_process_is_left() -> bool:
    """Return whether no process of the jobs is left; kill those that are."""
    found = leftovers.checks() | leftovers.supervisors()
    for line in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.partition(":")[0]), signal.SIGKILL)
    return not found


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_one_more_ctrl_c_leaves_what_does_not_answer_and_says_what_and_where(
    pytester: pytest.Pytester, dead: str, args: list[str]
) -> None:
    pytester.makepyfile(test_it=SUITE + DEAD)
    line = "ending 4 jobs on 2 hosts (Ctrl-C again leaves them)"
    pressed: list[float] = []

    def press(screen: list[str]) -> bytes:
        waits = any(" of 360 s" in shown for shown in screen) and begun(pytester)
        if (not pressed and waits) or (len(pressed) == 1 and line in screen):
            pressed.append(time.monotonic())
            return CTRL_C
        return b""

    shown = run_on_tty(pytester.path, dead, *args, columns=160, press=press)
    print(f"over {time.monotonic() - pressed[-1]:.1f} s after the second Ctrl-C")
    assert len(pressed) == 2
    assert shown.rc == pytest.ExitCode.INTERRUPTED
    assert any(shown_line.startswith(line) for shown_line in shown.final)
    text = " ".join(" ".join(shown.final).split())
    assert re.search(
        r"not cleaned up: ssh://dead: .*1 job \(up to the time limit\) and"
        r" \$\{TMPDIR:-/tmp\}/pytest-bgcheck-UID/\w+ may be left there",
        text,
    ), text
    assert "Traceback" not in text
    eventually(no_process_is_left)  # it would end by its own limit, which is not waited for here


@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "worker"])
def test_an_end_that_takes_long_says_so_without_an_interrupt(
    pytester: pytest.Pytester, dead: str, args: list[str]
) -> None:
    conftest = "from pytest_bgcheck.target import cleaner, runner\ncleaner.CLEAN_S = 3.0\n"
    suite = DEAD.replace("('dead')\n", "('dead', timeout=0.1)\n")
    result = run(pytester, dead, *args, conftest=conftest, test_it=suite)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ending 1 job on 1 host (Ctrl-C leaves it)"])
