"""What a prober counts in its windows, and in its whole life, is what the definitions say."""

import os
import secrets
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.machines import SHELLS, shell_as_sh
from support.probe_accounts import (
    Asked,
    Case,
    Sample,
    keep,
    life_of,
    read,
    run_harness,
    windows_of,
)

pytestmark = pytest.mark.once


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a probe's samples, and requests that are read at once or late."""
    late = draw(st.sampled_from([0, 0, 4]))
    every = draw(st.sampled_from([5, 20, 100, 300]))
    samples: list[Sample] = []
    over = 0
    waits = st.sampled_from([0, 0, 0, 1, 3, 99, 100, 101, 250])
    for _ in range(draw(st.integers(0, 25))):
        due = max(samples[-1].start + every if samples else 0, over)
        start = due + draw(waits)
        over = start + draw(st.sampled_from([0, 0, 1, 4, 50, 400]))
        samples.append(Sample(start, over, draw(st.sampled_from(["good", "bad", "none"]))))
    asked: list[Asked] = []
    for number in range(draw(st.integers(0, 5))):
        stamps = sorted(draw(st.tuples(*[st.integers(0, over + 700)] * 2)))
        heard = [_heard(samples, stamp, draw(st.integers(0, late))) for stamp in stamps]
        if heard[0][0] <= heard[1][0]:
            for verb, stamp, (read_at, behind) in zip(
                ("open", "close"), stamps, heard, strict=True
            ):
                asked.append(Asked(verb, f"w{number}", stamp, read_at, behind))
    started = draw(st.sampled_from([0, 5, 99_999_500]))
    return Case(every, samples, sorted(asked, key=lambda a: (a.behind, a.read_at)), started)


def _heard(samples: list[Sample], stamp: int, later: int) -> tuple[int, int]:
    """Return when what was said then is read, and how many samples are over by then."""
    behind = sum(sample.start <= stamp for sample in samples) + later
    behind = min(behind, len(samples))
    return max(stamp, samples[behind - 1].end if behind else 0), behind


def check(shell: Path, directory: Path, drawn: list[Case]) -> None:
    kept = keep(shell, directory / secrets.token_hex(4), drawn)
    for case, told in zip(drawn, kept, strict=True):
        assert told.windows == windows_of(case), case
        if case.samples:
            assert told.life == life_of(case), case


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_accounts_are_what_the_definitions_say(tmp_path: Path, case: Case) -> None:
    check(Path(os.path.realpath("/bin/sh")), tmp_path, [case])


def test_accounts_are_the_same_under_every_shell(tmp_path: Path) -> None:
    for shell in SHELLS:
        check(shell_as_sh(shell, tmp_path), tmp_path, [MANY_SPANS, LATE])


def flapping(every: int, count: int, *verdicts: str) -> list[Sample]:
    """Return samples, each of which takes a hundredth of a second."""
    return [Sample(n * every, n * every + 1, verdicts[n % len(verdicts)]) for n in range(count)]


MANY_SPANS = Case(
    20,
    [*flapping(20, 460, "good", "bad"), *(Sample(n * 20, n * 20 + 1, v) for n, v in enumerate(
        ["bad", "none"] * 110 + ["bad"] * 30 + ["good"], 460
    ))],
    [Asked("open", "w1", 100, 101, 6), Asked("open", "w2", 9000, 9002, 450),
     Asked("close", "w2", 9000, 9002, 450), Asked("open", "w3", 9100, 9102, 456),
     Asked("close", "w1", 14_000, 14_001, 701), Asked("close", "w3", 14_900, 14_900, 711)],
)  # fmt: skip
"""More outages and gaps than are listed, of which the longest come last."""

LATE = Case(
    100,
    [Sample(n * 100, n * 100 + 150 * (n == 7), "good" if n % 3 else "bad") for n in range(7)],
    [Asked("open", "w1", 100, 640, 7), Asked("close", "w1", 330, 680, 7)],
    started=99_999_900,
)
"""Requests that take seconds from their stamp to the prober, while the clock begins anew."""


def test_a_day_of_flapping_leaves_little(tmp_path: Path) -> None:
    """Each sample another verdict, and a last line as long as they get; for a day, in a window."""
    case = Case(
        100,
        flapping(100, 86_400, "good", "bad"),
        [Asked("open", "w1", 100, 101, 2), Asked("close", "w1", 8_640_000, 8_640_000, 86_400)],
    )
    long = "find_last_line() { _text=" + "x" * 200 + "; }"
    run_harness(Path(os.path.realpath("/bin/sh")), case.program(tmp_path, quiet=True), long)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    print(f"{size:,} bytes in {[path.name for path in tmp_path.iterdir()]}")
    assert size < 64_000
    kept = read(tmp_path)
    assert kept.life is not None
    for window in (kept.life, kept.windows["w1"]):
        assert window.outage_count == pytest.approx(43_200, abs=2)
        assert window.down_s == pytest.approx(43_200, abs=4)
        assert window.gaps == ()
