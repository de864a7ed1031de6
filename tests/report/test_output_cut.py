"""Nobody reads a cut output as if it were the whole."""

import json

import pytest
from support.ledger_builder import ZERO, LedgerBuilder
from support.suites import run

from pytest_bgcheck import BgcheckError, OutputCut
from pytest_bgcheck.model import Output, Result, State
from pytest_bgcheck.report import text
from pytest_bgcheck.report.figures import Run, figures
from pytest_bgcheck.report.text import Verdict
from pytest_bgcheck.tasks import Check
from pytest_bgcheck.wire import Reader, plain

CUT = Output(5_000_004, b"begin", b"end\n")
FULL = Output(3, b"abc", missing="no space left on the target")
READS = ("stdout", "stderr", "stdout_bytes", "stderr_bytes")


@pytest.mark.parametrize("kept", [CUT, FULL], ids=["limit", "full"])
@pytest.mark.parametrize("name", READS)
def test_a_stream_that_was_cut_is_not_read_as_the_whole(name: str, kept: Output) -> None:
    stream = name.removesuffix("_bytes")
    result = Result(State.SUCCEEDED, 0, 1.0, 1, **{f"{stream}_kept": kept})  # type: ignore[arg-type]
    with pytest.raises(OutputCut):
        getattr(result, name)
    with pytest.raises(OutputCut):  # as it comes from another process
        getattr(Reader[Result](Result).read(plain(result)), name)
    for other in READS:
        if not other.startswith(stream):
            assert not getattr(result, other)  # the other one is whole, and empty


def test_the_error_says_how_much_there_was_and_what_to_read_instead() -> None:
    result = Result(State.FAILED, 3, 1.0, 1, stdout_kept=CUT)
    with pytest.raises(BgcheckError) as caught:
        assert "ERROR" not in result.stdout
    told = str(caught.value)
    assert "only the first 5 and the last 4 of its 5,000,004 bytes were kept" in told
    assert "output_limit=" in told
    assert "stdout_kept" in told


@pytest.mark.parametrize("state", [State.LOST, State.UNREACHABLE, State.CANCELLED])
def test_an_output_that_nobody_has_seen_is_not_empty(state: State) -> None:
    with pytest.raises(OutputCut, match=f"is not known, because the job is {state}"):
        assert "ERROR" not in Result(state, detail="a reason").stdout
    assert Result(state, None, 1.0, 1).stdout == ""  # the target has told of it


def test_what_was_never_run_has_written_nothing() -> None:
    assert Result(State.NOT_STARTED, detail="a reason").stdout == ""


@pytest.mark.parametrize("kept", [CUT, FULL], ids=["limit", "full"])
def test_a_failure_shows_what_was_kept_with_its_true_size(kept: Output) -> None:
    result = Result(State.FAILED, 3, 1.0, 1, "a note", kept, kept)
    check = Check("c", ("x",), "x")
    told = text.failure([Verdict(check, "h", State.FAILED, result)])
    assert f"  stdout ({kept.size:,} bytes" in told
    assert kept.head.decode() in told


def test_only_what_the_target_cut_is_named_not_what_a_report_left_out() -> None:
    told = LedgerBuilder()
    told.job("long", "h", 0, 1, out=b"x" * 100_000)  # a report shows 8 KiB of it
    told.job("cut", "h", 0, 1, kept=CUT)
    told.ledger.close(ZERO + 2)
    (job,) = figures(told.ledger, Run(ZERO, ZERO + 2)).output_cut
    assert (job.name, job.cut) == ("cut", ("stdout",))


SUITE = (
    "from pytest_bgcheck import OutputCut\n"
    "c = background_check('yes|head -c 50000; echo ERROR; yes|head -c 50000', output_limit=90)\n"
    "@pytest.mark.bgcheck\ndef test_guess(c): assert 'ERROR' not in c.stdout\n"
    "@pytest.mark.bgcheck\ndef test_result(c): assert b'ERROR' not in c.result().stdout_bytes\n"
    "@pytest.mark.bgcheck\ndef test_tail(c): assert 'ERROR' not in c.tail().stdout\n"
    "@pytest.mark.bgcheck\ndef test_kept(c):\n"
    "    assert c.stderr == ''\n"
    "    with pytest.raises(OutputCut, match='100,006 bytes'): c.stdout\n"
    "    assert c.stdout_kept.size == 100006 and len(c.stdout_kept.bytes()) < 200\n"
    "    assert c.stdout_kept.head == c.result().stdout_kept.head == b'y\\n' * 22 + b'y'\n"
    "d = background_check('yes|head -c 50000; exit 3', output_limit=90)\n"
    "@pytest.mark.bgcheck\ndef test_d(d): pass\n"
)


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_a_test_cannot_pass_on_what_was_left_out(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files = ["--bgcheck-report=r.json", "--bgcheck-report=r.html", "--junitxml=j.xml"]
    result = run(pytester, "-rA", *files, *args, test_it=SUITE)
    result.assert_outcomes(passed=1, failed=4)
    line = "the output of background check '{}' on local was cut: stdout ({} bytes); "
    assert result.stdout.str().count(line.format("c", "100,006")) == 1
    assert result.stdout.str().count(line.format("d", "50,000")) == 1
    result.stdout.fnmatch_lines(["E *OutputCut: stdout was cut: only * of its 100,006 bytes *"])
    assert "model.py" not in result.stdout.str()  # the traceback ends in the test
    assert " was cut" in summary.read_text("utf-8")
    document = json.loads(pytester.path.joinpath("r.json").read_text("utf-8"))
    assert len(document["summary"]["output_cut"]) == 2
    assert "99,916 of 100,006 bytes left out" in pytester.path.joinpath("r.html").read_text("utf-8")
