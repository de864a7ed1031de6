"""The search for a line in what a job writes, piece by piece."""

import re

import pytest

from pytest_bgcheck.model import Output, Result, State
from pytest_bgcheck.target import lines
from pytest_bgcheck.target.lines import LineSearch
from pytest_bgcheck.target.replies import Grown


def search(regex: str, *pieces: Grown, since_now: bool = False) -> LineSearch:
    found = LineSearch(re.compile(regex), since_now)
    for piece in pieces:
        found.take(piece)
    return found


def out(start: int, data: bytes, attempt: int = 1, stream: str = "out") -> Grown:
    return Grown("id", stream, attempt, start, data)


def matched(found: LineSearch) -> str | None:
    return None if found.match is None else found.match.string


@pytest.mark.parametrize(
    ("regex", "pieces", "line"),
    [
        ("b+$", [out(0, b"aa\nab"), out(5, b"b\r\nbbb\n")], "abb"),
        ("^$", [out(0, b"a\n"), out(2, b"\n")], ""),
        ("^x", [out(0, b"a"), out(0, b"x\n", stream="err")], "x"),
        ("\ufffd", [out(0, b"a\xff\xc3"), out(3, b"\xbc\n")], "a\ufffdü"),
        ("x", [out(0, b"x\n"), out(2, b"xy\n")], "x"),
    ],
)
def test_the_first_complete_line_counts_however_it_came(
    regex: str, pieces: list[Grown], line: str
) -> None:
    assert matched(search(regex, *pieces)) == line


def test_a_last_line_without_an_end_counts_at_the_end_only() -> None:
    found = search("last|^$", out(0, b"first\nlast"))
    assert found.match is None
    found.end()
    assert matched(found) == "last"
    at_its_end = search("^$", out(0, b"first\n"))
    at_its_end.end()
    assert at_its_end.match is None


def test_a_line_that_a_cut_has_torn_is_not_searched_and_what_is_missing_is_counted() -> None:
    found = search("^x|el", out(0, b"a\nhel"), out(100, b"xlo\n"))
    assert (found.match, found.unseen) == (None, 95)
    found.take(out(104, b"xy\n"))
    assert matched(found) == "xy"
    # What was cut before anybody looked.
    assert search("x", out(50, b"x\n")).unseen == 50


def test_output_that_begins_anew_is_a_new_output() -> None:
    found = search("^x", out(0, b"abc"), out(0, b"x"))  # its program has emptied it
    found.take(out(1, b"y\n"))
    assert matched(found) == "xy"
    assert found.unseen == 0
    assert matched(search("^abc$", out(0, b"abc"), out(0, b"x", attempt=2))) == "abc"
    assert matched(search("^x$", out(0, b"abc"), out(0, b"x\n", attempt=2))) == "x"


def test_from_now_on_nothing_counts_that_is_there() -> None:
    found = search("x", out(7, b""), out(7, b"y\n"), since_now=True)
    assert (found.match, found.unseen, found.output("out")) == (None, 0, Output(2, b"", b"y\n"))
    kept = Output(11, b"x\nxxxxxy\ny\n")
    found.take_result(Result(State.SUCCEEDED, attempts=1, stdout_kept=kept))
    assert found.match is None
    untold = LineSearch(re.compile("x"), since_now=True)
    untold.take_result(Result(State.SUCCEEDED, attempts=1, stdout_kept=Output(2, b"x\n")))
    assert untold.match is None


def test_of_a_very_long_line_a_bounded_part_is_kept_and_searched() -> None:
    piece = b"a" * (1 << 20)
    found = search("^x|b$")
    for number in range(50):
        found.take(out(number << 20, piece))
    kept = found._streams["out"]
    assert len(kept.line) + len(kept.tail) <= lines.LONGEST_LINE + lines.SHOWN
    found.take(out(50 << 20, b"b\nx\n"))
    assert matched(found) == "x"
    # As soon as its beginning is here, without an end.
    assert matched(search("^a", out(0, piece))) == piece.decode()


def test_of_a_job_that_has_ended_the_result_has_what_was_not_read() -> None:
    kept = Output(1000, b"head\nmore\n", b"torn\ntail\n")
    result = Result(State.FAILED, 1, 1.0, 1, stdout_kept=kept)
    for regex, line in (("more", "more"), ("head", None), ("orn", None), ("ail", "tail")):
        found = search(regex, out(0, b"HEAD\n"))
        found.take_result(result)
        assert matched(found) == line
    assert found.unseen == 980
    whole = search("^he", out(0, b"he"))
    whole.take_result(Result(State.FAILED, 1, 1.0, 1, stdout_kept=Output(5, b"head\n")))
    assert (matched(whole), whole.unseen) == ("head", 0)
