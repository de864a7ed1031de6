"""The request that tells what jobs write while they write it, under every shell."""

# ruff: noqa: B023 -- what is handed to `until` is called at once

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.machines import shell_as_sh
from support.supervisor_client import Client, bare_client, nothing_runs, run_of

from pytest_bgcheck.target import replies, requests
from pytest_bgcheck.target.replies import Grown, Reply
from pytest_bgcheck.target.requests import Place, Spec

pytestmark = pytest.mark.once

Places = list[tuple[Spec, Place]]


class Follower:
    """One call that follows jobs, and what it has told so far."""

    def __init__(self, client: Client, places: Places, expire_s: int = 60, budget: int = 0) -> None:
        self.nonce = secrets.token_hex(8)
        request = requests.follow_request(
            client.directory, self.nonce, expire_s, places, client.shell, stream=True,
            budget=budget or requests.FOLLOW_BUDGET,
        )  # fmt: skip
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", request], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env=client.env, user=client.user,
        )  # fmt: skip
        self._stream = replies.Stream(self.nonce)
        self.grown: list[Grown] = []
        self.over: dict[str, str] = {}
        self.frames: list[Reply] = []

    def until(self, ready: Callable[[], bool], within_s: float = 20) -> None:
        """Read on until something has been told."""
        deadline = time.monotonic() + within_s
        assert self._process.stdout is not None
        while not ready():
            assert time.monotonic() < deadline, (self.grown, self.over)
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            assert data or ready(), f"it has ended: {self.grown}, {self.over}"
            for reply in self._stream.feed(data):
                self.frames.append(reply)
                self.grown += reply.grown
                self.over |= reply.over

    def text(self, spec: Spec, stream: str = "out", attempt: int = 1) -> bytes:
        """Return what came of a stream; bytes that were left out are a gap of tildes."""
        text = b""
        for told in self.grown:
            if (told.id, told.stream, told.attempt) == (spec.id, stream, attempt) and told.data:
                text = text[: told.start].ljust(told.start, b"~") + told.data
        return text

    def ends(self) -> bool:
        """Return whether it told all, and read it to its end."""
        self.until(lambda: self._stream.complete)
        assert self._process.stdout is not None
        self._process.stdout.read()
        return self._process.wait(20) == 0

    def hang_up(self) -> None:
        """Be gone, as a reader whose connection has broken."""
        assert self._process.stdout is not None
        self._process.stdout.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def make(client: Client, places: Places, expire_s: int = 60, budget: int = 0) -> Follower:
        made.append(Follower(client, places, expire_s, budget))
        return made[-1]

    yield make
    for follower in made:
        follower.close()


Follow = Callable[..., Follower]


def own(client: Client) -> Path:
    """Return a directory for the files of this target's jobs."""
    path = client.base / client.run
    path.mkdir(exist_ok=True)
    return path


def say(client: Client, name: str, text: str) -> None:
    """Have a job of `speaker` write something."""
    with (own(client) / name).open("a", encoding="latin-1") as file:
        file.write(text)


def speaker(client: Client, name: str, **given: object) -> Spec:
    """Start a job that writes what it is told by `say`, until it is told to end."""
    told, program = own(client) / name, own(client) / "speaker.py"
    told.touch()
    program.write_text(SPEAKER)
    return client.spec(name, f"exec {sys.executable} -ISE {program} {told}", **given)


SPEAKER = """
import os, sys, time
with open(sys.argv[1], "rb", buffering=0) as told:
    while True:
        data = told.read()
        if data == b"end":
            sys.exit(3)
        if data:
            os.write(2 if data.startswith(b"2") else 1, data)
        time.sleep(0.005)
"""


