"""Whatever a target answers, in whatever parts and order: detected, bounded, and in time."""

import base64
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.scripted_transport import Scripted, Step, ended, frame, started

from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import BadReply, Gone, Refused, Unreachable
from pytest_bgcheck.model import Output, Result, State
from pytest_bgcheck.target import recovery, waiting
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.replies import Collector, Reply, Stream, mark_of, parse
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.runner import Runner

NONCE = "0123456789abcdef"
RUN = "0123456789ab"

# --- replies --------------------------------------------------------------------------------------

states = st.sampled_from(
    ["exit.0.5.1", "exit.255.1.2", "exit.3.5.1.full", "timeout.5.1.0.x", "timeout.5.1.2.T-12-34",
     "lost.5.1.0.W", "cancel.5.1.0.x", "refused.cwd", "refused.output", "run.1.2.3.4.5",
     "timeout.5.3.0.x.7"]
)  # fmt: skip
outputs = st.one_of(st.binary(max_size=30), st.text("=a \n.", max_size=30).map(str.encode))
jobs = st.lists(st.tuples(st.from_regex(r"[0-9a-f]{4}-[a-z_]{1,5}-[0-9a-f]{4}", fullmatch=True),
                          states, outputs, outputs), max_size=4)  # fmt: skip
noise = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"\n", b"\r\n", b"begin hex\n", b"x begin hex\n", NONCE[:9].encode()]),
    ),
    max_size=5,
).map(lambda parts: b"".join(parts).replace(NONCE.encode(), b""))


def encoded(data: bytes, encoding: str) -> str:
    if encoding == "hex":
        return " " + data.hex(" ") + "\n" if data else ""
    if encoding == "plain" and data and not re.search(rb"[^ -~\n]", data):
        return "".join(f"={line}\n" for line in data.decode().split("\n"))
    return base64.encodebytes(data).decode()


def a_frame(told: list[tuple[str, str, bytes, bytes]], name: str, encoding: str) -> bytes:
    lines = [f"\n{name} begin {encoding.replace('plain', 'base64')}\n"]
    count = 0
    for id, state, out, err in told:
        lines.append(f"job {id} state.{state} -\n")
        mark = mark_of(id).encode("ascii")
        for stream, data in (("out", mark + out), ("err", mark + err)):
            lines.append(f"{stream} {len(data)} {len(data)} 0\n{encoded(data, encoding)}.\n")
        count += 3
    return "".join([*lines, f"{name} end {count}\n"]).encode()


def outcome(reply: Reply) -> list[tuple[str, bytes, bytes]]:
    return [(r.id, r.stdout.bytes(), r.stderr.bytes()) for r in reply.reports]


@given(jobs, noise, noise, st.sampled_from(["hex", "base64", "plain"]), st.booleans())
def test_a_whole_reply_is_read_whatever_stands_around_it(
    told: list[tuple[str, str, bytes, bytes]], before: bytes, after: bytes, how: str, pty: bool
) -> None:
    data = a_frame(told, NONCE, how)
    if pty:
        data = data.replace(b"\n", b"\r\n")
    reply = parse(NONCE, before + b"\n" + data + after)
    assert outcome(reply) == [(id, out, err) for id, _, out, err in told]


@given(jobs, st.data())
def test_a_reply_that_was_cut_is_never_read_as_another(
    told: list[tuple[str, str, bytes, bytes]], data: st.DataObject
) -> None:
    whole = a_frame(told, NONCE, "hex")
    cut = whole[: data.draw(st.integers(0, len(whole) - 2))]
    try:
        reply = parse(NONCE, cut)
    except BadReply:
        return
    # Only digits at its very end may be missing; then the count is wrong, or it is not.
    assert outcome(reply) == [(id, out, err) for id, _, out, err in told]


@given(jobs, st.data())
def test_a_reply_with_bytes_lost_or_changed_is_read_as_it_was_or_not_at_all(
    told: list[tuple[str, str, bytes, bytes]], data: st.DataObject
) -> None:
    whole = bytearray(a_frame(told, NONCE, "hex"))
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[place : place + data.draw(st.integers(1, 30))]
    else:
        whole[place:place] = data.draw(st.binary(min_size=1, max_size=30))
    try:
        reply = parse(NONCE, bytes(whole))
    except BadReply:
        return
    assert len(reply.reports) <= len(told) + 1


@given(jobs)
def test_a_reply_that_came_twice_is_not_read(told: list[tuple[str, str, bytes, bytes]]) -> None:
    whole = a_frame(told, NONCE, "hex")
    with pytest.raises(BadReply):
        parse(NONCE, whole + whole)


