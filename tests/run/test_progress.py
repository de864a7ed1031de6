"""What the terminal shows while tests wait."""

import re
from pathlib import Path

import pytest
from support.pseudo_terminal import Shown, run_on_tty
from support.suites import HEAD, run

BEGUN = """
import time
from pathlib import Path
HERE = Path(__file__).parent
for begun in HERE.glob("*.begun"): begun.unlink()  # of the run before
@pytest.fixture(autouse=True)
def begun(request):
    for mark in request.node.iter_markers("bgcheck"):
        for name in mark.args: (HERE / f"{name}.begun").touch()
def waited_for(name, until, then):
    return f"cd {HERE}; until [ -e {name}.begun ]; do sleep 0.1; done; {until}; {then}"
"""
"""A check ends when a test has waited for it, whatever the tests before that have taken."""

TESTS = """
slow = background_check(waited_for('slow', {until!r}.format('slow'), 'echo done'))
bad = background_check(waited_for('bad', {until!r}.format('bad'), 'exit 3'))
@pytest.mark.parametrize('n', range(5))
def test_ordinary(n): time.sleep(0.1)
@pytest.mark.bgcheck('bad')
def test_bad(): pass
@pytest.mark.bgcheck('slow')
def test_slow(): pass
"""

SUITE = HEAD + BEGUN + TESTS.format(until="sleep 1.5")

SHOWN = HEAD + BEGUN + TESTS.format(until="until [ -e {}.shown ]; do sleep 0.1; done")
"""The same, but a check ends once a line of a log has told of it."""

OFTEN = """
import pytest_bgcheck.run.progress as p
p.PLAIN_EVERY_S = 0.5
write = p.Progress._write
def write_and_tell(self, lines, before_test=False):
    write(self, lines, before_test)
    for name in ("slow", "bad"):
        if any(f"checks: {name} on " in text for text, _ in lines):
            open(f"{name}.shown", "w").close()
p.Progress._write = write_and_tell
"""
"""For a conftest: a plain line every half second."""

WAITS = re.compile(
    r"\b\w+ on local: \d+\.\d of 360 s(, \+1 more)?; test_\w+(\[local\])? waits \d+ s"
)


def on_tty(pytester: pytest.Pytester, *args: str, suite: str = SUITE, columns: int = 100,
           **env: str) -> Shown:  # fmt: skip
    pytester.makepyfile(test_it=suite)
    return run_on_tty(pytester.path, *args, columns=columns, env=env)


def plain(screen: list[str]) -> list[str]:
    """Return lines without what differs from run to run, and from terminal to terminal."""
    text = "\n".join(screen)
    text = re.sub(r"\d+\.\d+ ?s|\(0:[0-9:]+\)|\d+%", "N", text)
    return re.sub(r"=+", "=", text).split("\n")


