"""What the page shows of probes, in a real browser."""

from pathlib import Path
from typing import Any

import pytest
from support.browser import Browser
from support.ledger_builder import HOSTILE, LedgerBuilder, seen
from support.pages import written

from pytest_bgcheck.model import State
from pytest_bgcheck.windows import Gap, Limits, Outage

pytestmark = pytest.mark.once

PLACES = (
    "[...document.querySelectorAll('{}')].map(it => {{"
    "const a = it.getBoundingClientRect();"
    "const b = it.closest('.track').getBoundingClientRect();"
    "return [a.left - b.left, a.right - b.left].map(x => Math.round(x / b.width * 1000) / 10)}})"
)
"""Left and right of elements, in percent of their track."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 100 s: a percent is a second."""
    told = LedgerBuilder()
    down = [Outage(20, 6, 7, HOSTILE), Outage(60, 2)]
    vip = told.probe("vip", "h", 0, 0.1, 99, window=seen(99, down, [Gap(40, 10)]), every=0.5)
    dns = told.probe("dns", "h", 0, 0.1, 50, State.LOST)
    told.probe("well", "h2", 0, 0.1, 99, window=seen(99))
    told.window(vip, "t_beyond", 10, 35, seen(25, [Outage(10, 6, 7, HOSTILE)]), Limits(5))
    told.window(vip, "t_within", 15, 30, seen(15, [Outage(5, 6, 7, HOSTILE)]), Limits(7), "gw1")
    told.window(vip, "t_unproven", 35, 55, seen(20, None, [Gap(5, 10)]))
    told.window(vip, "t_handle", 70, 80, seen(10), None)
    told.window(dns, "t_beyond", 10, 35, None, not_proven="its prober has <ended>")
    told.test("t_beyond", 10, 35, outcome="failed")
    told.test("t_handle", 70, 99)
    return written(told.ledger, tmp_path_factory.mktemp("page") / "r.html")


def test_the_band_has_what_was_seen_where_it_was_and_windows_below(
    chromium: Browser, page: Path
) -> None:
    chromium.open(page)

    def places(css: str) -> Any:
        return chromium.run(PLACES.format(f'.row:has([href="#j0"]) {css}'))

    assert places(".seen.up") == [[0, 99]]
    assert places(".seen.down") == [[20, 26], [60, 62]]
    assert places(".seen.unknown") == [[40, 50]]
    assert places(".win.beyond") == [[10, 35]]
    assert places(".win.within") == [[15, 30]]
    assert places(".win.unproven") == [[35, 55]]
    assert places(".win.unlimited") == [[70, 80]]
    bottom = "document.querySelector('{}').getBoundingClientRect().bottom"
    assert chromium.run(
        f"{bottom.format('.track .win.beyond')} < {bottom.format('.track .win.within')}"
    )