@given(st.binary(max_size=300), st.sampled_from(["hex", "base64", "none", "x"]))
def test_any_content_of_a_frame_is_a_reply_or_a_bad_one(content: bytes, encoding: str) -> None:
    try:
        parse(
            NONCE, f"{NONCE} begin {encoding}\n".encode() + content + f"\n{NONCE} end 1\n".encode()
        )
    except BadReply:
        pass


words = st.sampled_from(
    ["dir", "started", "attached", "refused", "left", "job", "out", "err", ".", "*", "-", "gone",
     "state.exit.0.1.1", "state.exit.-1.1.1", "state.exit.256.1.1", "state.exit.0.1", "state.what",
     "state", "state.", "state.timeout.1.1.0.x-y", "state.refused.x", "0", "1", "-1", "٣", "1e3"]
)  # fmt: skip


@given(st.lists(st.lists(words, max_size=5).map(" ".join), max_size=8))
def test_any_records_are_a_reply_or_a_bad_one(lines: list[str]) -> None:
    text = "\n".join([f"{NONCE} begin hex", *lines, f"{NONCE} end {len(lines)}", ""])
    try:
        reply = parse(NONCE, text.encode())
    except BadReply:
        return
    for report in reply.reports:
        assert report.result is None or 0 <= (report.result.rc or 0) <= 255
        assert report.stdout.cut >= 0


@given(st.lists(jobs.filter(bool), max_size=3), noise, st.data())
def test_a_stream_tells_the_same_in_whatever_parts_it_comes(
    frames: list[list[tuple[str, str, bytes, bytes]]], junk: bytes, data: st.DataObject
) -> None:
    whole = junk
    for number, told in enumerate([*frames, []], 1):
        whole += b"\n" + a_frame(told, f"{NONCE}.{number}", "hex") + junk
    stream, heard, rest = Stream(NONCE), [], whole
    while rest:
        size = data.draw(st.integers(1, 1 + len(rest)))
        heard += [outcome(reply) for reply in stream.feed(rest[:size])]
        rest = rest[size:]
    assert stream.complete
    assert heard == [[(id, out, err) for id, _, out, err in told] for told in [*frames, []]]


pieces = st.one_of(
    st.binary(max_size=60),
    jobs.map(lambda told: a_frame(told, f"{NONCE}.1", "hex")),
    st.just(f"{NONCE}.2 end 0\n".encode()),
)


@given(st.lists(pieces, max_size=8))
def test_a_stream_of_anything_is_told_or_refused(parts: list[bytes]) -> None:
    stream = Stream(NONCE)
    try:
        for part in parts:
            list(stream.feed(part))
    except BadReply:
        pass


def test_endless_noise_is_not_kept() -> None:
    stream, collector = Stream(NONCE), Collector(NONCE)
    for _ in range(2000):
        assert list(stream.feed(b"noise without an end" * 100)) == []
        collector.feed(b"noise without an end" * 100)
    assert len(stream._data) < 1000
    assert len(collector.data) < 1000


def test_what_a_check_prints_cannot_be_a_frame() -> None:
    """Even if it knew the nonce: its output is encoded."""
    forged = a_frame([("a-b-c", "exit.0.1.1", b"", b"")], NONCE, "hex")
    whole = a_frame([("a-b-c", "exit.7.1.1", forged, forged)], NONCE, "hex")
    (report,) = parse(NONCE, whole).reports
    assert report.result == Result(
        State.SUCCEEDED, 7, 0.01, 1, "", Output(len(forged), forged), Output(len(forged), forged)
    )
    assert report.stdout.bytes() == forged


# --- recovery -------------------------------------------------------------------------------------


@given(
    st.floats(0.01, 864_000), st.floats(0, 600), st.floats(0, 1e6),
    st.lists(st.tuples(st.floats(0, 80), st.floats(0, 1)), min_size=200, max_size=200),
)  # fmt: skip
def test_the_rules_end_by_the_deadline_whatever_the_calls_take(
    timeout: float, grace: float, now: float, calls: list[tuple[float, float]]
) -> None:
    """A clock of our own: each call takes as long as it may, or less, and fails."""
    deadline = recovery.job_deadline(now + timeout, grace)
    assert deadline >= now + timeout + grace
    begun, failures = now, 0
    while True:
        wanted, jitter = calls[failures % len(calls)]
        expire, patience = recovery.await_patience(now, deadline)
        assert 1 <= expire <= recovery.AWAIT_CALL_S
        assert expire < patience <= expire + recovery.AWAIT_SLACK_S
        now += min(wanted, patience)
        failures += 1
        pause_s = recovery.pause_s(failures, now, deadline, jitter)
        if pause_s is None:
            break
        assert 0 < pause_s <= 1.5 * recovery.LONGEST_PAUSE_S
        now += pause_s
        if failures > 2000:  # calls that fail at once, for days
            return
    assert deadline <= now <= deadline + recovery.LEAST_SLACK_S + 2
    assert begun <= now


