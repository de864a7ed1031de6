"""Waits for a line of a job's output, on real targets."""

import re
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from support.handle_user import HandleUser
from support.machines import SSHServer
from support.machines.machine import wait_until
from support.machines.processes import with_argument
from support.real_targets import Counting, RealRun, target
from support.scripted_transport import words_of

from pytest_bgcheck.errors import Unreachable, WrongUse
from pytest_bgcheck.target.job import Job
from pytest_bgcheck.target.records import Target
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import Answer, Transport

# The same on every Python.
pytestmark = pytest.mark.once

SPEAKER = """
echo "first line"
while :; do
    if [ -e say ]; then mv say said; cat said; fi
    if [ -e shout ]; then mv shout shouted; cat shouted >&2; fi
    [ ! -e end ] || exit 3
    sleep 0.02
done
"""
"""Writes what is put into its directory."""


@dataclass
class Place:
    """A target, and how a file is put into a directory there, whole."""

    target: Target
    directory: str
    put: Callable[[str, str], object]

    @property
    def counted(self) -> Counting:
        """Its transport, which counts the calls from now on."""
        if not isinstance(self.target.transport, Counting):
            self.target.transport = Counting(self.target.transport)
        return self.target.transport


def here(place: Target, directory: Path) -> Place:
    def put(name: str, text: str) -> None:
        directory.joinpath("new").write_text(text, encoding="latin-1")
        directory.joinpath("new").rename(directory / name)

    return Place(place, str(directory), put)


