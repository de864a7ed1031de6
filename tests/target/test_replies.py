"""What a target says of a job, as a result; and what is no reply."""

import pytest
from support.scripted_transport import frame, nothing

from pytest_bgcheck.errors import BadReply
from pytest_bgcheck.model import State
from pytest_bgcheck.target.replies import Grown, Report, Stream, parse

ID = "0123456789ab-00ff"
OUTPUT = f"out {nothing(ID)}\nerr {nothing(ID)}"


def report(state: str) -> Report:
    text = frame(f"job {ID} state.{state} -\n{OUTPUT}", name="nonce")
    (only,) = parse("nonce", text.encode()).reports
    return only


@pytest.mark.parametrize(
    ("state", "expected", "detail"),
    [
        ("exit.7.150.1", State.SUCCEEDED, ""),
        ("exit.7.150.1.full", State.SUCCEEDED, "output cut short: no space left on the target"),
        ("refused.cwd", State.NOT_STARTED, "its directory (cwd) does not exist there"),
        ("refused.cwd-closed", State.NOT_STARTED, "its user may not enter its directory (cwd)"),
        ("refused.output", State.NOT_STARTED, "its output cannot be written on the target"),
        ("timeout.150.1.0.x", State.TIMED_OUT, ""),
        ("timeout.150.1.0", State.TIMED_OUT, ""),
        ("timeout.150.1.0.T", State.TIMED_OUT, "it had been stopped (SIGSTOP)"),
        ("timeout.150.3.0.x.4", State.TIMED_OUT, "its last complete attempt ended with rc 4"),
        ("timeout.150.1.2.x", State.TIMED_OUT, "2 of its processes could not be killed"),
        ("timeout.150.1.0.x-12-34", State.TIMED_OUT,
         "possibly of this job, so not killed: processes 12, 34"),
        ("timeout.150.1.0.x-12-34-0", State.TIMED_OUT,
         "possibly of this job, so not killed: processes 12, 34, and others"),
        ("cancel.150.1.0.x", State.CANCELLED, ""),
        ("lost.150.1.0.x", State.LOST, "its supervisor was killed, or the target restarted"),
        ("lost.150.1.0.W", State.LOST, "its directory on the target can no longer be written"),
    ],
)  # fmt: skip
def test_a_final_state_is_a_result_that_says_why(state: str, expected: State, detail: str) -> None:
    result = report(state).result
    assert result is not None
    assert (result.state, result.detail) == (expected, detail)
    assert result.duration == (1.5 if "150" in state else None)


@pytest.mark.parametrize(
    "state",
    [
        "exit.256.1.1",
        "exit.x.1.1",
        "exit.0.1.1.odd",
        "refused.other",
        "refused",
        "odd.1.1.1",
        "exit",
    ],
)
def test_a_state_that_is_none_loses_its_own_job_only(state: str) -> None:
    """A job's directory is its user's, so its check can write there."""
    result = report(state).result
    assert result is not None
    assert result.state is State.LOST
    assert result.detail == f"its state on the target cannot be read: state.{state}"


def test_a_job_that_runs_has_no_result() -> None:
    assert report("run.1.2.3.4.5").result is None
    assert report("end.1.2.3.4.5").result is None


@pytest.mark.parametrize(
    "records",
    [
        ["odd record"],
        ["started"],
        ["left many"],
        ["left ²"],
        [f"job {ID} state.exit.0.1.1 -\nerr {nothing(ID)}\nout {nothing(ID)}"],
        [f"job {ID} state.exit.0.1.1 -\nout 9 1 0\n00\nerr {nothing(ID)}"],
        [f"job {ID} state.exit.0.1.1 -\nout 2 3 0\n000000\n.\nerr {nothing(ID)}"],
        [f"job {ID} state.exit.0.1.1 -\nout 2 3 0\n0000\n.\nerr {nothing(ID)}"],
        [f"job {ID} state.exit.0.1.1"],
        ["dir\nxyz\n."],
    ],
)
def test_records_that_are_none_are_no_reply(records: list[str]) -> None:
    with pytest.raises(BadReply, match="cannot be read"):
        parse("nonce", frame(*records, name="nonce").encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a greeting\n", "no reply in 11 bytes of output"),
        ("nonce begin hex\n", "1 beginnings and 0 ends"),
        ("nonce end 0\nnonce begin hex\n", "1 beginnings and 1 ends"),
        ("nonce begin hex\nleft 0\nnonce end 2\n", "1 of 2 records"),
        ("nonce begin hex\nnonce end x\n", "cannot be read"),
    ],
)
def test_what_is_no_whole_frame_is_no_reply(text: str, message: str) -> None:
    with pytest.raises(BadReply, match=message):
        parse("nonce", text.encode())


def test_a_run_that_is_not_there_any_more_is_gone() -> None:
    assert parse("nonce", b"nonce begin none\nnonce end 0\n").gone


