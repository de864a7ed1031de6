"""Results: what a job wrote, and when that is not all of it."""

import pytest

from pytest_bgcheck.errors import OutputCut
from pytest_bgcheck.model import EMPTY, Output, Result, State

CUT = Output(1000, b"first\n", b"last\n")


def test_what_was_left_out_is_said_between_head_and_tail() -> None:
    assert CUT.text() == "first\n\n[... 989 of 1,000 bytes left out ...]\nlast\n"


@pytest.mark.parametrize(
    ("output", "short"),
    [
        (Output(6, b"abc", b"def"), Output(6, b"abcdef", b"")),
        (Output(8, b"abcdefgh"), Output(8, b"abc", b"fgh")),
        (Output(99, b"abcd", b"wxyz"), Output(99, b"abc", b"xyz")),
        (EMPTY, EMPTY),
    ],
)
def test_output_is_shortened_to_its_ends(output: Output, short: Output) -> None:
    assert output.shortened(3) == short
    result = Result(State.FAILED, 1, stdout_kept=output, stderr_kept=output).shortened(3)
    assert (result.stdout_kept, result.stderr_kept) == (short, short)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (Result(State.SUCCEEDED, 0, stdout_kept=CUT), "stdout was cut: only the first 6 and the"
         " last 5 of its 1,000 bytes were kept"),
        (Result(State.SUCCEEDED, 0, stdout_kept=Output(3, b"abc", missing="a full disk")),
         "stdout is incomplete: a full disk; stdout_kept holds what was kept"),
        (Result(State.UNREACHABLE), "stdout is not known, because the job is unreachable"),
        (Result(State.LOST), "stdout is not known, because the job is lost"),
        (Result(State.CANCELLED), "stdout is not known, because the job is cancelled"),
    ],
)  # fmt: skip
def test_output_that_is_not_whole_is_an_error_that_says_why(result: Result, why: str) -> None:
    for name in ("stdout", "stdout_bytes"):
        with pytest.raises(OutputCut, match=why):
            getattr(result, name)


def test_a_job_that_did_not_start_wrote_nothing() -> None:
    result = Result(State.NOT_STARTED)
    assert (result.stdout, result.stderr, result.stdout_bytes, result.stderr_bytes) == (
        "", "", b"", b"",
    )  # fmt: skip
    assert result.failed
    assert not result.succeeded


def test_bytes_that_are_no_text_are_replaced_in_text_only() -> None:
    result = Result(State.SUCCEEDED, 0, 1.0, 1, "", Output(2, b"\xffa"), Output(2, b"\xfeb"))
    assert (result.stdout, result.stderr) == ("\ufffda", "\ufffdb")
    assert (result.stdout_bytes, result.stderr_bytes) == (b"\xffa", b"\xfeb")