def test_each_part_of_a_band_says_what_it_is(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    titles = chromium.run(
        "[...document.querySelectorAll('.track :is(.seen, .win)')].map(e => e.title)"
    )
    assert all(titles)
    (refused,) = (title for title in titles if title.startswith("down for 6.0 s, at 20.0 s: rc 7"))
    assert "</pre></dialog><script>" in refused
    assert (
        "t_within on gw1: within limits: 1 outage of 6.0 s in 15 samples, available 60 %"
        + (" (allowed: 7 s)")
        in titles
    )
    assert "t_beyond: not proven: its prober has <ended>" in titles


def test_up_down_and_not_proven_differ_without_colour(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    look = (
        "(e => [e.getBoundingClientRect().height > 10, getComputedStyle(e).borderStyle])"
        "(document.querySelector('.seen.{}'))"
    )
    looks = [tuple(chromium.run(look.format(word))) for word in ("up", "down", "unknown")]
    assert len(set(looks)) == 3
    symbols = chromium.run(
        "[...document.querySelectorAll('.track .win')].map(e => e.className + e.textContent)"
    )
    assert {symbol[-1] for symbol in symbols} == {"✓", "✗", "?", "·"}
    assert len({symbol[-1] for symbol in symbols}) == len(set(symbols))


def test_the_legend_explains_probes_only_where_there_are_some(
    chromium: Browser, page: Path, tmp_path: Path
) -> None:
    chromium.open(page)
    legend = "document.querySelector('.legend').innerText"
    text = chromium.run(legend)
    assert "a probe saw it up" in text
    assert "within limits" in text
    assert "many outages" not in text
    told = LedgerBuilder()
    told.test("t", 0, 5, [told.job("c", "h", 0, 5)])
    chromium.open(written(told.ledger, tmp_path / "r.html"))
    assert "probe" not in chromium.run("document.body.innerText")


def test_the_table_of_probes_has_their_figures(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    rows = chromium.run(
        "[...document.querySelectorAll('#probes tbody tr')].map(row =>"
        "[...row.cells].map(cell => cell.innerText.trim()))"
    )
    assert rows == [
        ["vip", "h", "0.50 s", "89", "81.81 to 91.91 %", "2", "6.0 s", "10.0 s",
         "1 window within limits, 1 beyond limits, 1 not proven, 1 without limits"],
        ["dns", "h", "1.0 s", "–", "–", "–", "–", "all of it", "1 window not proven"],
        ["well", "h2", "1.0 s", "99", "100 %", "0", "–", "–", "–"],
    ]  # fmt: skip


def test_a_tests_probes_stand_beside_it_with_the_verdict_on_their_windows(
    chromium: Browser, page: Path
) -> None:
    chromium.open(page)
    beside = chromium.run(
        "[...document.querySelector('#tests tbody tr').querySelectorAll('a')].map(e => e.innerText)"
    )
    assert beside == ["✗vip on h", "?dns on h"]
    marks = "[...document.querySelectorAll('.row .name .mark')].map(e => e.textContent)"
    assert chromium.run(marks) == ["✗", "✗", "✓"]


def test_a_probe_of_which_a_test_has_asked_nothing_has_no_tick_beside_it(
    chromium: Browser, tmp_path: Path
) -> None:
    """As where a check of the same mark failed, so that there was no body."""
    told = LedgerBuilder()
    vip = told.probe("vip", "h", 0, 0.1, 99, window=seen(99))
    dead = told.probe("dead", "h", 0, 0.1, 50, State.LOST)
    told.test("t_without_a_body", 10, 35, [vip, dead], outcome="failed")
    chromium.open(written(told.ledger, tmp_path / "r.html"))
    beside = "[...document.querySelectorAll('#tests tbody tr a')].map(e => e.innerText)"
    assert chromium.run(beside) == ["·vip on h", "✗dead on h"]


def test_a_probes_dialog_lists_its_outages_and_windows(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    chromium.run("document.querySelector('.band').click()")
    chromium.wait("document.querySelector('dialog[open]')?.id === 'j0'")
    text = chromium.run("document.querySelector('dialog[open]').innerText")
    for line in (
        "stopped, after 1 min 39 s; it had taken its first sample after 0.10 s",
        "a sample every 0.50 s, of at most 10.0 s; good is rc 0; it may live 1 h 0 min",
        "from its start on: 2 outages in 89 samples, the longest 6.0 s; 10.0 s not proven",
        "1 min 0 s\t2.0 s\tkilled, as it took too long",
        "t_handle\t1 min 10 s\twithout limits\tno outage in 10 samples",
    ):
        assert line in text
    assert chromium.run("document.title").startswith("Acceptance of <web>: background probes")
    assert chromium.run("document.querySelectorAll('img').length") == 0


def test_all_is_there_and_readable_on_a_phone(chromium: Browser, page: Path) -> None:
    chromium.open(page, 360)
    assert chromium.run("document.documentElement.scrollWidth") <= 360


def test_a_page_with_five_probes_and_a_thousand_windows_each_is_small(tmp_path: Path) -> None:
    told = LedgerBuilder()
    for host in range(5):
        outages = [Outage(10.0 * n, 1.5, 7, "refused") for n in range(60)]
        life = seen(3600, outages)
        key = told.probe("vip", f"h{host}", 0, 0.1, 3600, window=life)
        for n in range(1000):
            worse = [Outage(0.5, 1.5, 7, "refused")] if n % 20 == 0 else []
            told.window(key, f"test_it.py::test_x[{n}]", 3.6 * n, 3.6 * n + 3, seen(3, worse))
    told.test("test_it.py::test_x", 0, 3600)
    assert written(told.ledger, tmp_path / "r.html").stat().st_size < 700_000
