"""A record as Markdown, for people, and as JSON, for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from .record import Record, Series


def as_json(record: Record, facts: Mapping[str, str]) -> str:
    return (
        json.dumps(
            {
                "facts": facts,
                "aims": [asdict(aim) for aim in record.aims],
                "series": [{**asdict(s), "median": s.median} for s in _filled(record.series)],
                "notes": record.notes,
            },
            indent=1,
        )
        + "\n"
    )


def as_markdown(record: Record, facts: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """Return the aims first, then each bench's figures, then what they were measured with."""
    parts = ["# Benchmarks", _aims(record, titles)]
    for bench in record.benches():
        parts.append(f"## {titles.get(bench, bench)}")
        parts.append(_figures([s for s in _filled(record.series) if s.bench == bench]))
        parts += record.notes.get(bench, [])
    parts.append("## Measured with")
    parts.append(_rows(["what", "version"], facts.items()))
    return "\n\n".join(parts) + "\n"


def _filled(series: Iterable[Series]) -> list[Series]:
    return [s for s in series if s.values]


def _aims(record: Record, titles: Mapping[str, str]) -> str:
    rows = [
        (titles.get(a.bench, a.bench), a.aim, a.measured, "yes" if a.reached else "**no**")
        for a in record.aims
    ]
    return _rows(["bench", "aim", "measured", "reached"], rows)


def _figures(series: Sequence[Series]) -> str:
    rows = [
        (
            s.case,
            s.contender,
            s.measure,
            f"{number(s.median)} {s.unit}".rstrip(),
            f"{number(min(s.values))} to {number(max(s.values))}" if len(s.values) > 1 else "",
            str(len(s.values)),
        )
        for s in series
    ]
    return _rows(["case", "contender", "measure", "median", "from, to", "n"], rows)


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Return a value with three digits that count, and no more."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"
