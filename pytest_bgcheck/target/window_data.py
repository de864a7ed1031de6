"""What a prober has written of a window, or of its whole life, as a `windows.Window`. Pure; imports
only windows.

The text lies in a directory of the job's own user, and a full disk can tear it. What does not fit
together is refused as a whole, for a verdict may follow from it. The lines, with all numbers in
hundredths of a second but the counts::

    SAMPLES GOOD BAD LENGTH DOWN UNPROVEN APART OUTAGES GAPS
    outage START LENGTH HOW TEXT
    gap START LENGTH
    longest outage START LENGTH HOW TEXT
    longest gap START LENGTH
    end
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..windows import LISTED, Gap, Outage, Window

MOST_BYTES = 128 << 10
"""Twice what all files of a prober take together."""

TEXT_BYTES = 200
"""Of the last line of a sample."""


@dataclass(frozen=True)
class _Span:
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True)
class _Down(_Span):
    rc: int | None
    last_line: str


class _Spans:
    """The outages and gaps that a text tells, and the longest of each, where it tells that."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.outages: list[_Down] = []
        self.gaps: list[_Span] = []
        self.longest_outage: _Down | None = None
        self.longest_gap: _Span | None = None
        for line in lines:
            match line.split(b" ", 5 if line.startswith(b"longest ") else 4):
                case [b"outage", start, length, how, *text]:
                    self.outages.append(_outage(start, length, how, text))
                case [b"gap", start, length]:
                    self.gaps.append(_Span(_number(start), _number(length)))
                case [b"longest", b"outage", start, length, how, *text] if (
                    self.longest_outage is None
                ):
                    self.longest_outage = _outage(start, length, how, text)
                case [b"longest", b"gap", start, length] if self.longest_gap is None:
                    self.longest_gap = _Span(_number(start), _number(length))
                case _:
                    raise ValueError(f"an odd line, {line[:40]!r}")


def _number(word: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,10}", word):
        raise ValueError(f"{word[:40]!r} is no number")
    return int(word)


def _outage(start: bytes, length: bytes, how: bytes, text: Sequence[bytes]) -> _Down:
    rc = None if how == b"killed" else _number(how)
    if rc is not None and rc > 255:
        raise ValueError(f"{rc} is no exit code")
    last_line = b"".join(text)[:TEXT_BYTES].decode("utf-8", "replace")
    return _Down(_number(start), _number(length), rc, last_line)


def read_window(data: bytes) -> Window:
    """Return a window that is closed. Raises ValueError."""
    *lines, end = _lines(data)
    if end != b"end":
        raise ValueError("no end")
    header, spans = lines[:1], _Spans(lines[1:])
    numbers = _header(header)
    for listed, count in ((spans.outages, numbers[-2]), (spans.gaps, numbers[-1])):
        if len(listed) != min(count, LISTED):
            raise ValueError(f"{len(listed)} of {count} are listed")
    return _window(numbers, spans)


def read_life(data: bytes) -> Window:
    """Return what a prober has seen since its beginning. Raises ValueError.

    The text is of two files. The second is appended to, at first perhaps in this moment: what it
    tells of later than the first does not count yet. How much it lists is not bounded by `LISTED`,
    but by its size.
    """
    if not data.endswith(b"\n"):
        data = data[: data.rfind(b"\n") + 1]
    lines = _lines(data)
    numbers, spans = _header(lines[:1]), _Spans(lines[1:])
    length = numbers[3]
    spans.outages = _once(spans.outages, length)
    spans.gaps = _once(spans.gaps, length)
    for listed, longest, count in (
        (spans.outages, spans.longest_outage, numbers[-2]),
        (spans.gaps, spans.longest_gap, numbers[-1]),
    ):
        if len(listed) < count and longest is None:
            raise ValueError(f"{len(listed)} of {count} are listed, and not the longest")
    return _window(numbers, spans)


def _lines(data: bytes) -> list[bytes]:
    if len(data) > MOST_BYTES or not data.endswith(b"\n"):
        raise ValueError(f"{len(data)} bytes, and no whole lines")
    return data[:-1].split(b"\n")


def _header(lines: Sequence[bytes]) -> list[int]:
    numbers = [_number(word) for line in lines for word in line.split(b" ")]
    if len(numbers) != 9:
        raise ValueError(f"{len(numbers)} numbers")
    return numbers


SpanT = TypeVar("SpanT", bound=_Span)


def _once(spans: Sequence[SpanT], until: int) -> list[SpanT]:
    """Return those that end until then, in their order; what is told twice, once."""
    known = {span.start: span for span in spans if span.end <= until}
    return [known[start] for start in sorted(known)]


def _window(numbers: Sequence[int], spans: _Spans) -> Window:
    samples, good, bad, length, down, unproven, apart, outage_count, gap_count = numbers
    outages = _with_longest(spans.outages, spans.longest_outage)
    gaps = _with_longest(spans.gaps, spans.longest_gap)
    ordered = sorted([*outages, *gaps], key=lambda span: (span.start, span.end))
    wrong = {
        "samples": samples != good + bad,
        "outages": outage_count > bad or (not outage_count and bad > 0),
        "outages listed": not _adds_up(outages, outage_count, down),
        "gaps listed": not _adds_up(gaps, gap_count, unproven),
        "order": any(span.end > after.start for span, after in itertools.pairwise(ordered)),
        "length": down + unproven > length or any(span.end > length for span in ordered),
    }
    if any(wrong.values()):
        raise ValueError(f"what does not fit: {', '.join(what for what in wrong if wrong[what])}")
    return Window(
        length / 100,
        samples,
        good,
        bad,
        tuple(
            Outage(down.start / 100, down.length / 100, down.rc, down.last_line)
            for down in _listed(outages)
        ),
        tuple(Gap(gap.start / 100, gap.length / 100) for gap in _listed(gaps)),
        outage_count,
        gap_count,
        down / 100,
        unproven / 100,
        apart / 100,
    )


def _with_longest(spans: list[SpanT], longest: SpanT | None) -> list[SpanT]:
    """Return the spans in their order, the longest among them if it is told apart."""
    if longest is None or any((s.start, s.end) == (longest.start, longest.end) for s in spans):
        return spans
    if any(span.length > longest.length for span in spans):
        raise ValueError("the longest is not")
    return sorted([*spans, longest], key=lambda span: span.start)


def _adds_up(spans: Sequence[_Span], count: int, length: int) -> bool:
    """Return whether these can be so many spans, or some of them, of this length together."""
    known = sum(span.length for span in spans)
    return known == length if len(spans) == count else len(spans) < count and known <= length


def _listed(spans: Sequence[SpanT]) -> list[SpanT]:
    """Return the first of the spans, and the longest."""
    first = list(spans[:LISTED])
    longest = max(spans, key=lambda span: span.length, default=None)
    return first if longest is None or longest in first else [*first, longest]
