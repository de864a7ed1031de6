"""Output takes little of the target's disk, whatever a check writes; what is told of it is true."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import shell_as_sh
from support.supervisor_client import Client, bare_client

from pytest_bgcheck.model import State
from pytest_bgcheck.target import replies, requests

pytestmark = pytest.mark.once

LIMIT = 10_000


@pytest.fixture(params=["bash", "busybox", "bare dash"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """The bare one has no fallocate, busybox one that makes no holes."""
    kind = request.param
    if kind.startswith("bare "):
        ours = bare_client(kind[5:], tmp_path)
    else:
        ours = Client(shell_as_sh(kind, tmp_path), tmp_path)
    yield ours
    ours.clean()


WRITER = """
import os, sys, time
# Numbered lines of 100 bytes, to both streams in turn, from several processes and threads of time.
lines, name = int(sys.argv[1]), sys.argv[2]
os.write(1, b"first " + name.encode() + b"\\n")
os.write(2, b"first " + name.encode() + b"\\n")
for n in range(0, lines, 1000):
    block = b"".join(b"%s %093d\\n" % (name.encode(), n + m) for m in range(1000))
    for stream in (1, 2):
        rest = block
        while rest:
            rest = rest[os.write(stream, rest):]
    time.sleep(float(sys.argv[3]))
