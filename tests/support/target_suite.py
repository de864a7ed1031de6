"""The suite that each backend runs: what a background check does, seen from inside the tests.

It is not collected here; test_targets.py copies it into a run against one target.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_bgcheck import Job, OutputCut, State, StillRunning, background_check, background_probe

plain = background_check("echo out; echo err >&2; sleep 1")
argv = background_check(["printf", "[%s]", "a b", "it's", '"$HOME" `id` \\n', "%s", "*", "ü€", ""])
failing = background_check("echo no; exit 3")
two_codes = background_check("exit 2", rc={0, 2})
any_code = background_check("exit 7", rc=None)
limited = background_check(
    "echo begun; sleep 98.7 & (setsid sleep 98.7 &) ; sleep 98.7", timeout=1, grace=1
)
stubborn = background_check("trap '' TERM; while :; do sleep 0.3; done", timeout=0.5, grace=0.5)
missing = background_check("/no/such/program")
nowhere = background_check("true", cwd="/no/such/directory")
somewhere = background_check('pwd; printf %s "$SECRET"', cwd="/bin/..", env={"SECRET": "a'b\nc!"})
where = background_check("pwd -P")
script = background_check(script="probe.sh", args=["x y", "--flag"])
again = background_check(
    'echo run; [ -e "$PYTEST_BGCHECK_JOB" ] || { >"$PYTEST_BGCHECK_JOB"; exit 1; }',
    retry_every=0.2,
    cwd="/tmp",
)
binary = background_check(r"printf '\000\377\033[31m\r\n\303\244'")
big = background_check(
    "i=0; while [ $i -lt 2000 ]; do echo 012345678901234567890123456789012345678; i=$((i+1)); done",
    output_limit=1000,
)
killed = background_check("kill -9 $$")
cookie = background_check("echo $PYTEST_BGCHECK_JOB")
WRITTEN = f"/tmp/bgcheck-written-{os.getpid()}"
behind = background_check(["cat", WRITTEN], after="written")
DOWN = f"/tmp/bgcheck-down-{os.getpid()}"
vip = background_probe(f"[ ! -e {DOWN} ] || {{ echo refused; exit 7; }}", every=0.3)


@pytest.fixture
def written(host: Any) -> Iterator[None]:
    host.run("echo written >%s", WRITTEN)
    yield
    host.run("rm %s", WRITTEN)


def test_ordinary_tests_go_on_meanwhile(host: Any) -> None:
    assert host.run("echo hello").stdout.strip() == "hello"


@pytest.mark.bgcheck("plain")
def test_streams_are_apart(plain: Job) -> None:
    assert (plain.rc, plain.stdout, plain.stderr) == (0, "out\n", "err\n")
    assert plain.succeeded
    assert plain.duration is not None
    assert 0.9 < plain.duration < 60


@pytest.mark.bgcheck
def test_an_argv_arrives_word_by_word(argv: Job) -> None:
    assert argv.stdout == '[a b][it\'s]["$HOME" `id` \\n][%s][*][ü€][]'


def test_a_code_that_is_not_accepted_fails(failing: Job) -> None:
    result = failing.result()
    assert (result.state, result.rc, result.stdout) == (State.FAILED, 3, "no\n")


@pytest.mark.bgcheck("failing", rc=None)
def test_the_mark_can_accept_any_code(failing: Job) -> None:
    assert failing.rc == 3


@pytest.mark.bgcheck("two_codes")
def test_several_codes_can_be_accepted(two_codes: Job) -> None:
    assert two_codes.rc == 2


@pytest.mark.bgcheck("any_code")
def test_a_check_can_accept_any_code(any_code: Job) -> None:
    assert (any_code.state, any_code.rc) == (State.SUCCEEDED, 7)


def test_the_limit_holds_for_the_whole_tree(host: Any, limited: Job) -> None:
    result = limited.result()
    assert (result.state, result.rc, result.stdout) == (State.TIMED_OUT, None, "begun\n")
    # Of others' processes, which a limit leaves alone, it may tell.
    assert "could not be killed" not in result.detail
    assert result.duration is not None
    assert 0.9 < result.duration < 30
    assert host.run("ps | grep '[9]8[.]7' || ps -ef | grep '[9]8[.]7'").stdout == ""


def test_who_ignores_term_is_killed(stubborn: Job) -> None:
    assert stubborn.result().state is State.TIMED_OUT


def test_a_missing_program_is_127(missing: Job) -> None:
    assert missing.result().rc == 127


def test_a_missing_directory_is_not_started(nowhere: Job) -> None:
    assert nowhere.result().state is State.NOT_STARTED


@pytest.mark.bgcheck("somewhere")
def test_directory_and_environment(somewhere: Job) -> None:
    assert somewhere.stdout.endswith("a'b\nc!")
    assert somewhere.stdout.startswith("/")


@pytest.mark.bgcheck("where")
def test_without_a_directory_it_runs_where_host_run_does(host: Any, where: Job) -> None:
    assert where.stdout.strip() == host.run("pwd -P").stdout.strip()


def test_sudo_changes_no_directory(host: Any, bgcheck: Any, where: Job) -> None:
    if host.exists("sudo"):
        job = bgcheck.start("pwd -P", name="as root", host=host, sudo=True)
        with host.sudo():
            assert job.stdout.strip() == host.run("pwd -P").stdout.strip()
        assert job.stdout == where.stdout
        assert job.succeeded


@pytest.mark.bgcheck("script")
def test_a_script_is_sent_and_run(script: Job) -> None:
    assert script.stdout == "script: x y, --flag\n"


@pytest.mark.bgcheck("again")
def test_it_is_run_again_until_it_succeeds(host: Any, again: Job) -> None:
    assert again.result().attempts == 2
    assert again.stdout == "run\n"
    host.run("rm -f /tmp/%s", again.id)


@pytest.mark.bgcheck("binary")
def test_output_is_kept_byte_for_byte(binary: Job) -> None:
    assert binary.result().stdout_bytes == b"\0\xff\x1b[31m\r\n\xc3\xa4"


@pytest.mark.bgcheck("big")
def test_output_is_cut_on_the_target(big: Job) -> None:
    assert big.result().stdout_kept.size == 80_000
    assert "79,000 of 80,000 bytes left out" in big.stdout_kept.text()
    with pytest.raises(OutputCut):
        assert big.stdout


def test_a_signal_is_told(killed: Job) -> None:
    assert killed.result().rc == 137


@pytest.mark.bgcheck("behind")
def test_it_starts_behind_the_fixture_it_names(written: None, behind: Job) -> None:
    assert behind.stdout == "written\n"


@pytest.mark.bgcheck("cookie")
def test_the_job_is_in_its_environment(cookie: Job) -> None:
    assert cookie.stdout.strip() == cookie.id


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def samples(probe: Job) -> int:
    seen = probe.tail().window
    return 0 if seen is None else seen.samples


@pytest.mark.bgcheck("vip", max_outage=60)
def test_a_probe_sees_an_outage_and_its_end(host: Any, vip: Job) -> None:
    with vip.window() as seen:
        host.run("touch %s", DOWN)
        until(lambda: bool(vip.tail().window.bad))  # type: ignore[union-attr]
        host.run("rm %s", DOWN)
        before = samples(vip)
        until(lambda: samples(vip) > before + 1)
    (outage,) = seen.outages
    assert (outage.rc, outage.last_line) == (7, "refused")
    assert 0 < outage.length < outage.end < seen.length < 120
    assert seen.samples == seen.good + seen.bad
    before = samples(vip)
    with vip.window() as later:
        until(lambda: samples(vip) > before + 2)
    assert (later.outages, later.bad) == ((), 0)
    life = vip.tail().window
    assert life is not None
    assert (life.outages[0].last_line, life.outage_count) == ("refused", 1)
    assert vip.state is State.RUNNING


def test_a_job_can_be_watched_and_cancelled(host: Any, bgcheck: Any) -> None:
    job = bgcheck.start("echo so far; sleep 97.6", name="watched", host=host)
    assert bgcheck.start("echo so far; sleep 97.6", name="watched", host=host).id == job.id
    deadline = time.monotonic() + 30
    while not job.tail().stdout and time.monotonic() < deadline:
        time.sleep(0.1)
    tail = job.tail()
    assert (tail.state, tail.rc, tail.stdout) == (State.RUNNING, None, "so far\n"), tail
    with pytest.raises(StillRunning):
        job.result(timeout=0.1)
    job.cancel()
    assert job.result(timeout=60).state is State.CANCELLED


def test_it_goes_on_until_the_run_ends(host: Any, bgcheck: Any) -> None:
    job = bgcheck.start("sleep 96.5", name="left over", host=host)
    assert not job.done()
