"""What a run tells GitHub."""

from pathlib import Path

import pytest
from ledgers import ZERO, Told
from suites import run

from pytest_bgcheck import report_github
from pytest_bgcheck.figures import Figures, Run, figures
from pytest_bgcheck.model import Result, State

SUITE = (
    "bad = background_check('echo 100%; exit 3')\n"
    "fine = background_check('exit 4')\n"
    "@pytest.mark.bgcheck('bad')\ndef test_bad(): pass\n"
    "@pytest.mark.bgcheck('fine', rc=4)\ndef test_fine(): pass\n"
)


@pytest.fixture
def summary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def figures_of(told: Told) -> Figures:
    told.ledger.close(ZERO + 9)
    return figures(told.ledger, Run(ZERO, ZERO + 9))


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_a_steps_summary_grows_by_the_runs(
    pytester: pytest.Pytester, summary: Path, args: list[str]
) -> None:
    summary.write_text("before\n")
    run(pytester, *args, test_it=SUITE)
    text = summary.read_text("utf-8")
    assert text.startswith(
        "before\n### ❌ Background checks\n\n2 background checks on 1 host, 2 did"
    )
    assert "| bad | local | failed | 3 | " in text
    assert text.count("Background checks") == 1


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_a_check_that_failed_its_test_is_annotated(
    pytester: pytest.Pytester, summary: Path, args: list[str]
) -> None:
    result = run(pytester, *args, test_it=SUITE)
    errors = [line for line in result.outlines if line.startswith("::")]
    assert len(errors) == 1  # the other one's test accepts its rc
    assert errors[0].startswith("::error title=background check bad on local::failed: rc 3 after ")
    assert errors[0].endswith("%0Acommand: echo 100%25; exit 3%0Aawaited by: test_it.py::test_bad")


def test_an_ini_option_turns_it_off(pytester: pytest.Pytester, summary: Path) -> None:
    result = run(pytester, "-o", "bgcheck_github_summary=false", test_it=SUITE)
    assert not summary.exists()
    assert "::error" not in result.stdout.str()


def test_nothing_is_annotated_elsewhere(pytester: pytest.Pytester) -> None:
    assert "::error" not in run(pytester, test_it=SUITE).stdout.str()


def test_a_summary_that_cannot_be_written_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = run(pytester, test_it="c = background_check('true')\n"
                 "@pytest.mark.bgcheck\ndef test(c): pass")  # fmt: skip
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"report not written: {tmp_path}: *"])


def test_nothing_that_a_check_says_commands_github() -> None:
    told = Told()
    key = told.job("a,b:c", "h%0A", 0, 1, State.FAILED, 1)
    job = told.ledger.jobs[key]
    job.result = Result(State.FAILED, 1, 1.0, 1, "x\r\n::warning::%\x1b[0m")
    told.test("t", 0, 1, [key], outcome="failed")
    (line,) = report_github.commands(figures_of(told))
    title, text = line.removeprefix("::error title=").split("::", 1)
    assert title == "background check a%2Cb%3Ac on h%250A"
    assert "\n" not in text
    assert "%0A::warning::%25\\x1b[0m" in text


def test_the_summarys_text_is_shown_as_it_is() -> None:
    told = Told()
    told.job("a|b", "<img>`*", 0, 1, State.FAILED, 1)
    text = report_github.markdown(figures_of(told), tell_unawaited=False)
    assert r"| a\|b | \<img\>\`\* | failed |" in text


def test_github_shows_ten_annotations() -> None:
    told = Told()
    for n in range(25):
        told.job(f"c{n}", "h", 0, 1, State.FAILED, 1)
    lines = report_github.commands(figures_of(told))
    assert len(lines) == 10
    assert lines[-1] == "::error title=background checks::and 16 more did not succeed"
