"""What a run tells GitHub."""

import html
import json
from pathlib import Path

import pytest
from support.ledger_builder import ZERO, LedgerBuilder
from support.suites import run

from pytest_bgcheck.events import JobRequested
from pytest_bgcheck.model import Result, State
from pytest_bgcheck.report import github
from pytest_bgcheck.report.figures import Figures, Run, figures

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


def figures_of(told: LedgerBuilder, exit_status: int = 1) -> Figures:
    told.ledger.close(ZERO + 9)
    return figures(told.ledger, Run(ZERO, ZERO + 9, exit_status))


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
    told = LedgerBuilder()
    key = told.job("a,b:c", "h%0A", 0, 1, State.FAILED, 1)
    job = told.ledger.jobs[key]
    job.result = Result(State.FAILED, 1, 1.0, 1, "x\r\n::warning::%\x1b[0m")
    told.test("t", 0, 1, [key], outcome="failed")
    (line,) = github.commands(figures_of(told))
    title, text = line.removeprefix("::error title=").split("::", 1)
    assert title == "background check a%2Cb%3Ac on h%250A"
    assert "\n" not in text
    assert "%0A::warning::%25\\x1b[0m" in text


def test_the_summarys_text_is_shown_as_it_is() -> None:
    told = LedgerBuilder()
    told.job("a|b", "<img>`*", 0, 1, State.FAILED, 1)
    text = github.markdown(figures_of(told))
    assert r"| a\|b | \<img\>\`\* | failed |" in text


def test_github_shows_ten_annotations() -> None:
    told = LedgerBuilder()
    for n in range(25):
        told.job(f"c{n}", "h", 0, 1, State.FAILED, 1)
    lines = github.commands(figures_of(told))
    assert len(lines) == 10
    assert lines[-1] == "::error title=background checks::and 16 more"


# A test that is stricter than the declaration; a job that nobody judged; another plugin's verdict.
NARROWER = (
    "c = background_check('exit 2', rc={0, 2})\n"
    "@pytest.mark.bgcheck('c', rc=0)\ndef test_narrower(): pass\n"
)
UNJUDGED = "c = background_check('true', unawaited='fail')\ndef test(c): c.stdout\n"
GOOD = "c = background_check('true')\n@pytest.mark.bgcheck\ndef test(c): pass\n"
STOPPED = GOOD.replace("pass", "raise KeyboardInterrupt")
LATE = (
    "@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
    "def pytest_sessionfinish(session):\n    yield\n    session.exitstatus = {}\n"
)


@pytest.mark.parametrize(
    ("suite", "conftest", "status", "cause"),
    [
        (GOOD, "", 0, ""),
        (NARROWER, "", 1, "1 test failed: test_it.py::test_narrower"),
        (UNJUDGED, "", 1, "background check 'c' on local was judged by no test (succeeded, rc 0)"),
        (GOOD, LATE.format(7), 7, "pytest's exit status is 7: "),
        (NARROWER, LATE.format(0), 0, ""),
        (STOPPED, "", 2, "the run was interrupted"),
    ],
    ids=["good", "narrower", "unjudged", "late", "pardoned", "interrupted"],
)  # fmt: skip
def test_all_reports_agree_with_the_exit_status_and_say_what_made_it_red(
    pytester: pytest.Pytester, summary: Path, suite: str, conftest: str, status: int, cause: str
) -> None:
    files = ["--bgcheck-report=r.json", "--bgcheck-report=r.html"]
    result = run(pytester, *files, conftest=conftest, test_it=suite)
    assert result.ret == status
    text = summary.read_text("utf-8")
    assert text.startswith(f"### {'❌' if status else '✅'} Background checks\n")
    document = json.loads(pytester.path.joinpath("r.json").read_text("utf-8"))
    assert document["run"]["exit_status"] == status
    causes = document["run"]["causes"]
    assert len(causes) == bool(status)
    page = pytester.path.joinpath("r.html").read_text("utf-8")
    assert f"<dt>Exit status<dd>{status}" in page
    for told in causes:
        assert told.startswith(cause)
        assert f"<li>{html.escape(told, quote=False)}</li>" in html.unescape(page)
        assert f"\n- {github._plain(told)}\n" in text


def test_a_job_that_nobody_judged_is_annotated_where_it_makes_the_run_red() -> None:
    told = LedgerBuilder()
    key = told.job("c", "h", 0, 1, State.FAILED, 3)
    told.ledger.tell(JobRequested(key, "t"))
    told.test("t", 0, 2)
    (line,) = github.commands(figures_of(told))
    assert line.startswith("::error title=background check c on h::failed: rc 3 after 1.0 s, and ")
    assert "judged by no test%0Acommand: " in line


def test_a_green_run_has_no_error() -> None:
    told = LedgerBuilder()
    told.job("c", "h", 0, 1, State.FAILED, 3)
    (line,) = github.commands(figures_of(told, exit_status=0))
    assert line.startswith("::warning title=background check c on h::")


def test_a_summary_of_many_failures_ends_with_how_many_more() -> None:
    told = LedgerBuilder()
    for n in range(github.MOST_ROWS + 5):
        told.job(f"c{n}", "h", 0, 1, State.FAILED, 1)
    text = github.markdown(figures_of(told))
    assert text.count(" | h | failed | ") == github.MOST_ROWS
    assert "\nand 5 more\n" in text


def test_an_annotation_says_what_became_of_the_check() -> None:
    told = LedgerBuilder()
    limited = told.job("limited", "h", 0, 7, State.TIMED_OUT, None)
    told.test("t", 0, 8, [limited], outcome="failed")
    (line,) = github.commands(figures_of(told))
    assert line.startswith("::error title=background check limited on h::timed out after 7.0 s")
    assert line.endswith("%0Aawaited by: t")


def test_a_check_that_nearly_reached_its_limit_is_noted() -> None:
    told = LedgerBuilder()
    key = told.job("close", "h", 0, 350)
    told.test("t", 0, 351, [key])
    assert "\n- background check 'close' on h used 97% of its limit" in github.markdown(
        figures_of(told, 0)
    )


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_where_another_plugin_annotates_failed_tests_their_jobs_are_left_to_it(
    pytester: pytest.Pytester, summary: Path, args: list[str]
) -> None:
    suite = SUITE + (
        "alone = background_check('exit 5')\ndef test_alone(alone): alone.stdout\n"
        "early = background_check('exit 6')\n"
        "@pytest.fixture\ndef number(early): return int(early.stdout)\n"
        "def test_set_up(number): pass\n"
    )
    other = (
        "def pytest_configure(config):\n"
        "    name = 'pytest_github_actions_annotate_failures'\n"
        "    config.pluginmanager.register(object(), name)\n"
    )
    result = run(pytester, *args, test_it=suite, conftest=other)
    lines = sorted(line for line in result.outlines if line.startswith("::"))
    assert [line.split("::")[1] for line in lines] == [
        f"error title=background check {name} on local" for name in ("alone", "early")
    ]
    result = run(pytester, *args, test_it=suite, conftest="")
    assert len([line for line in result.outlines if line.startswith("::")]) == 3