def test_what_is_written_is_told_as_it_comes_and_then_the_end(
    clients: dict[str, Client], follow: Follow
) -> None:
    specs, followers = {}, {}
    for name, client in clients.items():
        specs[name] = speaker(client, "c")
        client.start(specs[name])
        say(client, "c", "first\n")
        client.eventually(lambda: any(run_of(client).glob("*/out")))
    for name, client in clients.items():
        job = run_of(client) / specs[name].id
        client.eventually(lambda: b"first" in (job / "out").read_bytes())
        followers[name] = [
            follow(client, [(specs[name], Place())]),
            follow(client, [(specs[name], Place(None, None))]),
            follow(client, [(specs[name], Place(3, 0, 1))]),
        ]
    for name, (all_of_it, new, rest) in followers.items():
        spec = specs[name]
        new.until(lambda: len(new.grown) == 2)
        assert new.grown == [
            Grown(spec.id, "out", 1, 6, b""), Grown(spec.id, "err", 1, 0, b"")
        ]  # fmt: skip
        rest.until(lambda: rest.text(spec) == b"~~~st\n")
        all_of_it.until(lambda: all_of_it.text(spec) == b"first\n")
    delays = []
    for name, client in clients.items():
        begun = time.monotonic()
        say(client, "c", "2nd\0\xff")
        for one in followers[name]:
            one.until(lambda: one.text(specs[name], "err") == b"2nd\0\xff")
        delays.append(f"{name}: {time.monotonic() - begun:.3f}")
    print("seen by all three after s:", *delays)
    for name, client in clients.items():
        say(client, "c", "last")
        one = followers[name][0]
        one.until(lambda: one.text(specs[name]) == b"first\nlast")
        say(client, "c", "end")
    for name, client in clients.items():
        for one in followers[name]:
            assert one.ends()
            assert one.over[specs[name].id].startswith("state.exit.3.")
            assert one.text(specs[name]).endswith(b"last")
        assert not list(run_of(client).glob("follow.*"))


def test_one_that_is_ended_or_cleaned_or_whose_reader_or_run_is_gone_leaves_nothing(
    clients: dict[str, Client], follow: Follow
) -> None:
    gone = []
    for client in clients.values():
        quiet, cancelled = client.spec("quiet", "sleep 91"), client.spec("c", "echo x; sleep 92")
        client.start(quiet, cancelled)
        both = [(quiet, Place()), (cancelled, Place())]
        ours = [follow(client, both) for _ in range(3)]
        for one in ours:
            one.until(lambda: one.text(cancelled) == b"x\n")
        client.ask(requests.cancel_request, [cancelled])
        gone.append((client, quiet, cancelled, ours))
    for client, _, cancelled, ours in gone:
        for one in ours:
            one.until(lambda: cancelled.id in one.over)
            assert one.over[cancelled.id].startswith("state.cancel.")
        ours[0].hang_up()
        client.ask(lambda where, nonce, shell: requests.unfollow_request(
            where, nonce, ours[1].nonce, shell))  # fmt: skip
    for client, quiet, cancelled, ours in gone:
        assert ours[1].ends()
        assert ours[1].over.keys() == {cancelled.id}
        client.eventually(lambda: len(list(run_of(client).glob("follow.*"))) == 2)
        client.ask(requests.clean_request, client.run, True)
        assert ours[2].ends()
        nothing_runs(client)
        # A run that was removed, by whomever.
        client.start(quiet)


def test_a_run_that_was_removed_ends_the_call(clients: dict[str, Client], follow: Follow) -> None:
    followed = []
    for client in clients.values():
        spec = client.spec("c", "sleep 91")
        client.start(spec)
        one = follow(client, [(spec, Place())])
        one.until(lambda: bool(one.grown))
        followed.append((client, spec, one))
    for client, _, _ in followed:
        shutil.rmtree(run_of(client))
    for client, spec, one in followed:
        assert one.ends()
        assert one.over in ({spec.id: "gone"}, {})
        nothing_runs(client)
        client.directory = b""


def test_a_call_that_does_not_stream_replies_as_soon_as_there_is_something(
    clients: dict[str, Client],
) -> None:
    for client in clients.values():
        spec = speaker(client, "c")
        client.start(spec)

        def told(stdout: int | None, stderr: int | None, expire_s: int = 20) -> Reply:
            places = [(spec, Place(stdout, stderr, 0 if stdout is None else 1))]
            return client.ask(
                lambda where, nonce, shell: requests.follow_request(
                    where, nonce, expire_s, places, shell
                )
            )

        assert [(g.stream, g.start, g.data) for g in told(None, None).grown] == [
            ("out", 0, b""), ("err", 0, b"")
        ]  # fmt: skip
        # Else its caller would call again and again.
        assert told(0, 0, expire_s=1).grown == ()
        say(client, "c", "a line\n")
        assert [g.data for g in told(0, 0).grown] == [b"a line\n"]
        say(client, "c", "end")
        assert list(told(7, 0).over) == [spec.id]


