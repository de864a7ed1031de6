"""What a prober has written: read as a window only if all of it fits together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_transport import frame, nothing

from pytest_bgcheck.model import State
from pytest_bgcheck.target.replies import Report, parse
from pytest_bgcheck.target.window_data import read_life, read_window
from pytest_bgcheck.windows import LISTED, Gap, Outage, Window

ID = "0123456789ab-00ff"
SEEN = (
    "9 6 3 2000 260 400 101 2 1",
    "outage 150 200 7 curl: (7) refused by 10.0.0.1",
    "gap 700 400",
    "outage 1200 60 killed",
)
WINDOW = Window(
    20.0, 9, 6, 3,
    (Outage(1.5, 2.0, 7, "curl: (7) refused by 10.0.0.1"), Outage(12.0, 0.6)), (Gap(7.0, 4.0),),
    2, 1, 2.6, 4.0, 1.01,
)  # fmt: skip
CLEAN = "9 9 0 2000 0 0 101 0 0"


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_window_is_read_in_seconds() -> None:
    assert read_window(text(*SEEN, "end")) == WINDOW
    assert read_window(text(CLEAN, "end")) == Window(20.0, 9, 9, 0, resolution_s=1.01)
    assert read_window(text("0 0 0 31 0 0 0 0 0", "end")) == Window(0.31, 0, 0, 0)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["end"],
        [CLEAN],
        [CLEAN, "end", ""],
        [CLEAN, CLEAN, "end"],
        [CLEAN, "outage 0 0 1 x", "end"],
        ["9 9 0 2000 0 0 101 0", "end"],
        ["9 9 0 2000 0 0 101 0 0 0", "end"],
        ["9 9 0 2000 0 0  101 0 0", "end"],
        ["9 9 0 -2000 0 0 101 0 0", "end"],
        ["9 9 0 2000 0 0 1e1 0 0", "end"],
        ["9 9 0 2000 0 0 ² 0 0", "end"],
        ["9 9 0 20000000000 0 0 101 0 0", "end"],
        # What does not fit together: so many samples, outages, gaps, or so much time.
        ["9 8 0 2000 0 0 101 0 0", "end"],
        ["9 8 1 2000 0 0 101 0 0", "end"],
        ["9 9 0 2000 100 0 101 0 0", "end"],
        ["9 9 0 2000 0 100 101 0 0", "end"],
        ["9 9 0 2000 0 0 101 0 1", "end"],
        ["9 9 0 2000 0 0 101 1 0", "outage 0 0 1 x", "end"],
        ["9 8 1 2000 60 0 101 1 0", "outage 0 50 1 x", "end"],
        ["9 8 1 2000 50 0 101 1 0", "outage 1951 50 1 x", "end"],
        ["9 8 1 2000 50 0 101 2 0", "outage 0 50 1 x", "end"],
        ["9 8 1 2000 50 2000 101 1 1", "outage 0 50 1 x", "gap 0 2000", "end"],
        ["9 8 1 2000 50 100 101 1 1", "outage 100 50 1 x", "gap 120 100", "end"],
        ["9 8 1 2000 50 0 101 1 0", "outage 0 50 256 x", "end"],
        ["9 8 1 2000 50 0 101 1 0", "outage 0 50 -1 x", "end"],
        ["9 8 1 2000 50 0 101 1 0", "outage 0 50", "end"],
        ["9 8 1 2000 50 0 101 1 0", "longest outage 0 50 1 x", "end"],
        ["9 9 0 2000 0 50 101 0 1", "gap 0 50 ", "end"],
        ["9 9 0 2000 0 50 101 0 1", "gap 0 5 0", "end"],
        [*SEEN[:2], "longest outage 1200 60 killed", "gap 700 400", "end"],
        [*SEEN, "longest gap 900 50", "end"],
        [*SEEN, "longest outage 0 10 1 x", "end"],
    ],
)
def test_what_does_not_fit_together_is_no_window(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_window(text(*lines))


@given(st.integers(0, 200), st.booleans())
def test_a_torn_window_is_none(cut: int, zeros: bool) -> None:
    whole = text(*SEEN, "end")
    torn = whole[:cut] + (b"\0" * (len(whole) - cut) if zeros else b"")
    if torn == whole:
        assert read_window(torn) == WINDOW
        return
    with pytest.raises(ValueError, match=r"."):
        read_window(torn)


def test_the_last_line_of_a_sample_is_kept_as_it_is_but_for_what_is_no_utf_8_and_too_long() -> None:
    head = b"1 0 1 10 10 0 0 1 0\noutage 0 10 1 "
    for said, kept in ((b"a  b \xff\0", "a  b \ufffd\0"), (b"x" * 300, "x" * 200), (b"", "")):
        assert read_window(head + said + b"\nend\n").outages[0].last_line == kept


def flapping(count: int, longest: str = "") -> list[str]:
    """Return what is listed of a window with so many outages of 0.1 s, in 2,000 s."""
    more = ["longest outage 190000 50 3 z"] if longest else []
    down = 10 * count + (40 if longest else 0)
    lines = [f"outage {100 * n} 10 1 x" for n in range(min(count, LISTED))]
    return [f"999 499 500 200000 {down} 0 100 {count} 0", *lines, *more]


def test_the_longest_outage_is_known_also_where_not_all_are_listed() -> None:
    window = read_window(text(*flapping(300, "z"), "end"))
    assert (len(window.outages), window.outage_count) == (LISTED + 1, 300)
    assert window.outages[-1] == Outage(1900.0, 0.5, 3, "z")
    assert (window.max_outage_s, window.down_s) == (0.5, 30.4)
    window = read_window(text(*flapping(300), "end"))
    assert (len(window.outages), window.max_outage_s) == (LISTED, 0.1)
    with pytest.raises(ValueError, match="99 of 300 are listed"):
        read_window(text(*flapping(300)[:-1], "end"))
    shorter = text(*flapping(300), "longest outage 190000 5 3 z", "end")
    with pytest.raises(ValueError, match="the longest is not"):
        read_window(shorter)


# --- the whole life -------------------------------------------------------------------------------


def test_a_life_is_read_from_what_is_rewritten_and_what_is_appended() -> None:
    counts = ["9 5 4 2000 460 400 101 3 1", "outage 1800 200 9 now"]
    longest = ["longest outage 150 200 7 curl: (7) refused by 10.0.0.1", "longest gap 700 400"]
    life = read_life(text(*counts, *longest, *SEEN[1:]))
    assert life.outages == (*WINDOW.outages, Outage(18.0, 2.0, 9, "now"))
    assert (life.gaps, life.down_s, life.outage_count) == (WINDOW.gaps, 4.6, 3)


def test_what_was_appended_since_the_counts_does_not_count_yet() -> None:
    counts = ["9 5 4 2000 460 400 101 3 1", "outage 1800 200 9 now"]
    appended = [*SEEN[1:], "outage 1800 300 9 now", "gap 2200 50", "outage 2300 50 9 then"]
    life = read_life(text(*counts, *appended))
    assert life == read_life(text(*counts, *SEEN[1:]))
    assert life == read_life(text(*counts, *SEEN[1:]) + b"outage 1800 2")
    ended_at_once = text(*counts, *SEEN[1:], "outage 1800 200 9 now")
    assert life == read_life(ended_at_once)


def test_a_life_can_list_more_than_a_window_or_less_and_always_the_longest() -> None:
    lines = [f"outage {100 * n} 10 1 x" for n in range(300)]
    life = read_life(text("999 499 500 200000 3000 0 100 300 0", *lines))
    assert (life.outages, life.outage_count) == (
        tuple(Outage(float(n), 0.1, 1, "x") for n in range(LISTED)), 300,
    )  # fmt: skip
    header = "999 499 500 200000 3090 0 100 310 0"
    with pytest.raises(ValueError, match="300 of 310 are listed, and not the longest"):
        read_life(text(header, *lines))
    life = read_life(text(header, "longest outage 190000 20 1 x", *lines))
    assert (life.max_outage_s, len(life.outages)) == (0.2, LISTED + 1)


def probe(state: str, more: str, *life: str) -> Report:
    data = text(*life).hex()
    output = f"out {nothing(ID)}\nerr {nothing(ID)}"
    record = f"job {ID} {state} 150 {more} life\n{output}\nlife\n{data}\n."
    (only,) = parse("nonce", frame(record, name="nonce").encode()).reports
    return only


def test_the_report_of_a_probe_tells_what_it_has_seen() -> None:
    running = probe("state.run.1.2.3.4.5", "40", *SEEN)
    assert (running.result, running.running_s) == (None, 1.5)
    assert (running.ready_s, running.window) == (0.4, WINDOW)
    result = probe("state.cancel.150.1.0.x", "40", *SEEN).result
    assert result is not None
    assert (result.state, result.ready_s, result.window) == (State.CANCELLED, 0.4, WINDOW)


def test_a_life_that_cannot_be_read_harms_nothing_else_and_says_so() -> None:
    result = probe("state.lost.150.1.0.x", "-", "torn").result
    assert result is not None
    assert (result.state, result.window) == (State.LOST, None)
    assert result.detail.startswith("its supervisor was killed, or the target restarted; what it")
    assert "has seen cannot be read: b'torn' is no number" in result.detail
    result = probe("state.refused.cwd", "-").result
    assert result is not None
    assert (result.state, result.window) == (State.NOT_STARTED, None)
    assert result.detail == "its directory (cwd) does not exist there"


def test_windows_are_told_by_their_probes_and_their_own_ids() -> None:
    data = text(*SEEN, "end").hex()
    records = [f"opened {ID} w1", f"window {ID} w2\n{data}\n.", f"window {ID} w3\n00\n."]
    reply = parse("nonce", frame(*records, f"refused {ID} too late", name="nonce").encode())
    assert reply.opened == {(ID, "w1")}
    assert reply.windows == {(ID, "w2"): WINDOW, (ID, "w3"): None}
    assert reply.refused == {ID: "too late"}
    assert reply.counts() == "1 refused, 1 opened, 2 closed"