@pytest.mark.parametrize("args", [[], ["-s"], ["-v"], ["-n2"]], ids=["plain", "s", "v", "n2"])
def test_a_live_line_tells_what_the_test_waits_for_and_is_gone_when_done(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    shown = on_tty(pytester, *args)
    lines = {line for screen in shown.screens for line in screen}
    assert any(WAITS.search(line) for line in lines)
    assert not any(WAITS.search(line) for line in shown.final)
    assert shown.rc == 1


@pytest.mark.parametrize(("columns", "args"), [(100, []), (40, ["-s"])])
def test_the_screen_ends_as_without_a_live_line(
    pytester: pytest.Pytester, columns: int, args: list[str]
) -> None:
    live = on_tty(pytester, *args, columns=columns)
    dumb = on_tty(pytester, *args, columns=columns, TERM="dumb")
    assert plain(live.final) == plain(dumb.final)
    assert not dumb.ever(" waits ")


def test_pytests_line_keeps_its_percentage_at_the_edge(pytester: pytest.Pytester) -> None:
    shown = on_tty(pytester)
    (line,) = (line for line in shown.final if line.startswith("test_it.py "))
    assert line == "test_it.py .....F." + " " * (100 - 1 - 18 - 6) + "[100%]"


def test_the_live_line_fits_a_narrow_terminal(pytester: pytest.Pytester) -> None:
    columns = 30
    shown = on_tty(pytester, columns=columns)
    lines = {line for screen in shown.screens for line in screen if " of 360 s" in line}
    assert lines
    assert all(re.match(r"(bad|slow)( on local)?: [\d.]+ of 360 s", line) for line in lines)
    assert max(map(len, lines)) < columns
    assert not any(" of 360 s" in line for line in shown.final)


def test_the_live_line_is_right_at_the_bottom_of_the_screen(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_a="\n".join(f"def test_{n}(): print({n}); assert 0" for n in range(9)))
    shown = on_tty(pytester, "-v", "test_a.py", "test_it.py")
    verbose = [line for line in shown.final if re.match(r"test_\w+\.py::", line)]
    assert len(verbose) == 16
    assert all(re.search(r"(PASSED|FAILED) +\[[ 0-9]+%\]$", line) for line in verbose)


def test_a_line_that_the_terminal_cannot_encode_is_escaped(pytester: pytest.Pytester) -> None:
    suite = SUITE + "@pytest.mark.bgcheck('slow')\ndef test_café(): pass\n"
    shown = on_tty(pytester, "-k", "café", suite=suite, PYTHONIOENCODING="ascii")
    assert shown.rc == 0
    assert shown.ever(r"test_caf\xe9 waits")


def test_no_colour_means_no_colour(pytester: pytest.Pytester) -> None:
    shown = on_tty(pytester, "--color=no")
    assert shown.ever(" waits ")
    assert not re.search(rb"\x1b\[[0-9;]*m", shown.written)


def test_quiet_runs_show_nothing_while_they_wait(pytester: pytest.Pytester) -> None:
    assert not on_tty(pytester, "-q").ever(" waits ")


def test_the_output_of_a_test_goes_on_behind_the_live_line(pytester: pytest.Pytester) -> None:
    suite = SUITE + (
        "@pytest.fixture\ndef before(): print('before', end='')\n"
        "@pytest.mark.bgcheck('slow')\ndef test_it(before): print(' and after')\n"
    )
    shown = on_tty(pytester, "-s", suite=suite)
    assert any("before and after" in line for line in shown.final)


@pytest.mark.parametrize(
    ("capture", "fixture"), [("fd", "capfd"), ("sys", "capsys"), ("no", "capfd")]
)
def test_captured_output_is_the_tests_own(
    pytester: pytest.Pytester, capture: str, fixture: str
) -> None:
    suite = SUITE + (
        f"@pytest.fixture\ndef before({fixture}): print('one')\n"
        f"@pytest.mark.bgcheck('slow')\ndef test_own(before, {fixture}):\n"
        f"    print('two')\n    assert {fixture}.readouterr().out == 'one\\ntwo\\n'\n"
    )
    shown = on_tty(pytester, f"--capture={capture}", "-k", "own or slow", suite=suite)
    assert shown.rc == 0
    assert shown.ever(" waits ")


def test_a_log_has_no_line_for_a_short_wait(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_it=SUITE.removeprefix(HEAD))
    assert "waits" not in result.stdout.str()
    assert "\x1b" not in result.stdout.str()


@pytest.mark.parametrize("args", [[], ["-n2"], ["-v"], ["-q"]], ids=["plain", "n2", "v", "q"])
def test_a_log_has_a_plain_line_now_and_then(pytester: pytest.Pytester, args: list[str]) -> None:
    suite = SUITE if args == ["-q"] else SHOWN
    result = run(pytester, *args, conftest=OFTEN, test_it=suite.removeprefix(HEAD))
    lines = [line for line in result.outlines if "waits" in line]
    assert bool(lines) == (args != ["-q"])
    assert all(WAITS.search(line) and line.startswith("background checks: ") for line in lines)
    assert len(lines) <= 2 * result.duration
    assert "\x1b" not in result.stdout.str()
    letters = re.findall(r"^(?:test_it.py )?([.F]+) *(?:\[.*\])?$", result.stdout.str(), re.M)
    assert "".join(letters).count(".") == (6 if args != ["-v"] else 0)


@pytest.mark.parametrize("args", [["-v"], ["-v", "-n2"]], ids=["alone", "workers"])
def test_verbose_runs_tell_of_each_start_and_each_end(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    result = run(pytester, *args, test_it=SUITE.removeprefix(HEAD))
    lines = [line for line in result.outlines if line.startswith("background check '")]
    told = [re.sub(r" after .*", "", line) for line in lines]
    assert sorted(set(told)) == [
        "background check 'bad' on local ended: failed, rc 3",
        "background check 'bad' on local failed: rc 3",
        "background check 'bad' on local started",
        "background check 'slow' on local ended: succeeded",
        "background check 'slow' on local started",
    ]
    assert len(told) == 5
    results = [line for line in result.outlines if re.search("(PASSED|FAILED)( |$)", line)]
    assert len([line for line in results if "%" in line]) == 7


def test_a_verbose_run_tells_that_a_service_is_ready_before_the_body_that_uses_it(
    pytester: pytest.Pytester,
) -> None:
    tests = (
        "web = background_service('exec sleep 61')\n"
        "@pytest.mark.bgcheck('web')\n"
        "def test_it():\n"
        "    print('\\nits body')\n"
    )
    result = run(pytester, "-vs", test_it=tests)
    result.stdout.fnmatch_lines(["background service 'web' on local ready after *", "its body"])


SLOWLY_SHOWN = """
import threading, time
from pytest_bgcheck.ledger import Ledger
known_jobs = Ledger.known_jobs
def slow_for_who_shows_them(self):
    if threading.current_thread() is threading.main_thread():
        time.sleep(0.15)
    return known_jobs(self)
Ledger.known_jobs = slow_for_who_shows_them
"""

WAITS_IN_A_THREAD = """
import threading
def test_it(bgcheck, tmp_path):
    def blocks():
        try:
            for _ in range(5):
                with bgcheck.running("exec sleep 61", name="block", ready="sleep 0.3"): pass
        finally:
            (tmp_path / "over").touch()
    thread = threading.Thread(target=blocks)
    thread.start()
    waits = f"until [ -e {tmp_path}/over ]; do sleep 0.05; done"
    assert bgcheck.start(waits, name="long", timeout=60).succeeded
    thread.join()
"""


def test_threads_wait_beside_a_live_line(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(SLOWLY_SHOWN)
    shown = on_tty(pytester, suite=WAITS_IN_A_THREAD)
    assert shown.rc == 0
    assert shown.ever("long on local")


@pytest.mark.parametrize("args", [["-p", "no:terminal"], ["--no-header"], ["--no-summary"]])
def test_less_of_a_terminal_is_no_trouble(pytester: pytest.Pytester, args: list[str]) -> None:
    result = run(
        pytester, *args, "--bgcheck-report=r.json", conftest=OFTEN, test_it=SUITE.removeprefix(HEAD)
    )
    assert result.ret == 1
    assert pytester.path.joinpath("r.json").exists()
    if args != ["--no-header"]:
        assert "2 background checks on" not in result.stdout.str()


def test_an_interrupted_wait_leaves_no_live_line(pytester: pytest.Pytester, tmp_path: Path) -> None:
    suite = SUITE + (
        "import os, signal, threading\n"
        "def test_interrupt(): threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "long = background_check('sleep 60')\n"
        "@pytest.mark.bgcheck('long')\ndef test_long(): pass\n"
    )
    shown = on_tty(pytester, "-k", "interrupt or long", suite=suite)
    assert shown.rc == pytest.ExitCode.INTERRUPTED
    assert shown.ever(" waits ")
    assert not any(" waits " in line for line in shown.final)