os.write(1, b"last " + name.encode() + b"\\n")
os.write(2, b"last " + name.encode() + b"\\n")
"""


def on_disk(job: Path) -> int:
    sizes = 0
    for path in job.iterdir():
        try:
            sizes += path.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return sizes


def test_the_middle_is_cut_while_it_is_written_and_all_told_is_true(client: Client) -> None:
    program = client.base / "writer.py"
    program.write_text(WRITER)
    python = f"{sys.executable} -ISE {program}"
    # 20 MB on each stream, for two seconds at least.
    one = client.spec("one", f"exec {python} 200000 abcd 0.01", output_limit=LIMIT)
    # The first attempt writes much, the second little: nothing of the one is in the other.
    again = client.spec(
        "again", f"[ -e f ] && {{ echo second; exit 0; }}; >f; {python} 100000 efgh 0.01; exit 1",
        retry_every=0.1, output_limit=LIMIT, cwd=str(client.base),
    )  # fmt: skip
    client.start(one, again)
    run = Path(os.fsdecode(client.directory))
    most = 0
    while not list(run.glob("*/state.exit.*")):
        most = max(most, on_disk(run / one.id))
    results = client.results(one, again)
    size = 200_000 * 99 + len("first abcd\n") + len("last abcd\n")
    for kept in (results["one"].stdout_kept, results["one"].stderr_kept):
        assert kept.size == size
        assert (len(kept.head), len(kept.tail)) == (LIMIT // 2, LIMIT // 2)
        head = b"first abcd\n" + b"".join(b"abcd %093d\n" % n for n in range(100))
        tail = b"".join(b"abcd %093d\n" % n for n in range(199_900, 200_000)) + b"last abcd\n"
        assert kept.head == head[: LIMIT // 2]
        assert kept.tail == tail[-LIMIT // 2 :]
    assert results["again"].stdout_bytes == b"second\n"
    assert results["again"].attempts == 2
    assert most < 2 * size


def test_several_writers_at_once_lose_nothing_of_head_and_tail(client: Client) -> None:
    program = client.base / "writer.py"
    program.write_text(WRITER)
    python = f"{sys.executable} -ISE {program}"
    many = " & ".join(f"{python} 50000 {name} 0.02" for name in ("abcd", "efgh", "ijkl"))
    spec = client.spec("c", f"echo begin; {many} & wait; echo end; exit 5", output_limit=LIMIT)
    client.start(spec)
    result = client.results(spec)["c"]
    assert result.rc == 5
    kept = result.stdout_kept
    assert kept.size == 3 * (50_000 * 99 + len("first abcd\n") + len("last abcd\n")) + 10
    assert kept.head.startswith(b"begin\n")
    assert kept.tail.endswith(b"\nend\n")
    assert b"\0" not in kept.head + kept.tail


def test_a_check_that_writes_for_ever_is_bounded_until_its_limit(client: Client) -> None:
    spec = client.spec("c", f"exec {shutil.which('yes')}", timeout=3, grace=0, output_limit=LIMIT)
    client.start(spec)
    result = client.results(spec)["c"]
    assert result.state is State.TIMED_OUT
    assert "SIGSTOP" not in result.detail
    kept = result.stdout_kept
    assert kept.head == b"y\n" * (LIMIT // 4)
    assert set(kept.tail) == set(b"y\n")
    job = Path(os.fsdecode(client.directory)) / spec.id
    assert not list(job.glob("cut.*.busy"))
    # What was written since the guard looked last, which is each second.
    assert on_disk(job) < max(kept.size * 0.7, 20_000_000)


def test_a_check_that_was_held_as_its_guard_was_killed_goes_on(tmp_path: Path) -> None:
    client = bare_client("dash", tmp_path)
    spec = client.spec("c", "sleep 1; exit 3")
    client.start(spec)
    job = Path(os.fsdecode(client.directory)) / spec.id
    client.eventually(lambda: bool(list(job.glob("pid.*"))))
    job.joinpath("rest").touch()
    (pid,) = job.glob("pid.*")
    os.kill(int(pid.name.split(".")[1]), signal.SIGSTOP)
    client.kill("guard")
    assert client.results(spec)["c"].rc == 3
    client.clean()


def test_where_there_is_no_dd_nothing_is_cut_on_disk_and_all_told_is_true(tmp_path: Path) -> None:
    client = bare_client("dash", tmp_path)
    (tmp_path / "bin" / "dd").unlink()
    program = tmp_path / "writer.py"
    program.write_text(WRITER)
    spec = client.spec(
        "c", f"exec {sys.executable} -ISE {program} 60000 abcd 0.03", output_limit=LIMIT
    )
    client.start(spec)
    kept = client.results(spec)["c"].stdout_kept
    client.clean()
    assert kept.size == 60_000 * 99 + len("first abcd\n") + len("last abcd\n")
    assert kept.tail.endswith(b"abcd %093d\nlast abcd\n" % 59_999)
    assert len(kept.tail) == LIMIT // 2


@pytest.mark.parametrize("kind", ["mksh", "bare mksh"])
def test_a_shell_that_counts_in_32_bits_tells_and_cuts_output_of_more(
    tmp_path: Path, kind: str
) -> None:
    bare = kind.startswith("bare")
    client = (
        bare_client("mksh", tmp_path) if bare else Client(shell_as_sh(kind, tmp_path), tmp_path)
    )
    truncate = shutil.which("truncate")
    spec = client.spec(
        "c", f"echo begin; {truncate} -s 4300000000 /proc/self/fd/1; echo end", output_limit=LIMIT
    )
    client.start(spec)
    kept = client.results(spec)["c"].stdout_kept
    (tail,) = client.ask(requests.tail_request, [spec]).reports
    client.clean()
    mark = len(replies.mark_of(spec.id))
    # Where there is no other shell, as much as it can count.
    assert kept.size == (2**31 - 1 if bare else 4_300_000_004) - mark
    assert kept.head.startswith(b"begin\n")
    assert kept.tail.endswith(b"\0end\n")
    assert (len(kept.head), len(kept.tail)) == (LIMIT // 2, LIMIT // 2)
    assert tail.stdout == kept


READLINK = shutil.which("readlink")
OVERWRITTEN = {
    # Of each: what it writes, and which streams are no more all that it wrote.
    "tee": (f"echo a >&2; echo b | {shutil.which('tee')} /dev/stderr; echo c >&2", {"stderr"}),
    "echo": ("echo ERROR; echo b >/dev/stdout; echo c", {"stdout"}),
    "both": ("echo ERROR; echo b >/dev/stderr; echo c >/dev/stdout", {"stdout", "stderr"}),
    "empty": (": >/dev/stdout", {"stdout"}),
    "later": ("echo ERROR; exec 3<>/dev/stdout; echo nothing wrong here, I hope >&3", {"stdout"}),
    "long": ("echo ERROR; head -c 30000 /dev/zero >/dev/stdout", {"stdout"}),
    "removed": (
        f'exec 3>&1; rm "$({shutil.which("readlink")} /proc/self/fd/3)"; echo b',
        {"stdout"},
    ),
    "append": ("echo a; echo b >>/dev/stdout; echo c >&2", set()),
    "silent": ("true", set()),
    "quiet": ("echo b >&2", set()),
}


def test_output_that_was_overwritten_is_not_taken_for_whole(client: Client) -> None:
    """A check that opens /dev/stdout by name empties the file that the others write to."""
    specs = [
        client.spec(name, command, output_limit=LIMIT) for name, (command, _) in OVERWRITTEN.items()
    ]
    again = client.spec("again", "[ -e f ] && { echo b; exit 0; }; >f; echo a >/dev/stdout; exit 1",
                        retry_every=0.1, cwd=str(client.base))  # fmt: skip
    client.start(*specs, again)
    results = client.results(*specs, again)
    told = {
        name: {s for s in ("stdout", "stderr") if getattr(result, f"{s}_kept").missing}
        for name, result in results.items()
    }
    assert told == {"again": set(), **{name: lost for name, (_, lost) in OVERWRITTEN.items()}}
    assert ">&1 or >&2" in results["echo"].stdout_kept.missing
    assert results["again"].stdout == "b\n"
    assert (results["append"].stdout, results["append"].stderr) == ("a\nb\n", "c\n")
    assert (results["silent"].stdout_kept.size, results["quiet"].stderr) == (0, "b\n")