def test_each_attempt_is_told_from_its_beginning(
    clients: dict[str, Client], follow: Follow
) -> None:
    followed = []
    for client in clients.values():
        # The second attempt writes more than the first, at once: its size alone tells nothing.
        command = "[ -e f ] && { echo second attempt; exit 0; }; echo first; >f; exit 1"
        spec = client.spec("c", command, retry_every=0.5, cwd=str(own(client)))
        client.start(spec)
        followed.append((spec, follow(client, [(spec, Place(3, 0, 1))])))
    for spec, one in followed:
        one.ends()
        assert one.text(spec, attempt=2) == b"second attempt\n"
        assert one.text(spec) in (b"~~~st\n", b"")


def test_a_file_that_its_program_empties_is_told_from_its_beginning(
    clients: dict[str, Client], follow: Follow
) -> None:
    followed = []
    for client in clients.values():
        command = "echo a long first line; until [ -e go ]; do sleep 0.1; done; echo x >/dev/stdout"
        spec = client.spec("c", f"{command}; sleep 93", cwd=str(own(client)))
        client.start(spec)
        one = follow(client, [(spec, Place())])
        one.until(lambda: one.text(spec) == b"a long first line\n")
        own(client).joinpath("go").touch()
        followed.append((spec, one))
    for _, one in followed:
        one.until(lambda: one.grown[-1].data == b"x\n")
        assert one.grown[-1].start == 0


# --- output that is cut ---------------------------------------------------------------------------

LIMIT = 10_000


@pytest.fixture(params=["bash", "dash", "busybox", "bare dash"])
def cutting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """The bare one has no fallocate, busybox one that makes no holes."""
    kind = request.param
    if kind.startswith("bare "):
        ours = bare_client(kind[5:], tmp_path)
    else:
        ours = Client(shell_as_sh(kind, tmp_path), tmp_path)
    yield ours
    ours.clean()


FLOOD = """
import os, time
n = 0
begun = time.monotonic()
while n < 600_000:
    block = b"".join(b"%099d\\n" % (n + m) for m in range(1000))
    while block:
        block = block[os.write(1, block):]
    n += 1000
    time.sleep(max(0, begun + n / 100_000 - time.monotonic()))  # 10 MB a second
"""


def test_in_a_flood_that_is_cut_all_told_is_true_and_other_jobs_are_told_too(
    cutting: Client, follow: Follow
) -> None:
    program = own(cutting) / "flood.py"
    program.write_text(FLOOD)
    flood = cutting.spec("f", f"exec {sys.executable} -ISE {program}", output_limit=LIMIT)
    quiet = speaker(cutting, "quiet")
    cutting.start(flood, quiet)
    one = follow(cutting, [(flood, Place()), (quiet, Place())], budget=200_000)
    delays = []
    for number in range(8):
        begun = time.monotonic()
        say(cutting, "quiet", f"line {number}\n")
        one.until(lambda: one.text(quiet).endswith(b"%d\n" % number))
        delays.append(time.monotonic() - begun)
        # Now and then the reader is slow, so that more is cut than it has read.
        time.sleep(0.5)
    print("delays:", *(f"{delay:.2f}" for delay in delays))
    one.until(lambda: flood.id in one.over, 60)
    told = [g for g in one.grown if (g.id, g.stream) == (flood.id, "out") and g.data]
    end = 0
    for piece in told:
        assert piece.start >= end
        end = piece.end
        assert piece.data == lines(piece.start, piece.end), piece
    assert end == 600_000 * 100
    assert told[0].start == 0
    seen = sum(len(piece.data) for piece in told)
    print(f"{seen:,} of {end:,} bytes were told, in {len(told)} pieces")
    say(cutting, "quiet", "end")
    assert one.ends()
    late = follow(cutting, [(flood, Place()), (quiet, Place(5, 0, 1))])
    assert late.ends()
    first, *_, last = (g for g in late.grown if g.id == flood.id and g.stream == "out" and g.data)
    assert (first.start, last.end) == (0, 600_000 * 100)
    assert all(g.data == lines(g.start, g.end) for g in late.grown if g.id == flood.id and g.data)
    assert LIMIT <= sum(len(g.data) for g in late.grown if g.id == flood.id) < 600_000 * 100


def lines(start: int, end: int) -> bytes:
    """Return these bytes of what the flood writes."""
    first = start // 100
    text = b"".join(b"%099d\n" % n for n in range(first, end // 100 + 1))
    return text[start - first * 100 : end - first * 100]
