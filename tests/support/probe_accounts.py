"""The accounts of a prober, kept by its own program under a clock of the test's, and by a model.

All times are centiseconds since the probe's start. May use nothing of the program in its model.
"""

import itertools
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_bgcheck.target.window_data import read_life, read_window
from pytest_bgcheck.windows import Window

PARTS = Path(__file__).parents[2] / "pytest_bgcheck/target/supervisor"

HARNESS = r"""
set -u
_newline="
"
for part in states clocks windows probe; do . "$1/$part.sh"; done
now() { _now=$(((_from + _clock) % 100000000)); }
find_last_line() { _text="the line of $_begun"; }
goes_on() { :; }
_mark=m _ending=
while read -r _what _a _b _c _d; do
    case $_what in
    case)
        cd "$_a" || exit 1
        _every=$_b _from=$_c _clock=0 _over=0
        printf "%s\n. 0 0\n%-1000s\n" "0 0 0 0 0 0 0 0 0" "" >counts
        begin_accounts ;;
    sample)
        _begun=$_a _over=$_b _verdict=$_c _how=3
        _clock=$_over
        [ "$_verdict" != none ] || _verdict=
        if [ -n "$_verdict" ]; then count_sample; else _s_skip=${_s_skip:-$_begun}; fi
        [ "$_d" = quiet ] || tell_life "$_over" ;;
    life) tell_life "$_a" ;;
    says)
        _clock=$_a _heard="$_b $_c $_d"
        obey ;;
    esac
done
"""


@dataclass(frozen=True)
class Sample:
    """One that is not taken has no verdict: neither "good" nor "bad"."""

    start: int
    end: int
    verdict: str

    @property
    def taken(self) -> bool:
        return self.verdict != "none"


@dataclass(frozen=True)
class Asked:
    """What a request has said at ``stamp``; ``behind`` so many samples it was read."""

    verb: str
    window: str
    stamp: int
    read_at: int
    behind: int


@dataclass(frozen=True)
class Case:
    """What happens to one probe: samples one behind the other, and requests between them."""

    every: int
    samples: Sequence[Sample]
    asked: Sequence[Asked] = ()
    started: int = 5

    def program(self, directory: Path, quiet: bool = False) -> str:
        lines = [f"case {directory} {self.every} {self.started}"]
        by_place = sorted(self.asked, key=lambda asked: asked.behind)
        told = iter([*by_place, None])
        asked = next(told)
        for number in range(len(self.samples) + 1):
            if number:
                s = self.samples[number - 1]
                lines.append(f"sample {s.start} {s.end} {s.verdict}{' quiet' if quiet else ''}")
            while asked is not None and asked.behind == number:
                stamp = (self.started + asked.stamp) % 100_000_000
                call = " call" if asked.verb == "close" else ""
                lines.append(f"says {asked.read_at} {asked.verb} {asked.window} {stamp}{call}")
                asked = next(told)
        if quiet:
            lines.append(f"life {self.samples[-1].end}")
        return "\n".join(lines) + "\n"


@dataclass
class Kept:
    """What the program has kept: of each window, and of the whole life."""

    windows: dict[str, Window] = field(default_factory=dict)
    life: Window | None = None


def keep(shell: Path, directory: Path, cases: Sequence[Case]) -> list[Kept]:
    """Have the program keep the accounts of some cases, under a shell."""
    folders = [directory / str(number) for number in range(len(cases))]
    for folder in folders:
        folder.mkdir(parents=True)
    text = "".join(case.program(folder) for case, folder in zip(cases, folders, strict=True))
    run_harness(shell, text)
    return [read(folder) for folder in folders]


