"""What was measured: series of values, and the aims with what became of them. Plain data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Series:
    """The values of one measure of one contender; ``unit`` "" is a number or a ratio."""

    bench: str
    case: str
    contender: str
    measure: str
    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def percentile(self, percent: float) -> float:
        """Return the smallest value that so many percent of the values do not exceed."""
        place = math.ceil(len(self.values) * percent / 100) - 1
        return sorted(self.values)[max(0, place)]


@dataclass(frozen=True)
class Aim:
    """A figure that the project set out to reach, and what was measured of it."""

    bench: str
    aim: str
    measured: str
    reached: bool


@dataclass
class Record:
    """All that a run of the benchmarks has found out."""

    series: list[Series] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def add(
        self, bench: str, case: str, contender: str, measure: str, unit: str, *values: float
    ) -> Series:
        """Add values to a series, which is made if there is none; return it."""
        found = self.find(bench, case, contender, measure)
        if found is None:
            found = Series(bench, case, contender, measure, unit)
            self.series.append(found)
        found.values += values
        return found

    def find(self, bench: str, case: str, contender: str, measure: str) -> Series | None:
        key = (bench, case, contender, measure)
        for series in self.series:
            if (series.bench, series.case, series.contender, series.measure) == key:
                return series
        return None

    def median(self, bench: str, case: str, contender: str, measure: str) -> float:
        """Return a series' median. Raises LookupError if nothing of it was measured."""
        found = self.find(bench, case, contender, measure)
        if found is None or not found.values:
            raise LookupError(f"{measure} of {contender} ({bench}, {case}) was not measured")
        return found.median

    def aim(self, bench: str, aim: str, measured: str, reached: bool) -> None:
        self.aims.append(Aim(bench, aim, measured, reached))

    def note(self, bench: str, text: str) -> None:
        """Keep a sentence that a reader of the bench's figures needs; the same one once."""
        notes = self.notes.setdefault(bench, [])
        if text not in notes:
            notes.append(text)

    def benches(self) -> Iterable[str]:
        return dict.fromkeys([*(series.bench for series in self.series), *self.notes])