@pytest.fixture(params=["local", "ssh", "docker", "paramiko"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "docker":
        container = request.getfixturevalue("docker_container")
        folder = f"/speaker-{secrets.token_hex(4)}"
        container.exec("mkdir", folder)

        def put(name: str, text: str) -> None:
            octal = "".join(f"\\{ord(c):03o}" for c in text)
            script = f"printf '{octal}' >{folder}/new && mv {folder}/new {folder}/{name}"
            container.exec("sh", "-c", script)

        return Place(target(f"docker://{container.name}"), folder, put)
    directory = tmp_path / "speaker"
    directory.mkdir()
    if request.param == "local":
        return here(target("local://"), directory)
    if request.param == "paramiko":
        pytest.importorskip("paramiko")
    server = request.getfixturevalue("ssh_server")
    return here(
        target(f"{request.param}://target", ssh_config=str(server.client_config)), directory
    )


@pytest.fixture
def real_run() -> Iterator[RealRun]:
    ours = RealRun()
    yield ours
    ours.close()


def speaker(real_run: RealRun, place: Place) -> Job:
    record = real_run.running(place.target, SPEAKER, cwd=place.directory)
    return Job(real_run.runner, record, HandleUser(real_run.runner))


def follows(real_run: RealRun) -> list[str]:
    """Return the processes of this run that follow, on a target whose processes are seen here."""
    of_run = with_argument(f"\0{real_run.run}\0")
    return [str(p) for p in of_run if p in with_argument("supervisor.sh\0follow\0")]


def in_vain(
    job: Job, regex: str, timeout: float | None = None, since: Literal["now"] | None = None
) -> str:
    """Wait for a line that does not come; return what is said of it."""
    with pytest.raises(AssertionError) as raised:
        job.wait_for_output(regex, timeout, since)
    print(raised.value)
    return str(raised.value)


def test_a_line_is_waited_for_by_one_call_of_which_nothing_is_left(
    real_run: RealRun, place: Place
) -> None:
    calls, job = place.counted.calls, speaker(real_run, place)
    assert job.wait_for_output("^first (.*)$", timeout=30)[1] == "line"
    said = in_vain(job, "first", 1, since="now")
    title = f"background check 'c' on {job.host} wrote no line that matches"
    assert said.startswith(f"{title} 'first' within 1 s\n  stdout")
    delays = []
    with ThreadPoolExecutor(3) as threads:
        for n in range(2):
            # Any thread may call, and several may wait at once, for either stream.
            kinds: list[tuple[str, Literal["now"] | None]]
            kinds = [("said", None), ("shouted", None), ("said", "now")]
            waits = [
                threads.submit(job.wait_for_output, re.compile(rf"^{name}: (.) {n}"), 30, since)
                for name, since in kinds
            ]
            asked = 2 + 3 * n + 3
            assert wait_until(lambda: calls.count("follow") >= asked, 20)  # noqa: B023
            assert wait_until(lambda: bool(follows(real_run)), 20)
            time.sleep(0.7)  # they wait there
            begun = time.monotonic()
            place.put("say", f"said: \xff {n}\n")
            assert [waits[0].result(20)[1], waits[2].result(20)[1]] == ["\ufffd"] * 2
            delays.append(time.monotonic() - begun)
            assert not waits[1].done()
            place.put("shout", f"shouted: x {n}\n")
            assert waits[1].result(20)[1] == "x"
        print("seen after s:", *(f"{delay:.3f}" for delay in delays))
        if place.target.transport.streams:
            assert calls.count("follow") == 2 + 6
        assert calls.count("unfollow") == 0 or job.host.startswith(("docker", "paramiko"))
        assert wait_until(lambda: not follows(real_run), 20)
        begun = time.monotonic()
        place.put("say", "an end without an end of line")
        assert wait_until(lambda: b"an end" in job.tail().stdout_kept.head, 20)
        waits = [threads.submit(job.wait_for_output, "an end", 30)]
        last = threads.submit(in_vain, job, "nothing")
        place.put("end", "")
        assert waits[0].result(30).string == "an end without an end of line"
        ended = last.result(30)
    assert f"{title} 'nothing': it ended before: failed: rc 3 after " in ended
    assert "    said: \ufffd 0\n" in ended
    # Of one that has ended the target need not be asked.
    asked = len(calls)
    assert job.wait_for_output("shouted: x 1").string == "shouted: x 1"
    assert "it ended before: failed: rc 3" in in_vain(job, "first", since="now")
    assert len(calls) == asked
    assert wait_until(lambda: not follows(real_run), 20)


def test_the_end_of_the_job_or_of_the_run_wakes_who_waits(real_run: RealRun, place: Place) -> None:
    job, late = speaker(real_run, place), real_run.submit(place.target, "sleep 94", "late")
    other = Job(real_run.runner, late, HandleUser(real_run.runner))
    with ThreadPoolExecutor(2) as threads:
        waits = [threads.submit(in_vain, one, "never") for one in (job, other)]
        assert wait_until(lambda: len(follows(real_run)) >= 2, 20)
        job.cancel()
        assert "it ended before: cancelled" in waits[0].result(20)
        begun = time.monotonic()
        assert real_run.close() == []
        assert "it ended before: cancelled" in waits[1].result(20)
        print(f"woken after {time.monotonic() - begun:.2f} s")
    assert wait_until(lambda: not follows(real_run), 20)


def test_since_now_counts_nothing_that_a_job_wrote_before_this_process_knew_of_it(
    real_run: RealRun, tmp_path: Path
) -> None:
    place, other = here(target("local://"), tmp_path), RealRun()
    other.run, other.runner = real_run.run, Runner(real_run.run)

    def start(run: RealRun, way: Target) -> Job:
        record = run.submit(way, SPEAKER, cwd=place.directory)
        assert record.state == "pending"
        return Job(run.runner, record, HandleUser(run.runner))

    # It is started by the call before: what it writes, it writes from now on.
    assert start(real_run, place.target).wait_for_output("first", 30, since="now")
    assert "within 1 s" in in_vain(start(other, target("local://")), "first", 1, since="now")
    assert other.close() == []


class Breaking:
    """A way to a target on which the connection of a follow breaks as soon as data have come."""

    def __init__(self, way: Transport, times: int) -> None:
        self.streams, self.ends_calls = way.streams, way.ends_calls
        self.follows: list[list[str]] = []
        self._way, self._times = way, times

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        words = words_of(request)
        if "follow" not in words:
            return self._way.call(request, timeout_s, on_output)
        self.follows.append(words)
        breaks = len(self.follows) <= self._times

        def on_part(data: bytes) -> None:
            assert on_output is not None
            on_output(data)
            if breaks and b".1 end" in data:
                raise Unreachable("broken pipe")

        return self._way.call(request, timeout_s, on_part)

    def close(self) -> None:
        self._way.close()


def test_a_call_that_breaks_off_goes_on_where_it_came_to(real_run: RealRun, tmp_path: Path) -> None:
    place = here(target("local://"), tmp_path)
    way = place.target.transport = Breaking(place.target.transport, 2)
    job = speaker(real_run, place)
    assert wait_until(lambda: job.tail().stdout_kept.size == 11, 20)
    with ThreadPoolExecutor(1) as threads:
        wait = threads.submit(job.wait_for_output, "second", 30)
        assert wait_until(lambda: len(way.follows) == 3, 20)
        place.put("say", "second\n")
        assert wait.result(30).string == "second"
    assert ["from_out=0" in words for words in way.follows] == [True, False, False]
    assert all("from_out=11" in words for words in way.follows[1:])
    way.follows.clear()
    way._times = 1000
    assert re.search(r"within 1 s: broken pipe \(\d+ tries in \d s\)\n", in_vain(job, "x", 1))


def test_a_server_that_goes_down_or_freezes_ends_no_wait_and_prolongs_none(
    real_run: RealRun, tmp_path: Path
) -> None:
    with SSHServer() as server, ThreadPoolExecutor(1) as threads:
        place = here(target("ssh://target", ssh_config=str(server.client_config)), tmp_path)
        job = speaker(real_run, place)
        wait = threads.submit(job.wait_for_output, "meanwhile", 60)
        assert wait_until(lambda: bool(follows(real_run)), 20)
        server.go_down()
        assert wait_until(lambda: not follows(real_run), 20)
        place.put("say", "meanwhile\n")
        assert "refused" in in_vain(job, "never", 1)
        server.come_back()
        assert wait.result(60).string == "meanwhile"
        server.pause()
        begun = time.monotonic()
        assert "wrote no line that matches 'never' within 1 s" in in_vain(job, "never", 1)
        took = time.monotonic() - begun
        server.resume()
        print(f"over after {took:.2f} s")
        assert took < 10
        assert job.wait_for_output("first", 60)
        assert real_run.close() == []


def test_a_signal_gets_through_and_leaves_no_call(real_run: RealRun, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    job = speaker(real_run, here(target("local://"), tmp_path))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with suppress(TimeoutError), pytest.raises(Interrupted):
            job.wait_for_output("never")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert wait_until(lambda: not follows(real_run), 20)
    assert wait_until(lambda: not [t for t in threading.enumerate() if "follow" in t.name], 20)


def test_a_flood_is_searched_and_what_was_cut_unseen_is_told(
    real_run: RealRun, tmp_path: Path
) -> None:
    # 20 MB are written at once, of which the guard leaves 10 kB before anybody looks.
    lines = "for i in $(seq 20); do head -c 1000000 /dev/zero | tr '\\0' x; echo; done"
    command = f"echo begin; {lines}; until [ -e go ]; do sleep 0.05; done; echo end"
    record = real_run.running(target("local://"), command, output_limit=10_000, cwd=str(tmp_path))
    job = Job(real_run.runner, record, HandleUser(real_run.runner))
    assert wait_until(lambda: job.tail().stdout_kept.size > 20_000_000, 30)
    job_directory = Path(record.target.path, record.spec.id)
    cut = ("hole.out.*", "cut.out.*[0-9]")
    assert wait_until(lambda: any(path for name in cut for path in job_directory.glob(name)), 30)
    assert job.wait_for_output("^begin$", 30)
    told = in_vain(job, "^xy", 2)
    assert re.search(r"[\d,]+ bytes of its output were cut out before they could be searched", told)
    tmp_path.joinpath("go").touch()
    assert job.wait_for_output("^end$", 30)
    assert real_run.result(record).stdout_kept.cut


def test_a_wrong_argument_is_told_before_anything_is_asked(
    real_run: RealRun, tmp_path: Path
) -> None:
    place = here(target("local://"), tmp_path)
    calls, job = place.counted.calls, speaker(real_run, place)
    for arguments, said in (
        (("(",), r"regex '\(' is no regular expression: missing \)"),
        ((b"x",), "regex must be a string or a compiled pattern, not bytes"),
        ((re.compile(b"x"),), "regex must be a pattern for str, not for bytes"),
        (("x", 0), "timeout must be more than 0"),
        (("x", "5"), "timeout must be a number of seconds or a timedelta"),
        (("x", 1, "then"), "since must be 'now' or None, not 'then'"),
    ):
        with pytest.raises(WrongUse, match=said):
            job.wait_for_output(*arguments)
    assert "follow" not in calls
