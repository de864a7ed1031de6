"""``python -m neighbours``: run beside other plugins, write a table of what differs."""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from . import beside, own_suites
from .environments import bases
from .own_suites import PROJECTS
from .plugins import NEIGHBOURS
from .table import Row, as_markdown

ROOT = Path(__file__).parents[2]


def main() -> int:
    names = [n.package for n in NEIGHBOURS]
    parser = argparse.ArgumentParser(prog="python -m neighbours", description=__doc__)
    parser.add_argument("name", nargs="*", help="plugins, or 'suites' (default: all)")
    parser.add_argument("--quick", action="store_true", help="the plugins used most, no suites")
    parser.add_argument("--output", type=Path, default=Path("neighbours.md"))
    parser.add_argument("--work", type=Path, help="keep the environments and the runs there")
    options = parser.parse_args()
    if unknown := set(options.name) - {*names, "suites"}:
        parser.error(f"none of them: {', '.join(sorted(unknown))}")
    # So that a run which is ended removes what it has made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = options.name or ["suites", *names]
    if options.quick:
        chosen = [n.package for n in NEIGHBOURS if n.quick]
    with tempfile.TemporaryDirectory(prefix="neighbours-") as temporary:
        work = options.work or Path(temporary)
        rows, versions = _run(work, chosen)
    text = as_markdown(rows, versions)
    options.output.write_text(text)
    print(text)
    return 1 if any(row.failed for row in rows) else 0


def _run(work: Path, chosen: list[str]) -> tuple[list[Row], str]:
    projects = PROJECTS if "suites" in chosen else ()
    work.mkdir(parents=True, exist_ok=True)
    without, with_plugin = bases(work, ROOT)
    rows = []
    for project in projects:  # one after the other: each is two runs side by side
        begun = time.monotonic()
        directory = work / project.package
        directory.mkdir()
        rows.append(own_suites.row(project, without, with_plugin, directory))
        _tell(rows[-1], begun)
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        tasks = []
        for neighbour in NEIGHBOURS:
            if neighbour.package in chosen:
                directory = work / f"beside-{neighbour.package}"
                directory.mkdir()
                tasks.append(pool.submit(beside.row, neighbour, with_plugin, directory))
        for done in as_completed(tasks):
            rows.append(done.result())
            _tell(rows[-1], begun)
    packages = ("pytest", "pytest-xdist", "pytest-testinfra")
    versions = [f"{package} {without.version(package)}" for package in packages]
    return rows, ", ".join([f"Python {platform.python_version()}", *versions])


def _tell(row: Row, begun: float) -> None:
    told = "; ".join(row.problems) or "as expected"
    print(f"{row.name}: {told} ({time.monotonic() - begun:.0f} s)", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