def run_harness(shell: Path, text: str, changed: str = "") -> None:
    """Have the program go through cases; ``changed`` says what is not as in the others."""
    done = subprocess.run(
        [str(shell), "-c", HARNESS.replace("_mark=m", f"{changed}\n_mark=m"), "sh", str(PARTS)],
        input=text, text=True, capture_output=True, timeout=240,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done


def read(folder: Path) -> Kept:
    """Return what lies in a probe's directory, as it is told to whoever asks."""
    kept = Kept()
    for path in folder.glob("window.*"):
        data = path.read_bytes()
        assert data != b"refused\n", path
        kept.windows[path.suffix[1:]] = read_window(data)
    counts = folder.joinpath("counts").read_text()
    text = counts[: counts.index("\n. ") + 1]
    listed = folder / "outages"
    if listed.exists():
        text += "".join(f"{line[:-2]}\n" for line in listed.read_text().split("\n") if line)
    kept.life = read_life(text.encode())
    return kept


# --- the model ------------------------------------------------------------------------------------


def windows_of(case: Case) -> dict[str, Window]:
    """Return what was to be seen in each window that was opened and closed."""
    seen = {}
    for opened, closed in itertools.product(case.asked, case.asked):
        if (opened.verb, closed.verb) == ("open", "close") and opened.window == closed.window:
            taken = _taken(case, opened.behind)
            # Of what was over before the sample ahead of the last one nobody knows any more.
            begin = max(opened.stamp, taken[-2].end if len(taken) > 1 else 0)
            first = len(taken) - 1 if taken else 0
            taken = _taken(case, closed.behind)
            end = max(closed.stamp, begin)
            late = [sample.start for sample in taken if sample.start > end]
            if len(late) > 1:
                end = late[-2]
            seen[opened.window] = seen_in(case, begin, end, first, closed.behind)
    return seen


def life_of(case: Case) -> Window:
    """Return what was to be seen until the end of the last sample."""
    end = case.samples[-1].end if case.samples else 0
    return seen_in(case, 0, end, 0, len(case.samples))


def _taken(case: Case, behind: int) -> list[Sample]:
    return [sample for sample in case.samples[:behind] if sample.taken]


def seen_in(case: Case, begin: int, end: int, first: int, behind: int) -> Window:
    """Return what was seen from ``begin`` to ``end``, by the definitions.

    ``first``: the number of the first taken sample that can count, ``behind``: how many samples
    there were when the window was closed.
    """
    known = case.samples[:behind]
    places = [n for n, s in enumerate(known) if s.taken and s.start <= end]
    taken = [known[n] for n in places]
    counts = [n >= first and sample.end >= begin for n, sample in enumerate(taken)]
    # Of what comes behind each: when it starts, and whether there is a gap until then.
    starts = [*(sample.start for sample in taken[1:]), end] if taken else []
    gap_behind = [
        _is_gap(case.every, sample, start, known[place + 1 : after])
        for sample, start, place, after in zip(
            taken, starts, places, [*places, len(known)][1:], strict=True
        )
    ]
    gaps = [
        (sample.end, start)
        for sample, start, gap in zip(taken, starts, gap_behind, strict=True)
        if gap
    ]
    first_start = taken[0].start if taken else end
    ahead = known[: places[0]] if places else known
    if _is_gap(case.every, Sample(-case.every, 0, "none"), first_start, ahead):
        gaps.insert(0, (0, first_start))
    gaps = [(max(start, begin), until) for start, until in gaps if max(start, begin) < until]
    outages = []
    run: list[int] = []
    for n, sample in enumerate(taken):
        if sample.verdict == "bad":
            run.append(n)
            last = n + 1 == len(taken) or taken[n + 1].verdict == "good"
            if last or gap_behind[n]:
                if any(counts[n] for n in run):
                    until = sample.end if gap_behind[n] else starts[n]
                    begun = taken[run[0]].start
                    outages.append((max(begun, begin), until, begun))
                run = []
    apart = [
        starts[n] - taken[n].start for n in range(len(taken)) if counts[n] and not gap_behind[n]
    ]
    counted = [sample for sample, counted in zip(taken, counts, strict=True) if counted]
    good = sum(sample.verdict == "good" for sample in counted)
    text = [
        f"{len(counted)} {good} {len(counted) - good} {end - begin}"
        f" {sum(until - start for start, until, _ in outages)}"
        f" {sum(until - start for start, until in gaps)} {max(apart, default=0)}"
        f" {len(outages)} {len(gaps)}"
    ]
    for start, until, cause in outages:
        text.append(f"outage {start - begin} {until - start} 3 the line of {cause}")
    for start, until in gaps:
        text.append(f"gap {start - begin} {until - start}")
    return read_life(("\n".join(text) + "\n").encode())


def _is_gap(every: int, last: Sample, start: int, between: Sequence[Sample]) -> bool:
    """Return whether it is not known what happened between a sample and what starts then.

    ``between``: the samples that are not taken.
    """
    if start <= last.end:
        return False
    due = max(last.start + every, last.end)
    return any(sample.start <= start for sample in between) or start > due + max(every, 100)
