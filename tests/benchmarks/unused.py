"""What the plugin costs a suite that uses nothing of it."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from .commands import measured
from .contenders import Contender, interleaved
from .lab import Lab, clean_environment

NAME = "unused"
TITLE = "A suite of 2,000 tests that uses nothing of it"
MODULES, TESTS = 40, 50
WITH, WITHOUT = "with the plugin", "with -p no:bgcheck"
PERCENT = 1.0


def run(lab: Lab) -> None:
    record = lab.record
    with lab.scratch() as directory:
        _suite(directory)

        def once(name: str, *options: str) -> None:
            argv = [sys.executable, "-m", "pytest", "-q", *options]
            usage = measured(argv, directory, clean_environment())
            record.add(NAME, "local", name, "CPU", "s", usage.cpu_s)
            record.add(NAME, "local", name, "wall", "s", usage.wall_s)

        once(WITH)  # writes the compiled modules: not counted
        record.series = [series for series in record.series if series.bench != NAME]
        interleaved(
            record,
            NAME,
            lab.repeats(30, 6),
            [
                Contender(WITH, lambda: once(WITH)),
                Contender(WITHOUT, lambda: once(WITHOUT, "-p", "no:bgcheck")),
            ],
        )
    percents = {measure: _percent(lab, measure) for measure in ("CPU", "wall")}
    record.note(
        NAME,
        "The percentage compares the mean of the lowest third of the runs, with and without: what"
        " else a computer does only ever adds to a run.",
    )
    record.aim(
        NAME,
        f"under {PERCENT:g} % of the CPU",
        f"{percents['CPU']:+.2f} % (wall {percents['wall']:+.2f} %)",
        percents["CPU"] < PERCENT,
    )


def _percent(lab: Lab, measure: str) -> float:
    """Return how much more it takes with the plugin, by the lowest third of the runs of each."""
    least = []
    for name in (WITH, WITHOUT):
        series = lab.record.find(NAME, "local", name, measure)
        assert series is not None
        lowest = sorted(series.values)[: len(series.values) // 3]
        least.append(statistics.mean(lowest))
    return (least[0] / least[1] - 1) * 100


def _suite(directory: Path) -> None:
    (directory / "pytest.ini").write_text("[pytest]\n")
    for module in range(MODULES):
        lines = [f"def test_{n}():\n    assert {n} == {n}\n" for n in range(TESTS)]
        (directory / f"test_{module}.py").write_text("\n".join(lines))