@given(st.floats(0.01, 864_000), st.floats(0, 1e6), st.integers(1, 300), st.lists(
    st.tuples(st.floats(0, 80), st.floats(0, 1)), min_size=100, max_size=100))  # fmt: skip
def test_a_start_ends_in_bounded_time(
    timeout: float, now: float, count: int, calls: list[tuple[float, float]]
) -> None:
    begun, deadline = now, recovery.start_deadline(now, timeout)
    for failures, (wanted, jitter) in enumerate(calls, 1):
        now += min(wanted, recovery.start_patience(now, deadline, count))
        pause_s = recovery.pause_s(failures, now, deadline, jitter)
        if pause_s is None:
            break
        now += pause_s
    else:
        assert now < deadline
    longest = recovery.MARGIN_S + recovery.EACH_START_S * count
    assert now - begun <= min(timeout + recovery.MARGIN_S, 60) + min(longest, 60) + 1e-3


# --- the runner, with a clock that runs as fast as it is asked ------------------------------------


class FastClock:
    """Each look at it costs some time."""

    def __init__(self, step_s: float) -> None:
        self._now, self._step_s, self._lock = 0.0, step_s, threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self._now += self._step_s
            return self._now


def streamed(state: str) -> Callable[[str], str]:
    return lambda request: ended(state, "NONCE.1")(request) + frame(name="NONCE.2")


GOOD: list[Step] = [ended("exit.0.5.1"), streamed("exit.0.5.1")]
FAULTS: list[Step] = [
    Unreachable("connection reset"), BadReply("cut"), Refused("permission denied"), "",
    Gone("No such container: x"), "NONCE begin hex\n", "NONCE begin none\nNONCE end 0\n",
    frame() + frame(), frame(), b"\xff\x00", frame("started a-b-c"), frame("refused * full"),
    frame("job x state.exit.0.1.1 -\nout 0 0 0\n.\nerr 0 0 0\n."), frame("what is this"),
    *GOOD, ended("exit.9.5.1"), ended("timeout.5.1.0.x"), ended("lost.5.1.0.x"),
    ended("run.1.2.3.4.5"), streamed("exit.9.5.1"),
]  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(FAULTS), max_size=6), st.lists(st.sampled_from(FAULTS), min_size=1,
    max_size=8), st.booleans(), st.integers(1, 3),
)  # fmt: skip
def test_whatever_a_target_answers_each_job_ends_in_one_state(
    monkeypatch: pytest.MonkeyPatch,
    starts: list[Step],
    waits: list[Step],
    streams: bool,
    count: int,
) -> None:
    monkeypatch.setattr(recovery, "FIRST_PAUSE_S", 0.0001)
    monkeypatch.setattr(recovery, "LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(waiting, "BATCH_S", 0.001)
    monkeypatch.setattr(waiting, "IDLE_S", 0.001)
    ends: list[Record] = []
    target = Target("h", "h", Scripted(streams, start=[*starts, started], waits=waits))
    ours = Runner(RUN, clock=FastClock(0.5), on_end=ends.append)
    specs = []
    for number in range(count):
        check = make_check(f"c{number}", "true", {"grace": 0}, timeout_s=5, directory=Path())
        specs.append(Spec(check.id_on("h", RUN), check))
    records = ours.submit([(spec, target) for spec in specs])
    assert ours.wait_for(lambda: all(r.result for r in records), records, 30)
    assert sorted(map(id, ends)) == sorted(map(id, records))
    for record in records:
        assert record.result is not None
        assert record.state.final
        assert record.result.state is record.state
        assert "internal error" not in record.result.detail
        if record.state is State.SUCCEEDED:
            assert any(step in waits for step in GOOD)
        if record.state not in (State.SUCCEEDED, State.FAILED):
            assert record.result.rc is None


def test_no_frame_can_hold_more_than_it_says() -> None:
    with pytest.raises(BadReply):
        parse(NONCE, f"{NONCE} begin hex\njob a state.run.1.2.3.4.5 -\nout 1 2 0\n 61 61\n.\n"
                     f"err 0 0 0\n.\n{NONCE} end 3\n".encode())  # fmt: skip
