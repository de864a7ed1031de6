"""``python -m benchmarks``: run the benches, write what they found."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Protocol

import pytest

from . import finished, ontarget, outages, samples, scaling, seed, start, unused, wakeup, wall
from .facts import facts
from .lab import Lab, lab
from .record import Record
from .table import as_json, as_markdown


class Bench(Protocol):
    """A module that measures one subject."""

    NAME: str
    TITLE: str

    def run(self, lab: Lab) -> None: ...


BENCHES: dict[str, Bench] = {
    bench.NAME: bench
    for bench in (
        *(wall, seed, wakeup, start, scaling, ontarget),
        *(outages, samples, finished, unused),
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "bench", nargs="*", metavar="BENCH", help=f"some of: {', '.join(BENCHES)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats and smaller sizes")
    parser.add_argument(
        "--output", type=Path, default=Path("results"), help="write OUTPUT.md and OUTPUT.json"
    )
    options = parser.parse_args()
    if unknown := set(options.bench) - set(BENCHES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    # So that a run which is ended ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    record = Record()
    done = True
    with lab(options.quick, record) as made:
        for name in options.bench or BENCHES:
            begun = time.monotonic()
            try:
                BENCHES[name].run(made)
            except (LookupError, pytest.skip.Exception) as error:
                # A contender that failed has a note of its own; a missing tool says its package.
                record.note(name, f"Not complete: {error}")
                done = False
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            # Each time: a run that is ended early has told what it had.
            text = _write(record, options.output)
    print(text)
    return 0 if done else 1


def _write(record: Record, output: Path) -> str:
    """Write OUTPUT.md and OUTPUT.json, and return the former."""
    titles = {bench.NAME: bench.TITLE for bench in BENCHES.values()}
    text = as_markdown(record, facts(), titles)
    output.with_suffix(".md").write_text(text)
    output.with_suffix(".json").write_text(as_json(record, facts()))
    return text


if __name__ == "__main__":
    sys.exit(main())
