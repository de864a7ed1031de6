"""Make the README's pictures from a real run: ``python docs/pictures/make.py``, from a clone.

The suite beside this file runs on a terminal against three names of an OpenSSH server of the
tests; the terminal becomes SVG, the report's page PNG. Needs what the tests need.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from support.browser import Browser  # noqa: E402
from support.machines import SSHServer  # noqa: E402
from support.pseudo_terminal import run_on_tty  # noqa: E402

COLUMNS, LINES = 110, 34
WIDTH, HEIGHT = 8.43, 18
WITHOUT = ("-p", "no:randomly", "-p", "no:asyncio", "-p", "no:cacheprovider")
COLOURS = {"green": "#4ec26b", "red": "#f2695c", "cyan": "#56b6c2", "brown": "#e5c07b"}


def svg(screen: Any) -> str:
    """Return what a terminal shows, with its colours."""
    rows = [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]
    while rows and not "".join(cell.data for cell in rows[-1]).strip():
        rows.pop()
    texts = []
    for y, row in enumerate(rows):
        x = 0
        for (colour, bold), cells in groupby(row, key=lambda cell: (cell.fg, cell.bold)):
            text = "".join(cell.data for cell in cells)
            shown = text.strip()
            if shown:
                style = f' fill="{COLOURS[colour]}"' if colour in COLOURS else ""
                style += ' font-weight="bold"' if bold else ""
                left = 14 + (x + len(text) - len(text.lstrip())) * WIDTH
                place = f'x="{left:.1f}" y="{28 + y * HEIGHT}"'
                length = f'textLength="{len(shown) * WIDTH:.1f}"'
                kept = escape(shown).replace(" ", "\u00a0")  # a run of spaces would become one
                texts.append(f"<text {place} {length}{style}>{kept}</text>")
            x += len(text)
    width, height = 28 + COLUMNS * WIDTH, 28 + len(rows) * HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="#1b1f24"/>\n'
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14"'
        ' fill="#d7dce2" lengthAdjust="spacingAndGlyphs">\n' + "\n".join(texts) + "\n</g>\n</svg>\n"
    )


def main() -> None:
    live: list[str] = []
    last: list[str] = []

    def watch(screen: Any) -> None:
        text = "\n".join(screen.display)
        if " waits 3 s" in text:
            live.append(svg(screen))
        last[:] = [svg(screen)]

    with tempfile.TemporaryDirectory() as folder, SSHServer(names=["web1 web2 db1"]) as server:
        suite = Path(folder, "shop")
        shutil.copytree(HERE / "suite", suite)
        shutil.copy(server.client_config, suite / "ssh_config")
        run_on_tty(
            suite, "--no-header", *WITHOUT,
            "--ssh-config=ssh_config", "--bgcheck-report=report.html",
            columns=COLUMNS, lines=LINES, watch=watch,
        )  # fmt: skip
        HERE.joinpath("waiting.svg").write_text(live[0], "utf-8")
        HERE.joinpath("summary.svg").write_text(last[0], "utf-8")
        browser = Browser(Path(folder, "profile"))
        browser.open(suite / "report.html", 1100, 1320)
        browser.picture(HERE / "report.png")
        browser.open(suite / "report.html", 390, 1000, dark=True)
        browser.picture(HERE / "report-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