def test_a_reply_is_counted_for_the_log() -> None:
    records = ["started a-1", "attached a-2", "refused a-3 no space left", "left 2"]
    counts = parse("nonce", frame(*records, name="nonce").encode()).counts()
    assert counts == "1 started, 1 attached, 1 refused, 2 processes left"
    assert parse("nonce", b"nonce begin none\nnonce end 0\n").counts() == (
        "the run's directory is gone"
    )
    assert parse("nonce", b"nonce begin hex\nnonce end 0\n").counts() == "nothing to tell"


def test_what_was_cut_while_it_was_read_is_not_told() -> None:
    told = [
        f"grown {ID} out 1 5 9\n{b'5678'.hex()}\n.",
        f"void {ID} out 7",  # a hole was made, up to there
        f"grown {ID} err 2 0 3\n{b'abc'.hex()}\n.",
        f"void {ID} err 3",
        f"over {ID} state.exit.0.1.1",
    ]
    reply = parse("nonce", frame(*told, name="nonce").encode())
    assert reply.grown == (Grown(ID, "out", 1, 7, b"78"), Grown(ID, "err", 2, 0, b""))
    assert reply.over == {ID: "state.exit.0.1.1"}
    assert reply.counts() == "2 bytes written, 1 over"


@pytest.mark.parametrize(
    "told",
    [
        [f"void {ID} out 3"],
        [f"grown {ID} out 1 5 9\n{b'5678'.hex()}\n.", f"void {ID} err 9"],
        [f"grown {ID} out 1 5 9\n{b'5678'.hex()}\n.", f"void {ID} out 4"],
        [f"grown {ID} out 1 5 9\n{b'56789'.hex()}\n."],
        [f"grown {ID} in 1 0 0\n."],
    ],
)
def test_output_that_does_not_fit_what_is_said_of_it_is_no_reply(told: list[str]) -> None:
    with pytest.raises(BadReply):
        parse("nonce", frame(*told, name="nonce").encode())


def test_a_stream_goes_on_behind_a_frame_that_tells_output_only() -> None:
    stream = Stream("nonce")
    first = frame(f"grown {ID} out 1 0 0\n.", name="nonce.1")
    second = frame(f"over {ID} gone", name="nonce.2")
    for text in (first, second):
        (_,) = stream.feed(text.encode())
        assert not stream.complete
    (_,) = stream.feed(frame(name="nonce.3").encode())
    assert stream.complete


def service(state: str, more: str, look: str = "") -> Report:
    text = frame(f"job {ID} state.{state} - {more}\n{OUTPUT}{look}", name="nonce")
    (only,) = parse("nonce", text.encode()).reports
    return only


@pytest.mark.parametrize(
    ("state", "more", "expected", "ready_s", "detail"),
    [
        ("exit.7.150.1", "40 -", State.SUCCEEDED, 0.4, ""),
        ("exit.7.150.1", "- -", State.SUCCEEDED, None, ""),
        ("exit.7.150.1", "- none", State.SUCCEEDED, None, ""),
        ("unready.150.1.0.x", "- none", State.NOT_READY, None,
         "its ready command has not ended once"),
        ("unready.150.1.1.x", "- killed", State.NOT_READY, None,
         "1 of its processes could not be killed; its ready command did not end within 10 s"),
        ("unready.150.1.0.x", "- 7", State.NOT_READY, None,
         "its ready command last ended with rc 7"),
    ],
)  # fmt: skip
def test_a_service_says_whether_it_was_ready_and_else_how_its_ready_command_ended(
    state: str, more: str, expected: State, ready_s: "float | None", detail: str
) -> None:
    look = "\nlook 2 2 0\n=no\n." if more[2:] in ("7", "killed") else ""
    result = service(state, more, look).result
    assert result is not None
    assert (result.state, result.ready_s, result.detail) == (expected, ready_s, detail)
    assert result.look_kept.text() == ("no" if look else "")


def test_a_service_that_has_become_ready_is_told_without_its_output() -> None:
    (report,) = parse("nonce", frame(f"ready {ID} 250 40", name="nonce").encode()).reports
    assert report == Report(ID, None, running_s=2.5, ready_s=0.4)


@pytest.mark.parametrize(
    ("came", "shown"), [(b"", ""), (b"00", ""), (b"00ff", ""), (b"00ffnew\n", "new\n")]
)
def test_output_that_a_probe_begins_anew_while_it_is_told_is_what_has_come(
    came: bytes, shown: str
) -> None:
    """Its next sample empties the file between the moments when its size and its bytes are read."""
    output = f"out 400 30 30\n{came.hex()}\n.\nerr {nothing(ID)}"
    text = frame(f"job {ID} state.run.1.2.3.4.5 900 40 life\n{output}\nlife\n.", name="nonce")
    (told,) = parse("nonce", text.encode()).reports
    assert (told.stdout.text(), told.stdout.cut, told.stdout.missing) == (shown, 0, "")
