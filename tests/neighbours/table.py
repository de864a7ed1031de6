"""What was found, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """What was found beside one plugin. ``failed``: a difference that nobody expects."""

    name: str
    version: str
    alone: str
    with_workers: str
    problems: Sequence[str] = field(default_factory=list)
    note: str = ""
    failed: bool = False


def as_markdown(rows: Iterable[Row], versions: str) -> str:
    """Return a table, and below it what differs."""
    rows = sorted(rows, key=lambda row: (" " in row.name, row.name))
    lines = ["| plugin | version | alone | `-n 2` | to know |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (row.name, row.version, row.alone, row.with_workers, row.note)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"Run with {versions}."]
    for row in rows:
        if row.problems:
            lines += ["", f"{row.name} {row.version}:", ""]
            lines += [f"- {problem}" for problem in row.problems]
    return "\n".join(lines) + "\n"
