"""What the page says of the run as a whole, and of its tests."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.json_report import read
from support.ledger_builder import ZERO, LedgerBuilder
from support.suites import HEAD

from pytest_bgcheck.model import State
from pytest_bgcheck.report import document, html, page_tests, timeline
from pytest_bgcheck.report.figures import Run, figures


def text_of(told: LedgerBuilder) -> str:
    """Return the page as text, without its style and its script."""
    ledger = told.ledger
    end = max(test.ended_at for test in ledger.tests.values()) + 1
    ledger.close(end)
    run = Run(ZERO, end, exit_status=1)
    text = html.page(document.document(ledger, run, figures(ledger, run)), "")
    return re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)


def section(page: str, id: str) -> str:
    return page.partition(f'<section id="{id}"')[2].partition("</section>")[0]


def test_failed_tests_come_first_and_lead_to_their_checks() -> None:
    told = LedgerBuilder()
    good, bad = told.job("good", "web1", 0, 2), told.job("bad", "db1", 0, 3, State.FAILED, 3)
    told.test("t_plain", 0, 1)
    told.test("t_good", 1, 2, [good])
    told.test("t_bad", 2, 3, [bad, good], outcome="failed", message="bad <failed>")
    tests = section(text_of(told), "tests")
    assert "1 failed, 2 passed" in tests
    first, _, others = tests.partition("Other tests that use checks")
    assert "t_bad" in first
    assert "bad &lt;failed&gt;" in first
    assert first.index('href="#j0"') < first.index('href="#j1"')
    assert "t_good" in others
    assert 'href="#j0"' in others
    assert 'href="#j1"' not in others
    assert "t_plain" not in tests
    assert "and 1 more, which did not fail" in others


def test_a_path_that_is_not_utf_8_leaves_the_page_whole() -> None:
    told = LedgerBuilder()
    told.test("test_\udcff.py::t", 0, 1, [told.job("good", "web1", 0, 2)])
    assert "::t" in section(text_of(told), "tests")


def test_of_many_tests_the_first_are_shown_and_the_others_counted() -> None:
    told = LedgerBuilder()
    for n in range(page_tests.MOST_FAILED_TESTS + 2):
        told.test(f"t{n}", 0, 1, outcome="failed")
    tests = section(text_of(told), "tests")
    assert tests.count('<tr><th scope="row">') == page_tests.MOST_FAILED_TESTS
    assert "and 2 more that failed" in tests


SUITE = (
    HEAD
    + """
good = background_check("true", host="local://")

@pytest.mark.bgcheck("good")
def test_good(): pass

def test_bad(): assert False, "this is <why>"
"""
)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_reports_say_how_the_run_was_called(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("CI_JOB_URL", "https://ci.example/7")
    pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess(
        workers, "--bgcheck-report=r.json", "--bgcheck-report=r.html",
        "--bgcheck-report-title=The <web>", "-k", "good or bad",
    )  # fmt: skip
    told = read(pytester)
    run = told["run"]
    assert run["title"] == "The <web>"
    assert run["command_line"].startswith("pytest ")
    assert run["command_line"].endswith(
        f" {workers} --bgcheck-report=r.json --bgcheck-report=r.html"
        " '--bgcheck-report-title=The <web>' -k 'good or bad'"
    )
    assert run["versions"]["pytest"] == pytest.__version__
    assert run["ci_job_url"] == "https://ci.example/7"
    assert told["summary"]["tests"] == {"failed": 1, "passed": 1}
    messages = {test["test"].partition("::")[2]: test["message"] for test in told["tests"]}
    assert messages == {"test_good": "", "test_bad": "AssertionError: this is <why>"}
    page = Path("r.html").read_text("utf-8")
    assert "<h1>The &lt;web&gt; " in page
    assert '<a href="https://ci.example/7" rel="noopener noreferrer">' in page
    assert "-k &#39;good or bad&#39;" in page
    assert "AssertionError: this is &lt;why&gt;" in page


def test_the_title_is_the_root_directorys_name_by_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test(): pass")
    pytester.runpytest_subprocess("--bgcheck-report=r.json")
    assert read(pytester)["run"]["title"] == pytester.path.name


def test_a_check_that_ended_at_its_limit_is_drawn_to_its_limit() -> None:
    told = LedgerBuilder()
    # Its start was confirmed 0.5 s late, so its end is known only 1.6 s after that.
    key = told.job("slow", "web1", 0.5, 1.6, State.TIMED_OUT, None, limit=2)
    result = told.ledger.jobs[key].result
    assert result is not None
    told.ledger.jobs[key].result = replace(result, duration=2.0)
    told.test("t", 0, 4, [key])
    told.ledger.close(ZERO + 4)
    run = Run(ZERO, ZERO + 4)
    it = document.document(told.ledger, run, figures(told.ledger, run))
    bars = timeline.Timeline(it).job(it["jobs"][0])
    assert bars.bar is not None
    assert bars.bar.left + bars.bar.width == pytest.approx(bars.limit)
