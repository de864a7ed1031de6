"""The files that a run writes about itself."""

import pytest
from support.json_report import read
from support.suites import run

SUITE = (
    "import time\n"
    "good = background_check('sleep 0.4; echo \"<b>fine</b>\"', timeout=30)\n"
    "bad = background_check('sleep 0.2; echo oops >&2; exit 3', rc={0, 2})\n"
    "idle = background_check('true')\n"
    "def test_ordinary(): time.sleep(0.1)\n"
    "@pytest.mark.bgcheck\ndef test_good(good): pass\n"
    "@pytest.mark.bgcheck\ndef test_both(good, bad): pass\n"
    "def test_idle(idle): pass\n"
)


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_the_json_tells_of_each_job_once(pytester: pytest.Pytester, args: list[str]) -> None:
    result = run(pytester, "--bgcheck-report=r.json", *args, test_it=SUITE)
    assert result.ret == 1
    document = read(pytester)
    jobs = {job["name"]: job for job in document["jobs"]}
    assert {name: (job["state"], job["rc"]) for name, job in jobs.items()} == {
        "good": ("succeeded", 0), "bad": ("failed", 3), "idle": ("succeeded", 0)
    }  # fmt: skip
    assert len(document["jobs"]) == 3
    assert jobs["good"]["stdout"] == {"size": 12, "left_out": 0, "text": "<b>fine</b>\n"}
    assert sorted(wait["test"] for wait in jobs["good"]["awaited_by"]) == [
        "test_it.py::test_both[local]", "test_it.py::test_good[local]"
    ]  # fmt: skip
    assert jobs["idle"]["requested_by"] == ["test_it.py::test_idle[local]"]
    assert document["run"]["exit_status"] == 1
    outcomes = {test["test"].split("::")[1]: test["outcome"] for test in document["tests"]}
    assert outcomes["test_both[local]"] == "failed"
    assert outcomes["test_ordinary"] == "passed"
    assert {bool(test["worker"]) for test in document["tests"]} == {bool(args)}


def test_a_jobs_clocks_are_in_order(pytester: pytest.Pytester) -> None:
    run(pytester, "--bgcheck-report=r.json", test_it=SUITE)
    document = read(pytester)
    (good,) = (job for job in document["jobs"] if job["name"] == "good")
    clocks = [
        document["run"]["started_at"], good["planned_at"], good["started_at"], good["ended_at"],
        good["verdict_seen_at"], document["run"]["ended_at"]
    ]  # fmt: skip
    assert clocks == sorted(clocks)
    assert good["planned_at"] <= good["first_awaited_at"] <= good["verdict_seen_at"]


def test_a_run_without_checks_has_a_report_too(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--bgcheck-report=r.json", test_it="def test(): pass")
    assert result.ret == 0
    document = read(pytester)
    assert document["jobs"] == []
    assert len(document["tests"]) == 1


def test_a_report_of_another_kind_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--bgcheck-report=r.xml", test_it=SUITE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --bgcheck-report: must end in .json or .html, not 'r.xml'"]
    )


def test_a_page_without_jinja2_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--bgcheck-report=r.html",
        conftest="import sys\nsys.modules['jinja2'] = None\n",
        test_it="def test(): pass",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *r.html needs jinja2: pip install 'pytest-bgcheck[[]report]'"]
    )


@pytest.mark.parametrize(("body", "ret"), [("pass", 0), ("assert 0", 1)])
def test_a_report_that_cannot_be_written_changes_nothing_else(
    pytester: pytest.Pytester, body: str, ret: int
) -> None:
    pytester.path.joinpath("file").touch()
    result = run(
        pytester,
        "--bgcheck-report=file/r.json",
        "--bgcheck-report=there/r.json",
        test_it=f"def test(): {body}",
    )
    assert result.ret == ret
    result.stdout.fnmatch_lines(["report not written: *file/r.json: *"])
    assert read(pytester, "there/r.json")["run"]["exit_status"] == ret


@pytest.mark.parametrize("option", ["--bgcheck-plan", "--collect-only"])
def test_what_starts_nothing_writes_nothing(pytester: pytest.Pytester, option: str) -> None:
    run(pytester, "--bgcheck-report=r.json", option, test_it=SUITE)
    assert not pytester.path.joinpath("r.json").exists()


def test_an_interrupted_run_has_its_report(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--bgcheck-report=r.json",
        "--bgcheck-report=r.html",
        test_it="import os, signal, threading\nc = background_check('sleep 60')\n"
        "@pytest.mark.bgcheck\ndef test(c): pass\n"
        "def test_before(): threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()\n",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    document = read(pytester)
    (job,) = document["jobs"]
    assert (job["state"], len(job["awaited_by"])) == ("cancelled", 1)
    assert document["run"]["exit_status"] == 2
    assert {t["outcome"] for t in document["tests"]} == {"passed", "unfinished"}
    assert "cancelled" in pytester.path.joinpath("r.html").read_text()


def test_a_crashed_worker_is_in_the_report(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "-n2",
        "--bgcheck-report=r.json",
        test_it="import os\nc = background_check('sleep 1')\n"
        "@pytest.mark.bgcheck\n@pytest.mark.parametrize('n', range(3))\n"
        "def test(c, n): pass\n"
        "def test_crash(): os._exit(1)\n",
    )
    assert result.ret == 1
    document = read(pytester)
    (job,) = document["jobs"]
    assert job["state"] == "succeeded"
    outcomes = {t["test"]: t["outcome"] for t in document["tests"]}
    assert outcomes["test_it.py::test_crash"] == "failed"
    assert list(outcomes.values()).count("passed") == 3


def test_a_subtest_that_is_skipped_says_nothing_of_its_test(pytester: pytest.Pytester) -> None:
    pytest.importorskip("_pytest.subtests", reason="this pytest knows no subtests")
    result = run(
        pytester,
        "--bgcheck-report=r.json",
        test_it="import unittest\nclass Test(unittest.TestCase):\n"
        "    def test_good(self):\n        with self.subTest(): self.skipTest('')\n"
        "    def test_bad(self):\n        with self.subTest(): self.fail()\n"
        "        with self.subTest(): self.skipTest('')\n",
    )
    assert result.ret == 1
    document = read(pytester)
    outcomes = {test["test"].rpartition("::")[2]: test["outcome"] for test in document["tests"]}
    assert outcomes == {"test_good": "passed", "test_bad": "failed"}
    assert document["run"]["causes"] == ["1 test failed: test_it.py::Test::test_bad"]


def test_a_report_that_fails_for_an_error_of_ours_costs_no_run_and_leaves_a_traceback(
    pytester: pytest.Pytester,
) -> None:
    conftest = (
        "from pytest_bgcheck.report import document\n"
        "document.document = lambda *_: {'unwritable': object()}\n"
    )
    result = run(pytester, "--bgcheck-report=r.json", conftest=conftest, test_it="def test(): pass")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["report not written: *r.json: internal error: TypeError: *"])
    result.stderr.fnmatch_lines(["the report *r.json: internal error", "Traceback *"])
