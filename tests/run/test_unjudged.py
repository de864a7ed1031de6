"""A job that nobody judged: what it makes of the run, and what is told of it."""

import json
import threading
from collections.abc import Callable

import pytest
from support.ledger_builder import ZERO, LedgerBuilder, seen
from support.scripted_transport import Scripted, ended, started, words_of
from support.suites import RERUNS, UNAWAITED, run

from pytest_bgcheck.errors import Unreachable
from pytest_bgcheck.events import JobJudged, JobRequested, WaitBegan
from pytest_bgcheck.model import State
from pytest_bgcheck.report import summary
from pytest_bgcheck.report.figures import Figures, Run, figures
from pytest_bgcheck.target.records import Target
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import Answer
from pytest_bgcheck.tasks import Check
from pytest_bgcheck.windows import Outage


def figures_of(told: LedgerBuilder, exit_status: int = 0, unawaited: str = "warn") -> Figures:
    told.ledger.close(ZERO + 9)
    return figures(told.ledger, Run(ZERO, ZERO + 9, exit_status, unawaited))


def requested(state: State, rc: int | None, **of_job: str) -> tuple[LedgerBuilder, str]:
    """Return a run with one job that test ``t`` requests."""
    told = LedgerBuilder()
    key = told.job("c", "h", 0, 1, state, rc, **of_job)  # type: ignore[arg-type]
    told.ledger.tell(JobRequested(key, "t"))
    return told, key


BAD = [
    (State.FAILED, 3), (State.TIMED_OUT, None), (State.LOST, None), (State.UNREACHABLE, None),
    (State.NOT_STARTED, None), (State.CANCELLED, None),
]  # fmt: skip


# --- what makes a run red -------------------------------------------------------------------------


@pytest.mark.parametrize("unawaited", ["warn", "fail", "ignore"])
@pytest.mark.parametrize("own", ["", "warn", "fail", "ignore"])
def test_an_unjudged_job_makes_the_run_red_as_the_option_says(unawaited: str, own: str) -> None:
    counts = own or unawaited
    for state, rc in [*BAD, (State.SUCCEEDED, 0)]:
        told, _ = requested(state, rc, unawaited=own)
        told.test("t", 0, 2)
        numbers = figures_of(told, unawaited=unawaited)
        red = counts == "fail" or (counts == "warn" and state is not State.SUCCEEDED)
        assert [one.job.name for one in numbers.unjudged_failures] == ["c"] * red, state
        assert [job.name for job in numbers.unjudged] == ["c"] * (counts != "ignore"), state


@pytest.mark.parametrize("outages", [[], [Outage(2.0, 1.0, 7, "refused")]])
@pytest.mark.parametrize("unawaited", ["warn", "fail", "ignore"])
def test_a_forgotten_probe_that_saw_an_outage_makes_the_run_red(
    unawaited: str, outages: list[Outage]
) -> None:
    told = LedgerBuilder()
    key = told.probe("vip", "h", 0, took=8, window=seen(8, outages))
    told.ledger.tell(JobRequested(key, "t"))
    told.test("t", 0, 2)
    numbers = figures_of(told, unawaited=unawaited)
    red = unawaited == "fail" or (unawaited == "warn" and bool(outages))
    assert [one.job.name for one in numbers.unjudged_failures] == ["vip"] * red


@pytest.mark.parametrize("awaited", [False, True])
def test_a_judged_job_is_not_told(awaited: bool) -> None:
    told, key = requested(State.FAILED, 3)
    told.test("t", 0, 2)
    told.ledger.tell(WaitBegan("", "u", (key,), ZERO) if awaited else JobJudged(key))
    numbers = figures_of(told, unawaited="fail")
    assert (numbers.unjudged_failures, numbers.unjudged) == ([], [])


def phases(told: LedgerBuilder, *phases: tuple[str, str, bool]) -> None:
    for when, outcome, expected in phases:
        told.ledger.add_phase("t", "", when, ZERO, ZERO + 1, outcome, expected)


@pytest.mark.parametrize(
    ("phases_of_it", "has_run"),
    [
        ([("setup", "passed", False), ("call", "passed", False)], True),
        ([("setup", "passed", False), ("call", "failed", False)], True),
        ([("setup", "passed", False), ("call", "skipped", True)], True),  # xfail
        ([("setup", "passed", False), ("call", "rerun", False)], True),
        ([("setup", "skipped", False)], False),
        ([("setup", "skipped", True)], False),  # xfail(run=False)
        ([("setup", "failed", False)], False),
        ([("setup", "passed", False), ("call", "skipped", False)], False),  # pytest.skip()
        ([("setup", "passed", False)], False),
    ],
)
def test_a_job_whose_tests_did_not_run_is_only_reported(
    phases_of_it: list[tuple[str, str, bool]], has_run: bool
) -> None:
    told, _ = requested(State.FAILED, 3)
    phases(told, *phases_of_it, ("teardown", "passed", False))
    numbers = figures_of(told, unawaited="fail")
    assert len(numbers.unjudged_failures) == has_run
    assert len(numbers.unjudged) == 1
    assert len(summary.unjudged_lines(numbers)) == (not has_run)


@pytest.mark.parametrize("exit_status", [2, 3, 4])
def test_after_an_interrupt_only_the_number_is_told(exit_status: int) -> None:
    told, _ = requested(State.FAILED, 3)
    told.job("d", "h", 0, 1)
    told.test("t", 0, 2)
    numbers = figures_of(told, exit_status, "fail")
    assert numbers.unjudged_failures == []
    assert summary.unjudged_lines(numbers) == ["2 background checks were judged by no test"]


# --- in a run -------------------------------------------------------------------------------------

SUITE = (
    "forgotten = background_check('echo fine; sleep 60', timeout=1, grace=0)\n"
    "def test_forgotten(forgotten): assert forgotten.stdout == 'fine\\n' and forgotten.done()\n"
    "repeated = background_check('exit 4')\n"
    "def test_repr(repeated): repeated.duration; repr(repeated); repeated.tail()\n"
    "expected = background_check('exit 5')\n"
    "@pytest.mark.xfail\ndef test_expected(expected): expected.stdout; assert 0\n"
    "given = background_check('exit 6', host='local://')\n"
    "def test_dynamic(request): request.getfixturevalue('given').stderr\n"
    "skipped = background_check('exit 7')\n"
    "def test_skipped(skipped): skipped.stdout; pytest.skip()\n"
    "@pytest.mark.skip\ndef test_skipped_too(skipped): pass\n"
    "fine = background_check('true')\n"
    "def test_fine(fine): fine.stdout\n"
    "strict = background_check('true', unawaited='fail')\n"
    "def test_strict(strict): strict.stdout\n"
    "ignored = background_check('exit 8', unawaited='ignore')\n"
    "def test_ignored(ignored): ignored.stdout\n"
    # A fixture of the session starts one, for a test that is then skipped.
    "@pytest.fixture(scope='session')\n"
    "def service(bgcheck): bgcheck.start('exit 9', name='called').stdout\n"
    "@pytest.fixture\ndef no(service): pytest.skip()\n"
    "def test_not_here(no): pass\n"
    "def test_service(service): pass\n"
    # Judged, each in another way.
    "bad = background_check('exit 3')\n"
    "def test_rc(bad): assert bad.rc == 3\n"
    "bad1 = background_check('exit 3')\n"
    "def test_failed(bad1): assert bad1.failed\n"
    "bad2 = background_check('exit 3')\n"
    "def test_succeeded(bad2): assert not bad2.succeeded\n"
    "bad3 = background_check('exit 3')\n"
    "def test_result(bad3): bad3.result()\n"
    "bad4 = background_check('exit 3')\n"
    "def test_state(bad4): bad4.stdout; assert bad4.state == 'failed'\n"
    "bad5 = background_check('exit 3')\n"
    "@pytest.mark.bgcheck('bad5', rc=3)\ndef test_mark(): pass\n"
    "def test_started(bgcheck):\n"
    "    bgcheck.start('exit 3', name='bad6', unawaited='fail')\n"
    "    assert bgcheck['bad6'].rc == 3\n"
)
RED = {
    "forgotten": "timed out", "repeated": "failed, rc 4", "expected": "failed, rc 5",
    "given": "failed, rc 6", "called": "failed, rc 9", "strict": "succeeded, rc 0",
}  # fmt: skip
ONLY_TOLD = {"skipped": "failed, rc 7", "fine": "succeeded, rc 0"}


@pytest.mark.parametrize("args", [[RERUNS, "--reruns=1"], ["-n2"]], ids=["alone", "workers"])
def test_a_run_is_red_for_what_nobody_judged(pytester: pytest.Pytester, args: list[str]) -> None:
    result = run(pytester, "--bgcheck-report=r.json", *args, test_it=SUITE)
    result.assert_outcomes(passed=14, skipped=3, xfailed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    lines = [line for line in result.outlines if "judged by no test" in line]
    start = "background check {!r} on local was judged by no test ({})"
    red = [line for line in lines if "so the run fails" in line]
    assert sorted(line.split(", though ")[0] for line in red) == sorted(
        start.format(*pair) for pair in RED.items()
    )
    assert sorted(line for line in lines if line not in red) == sorted(
        start.format(*pair) for pair in ONLY_TOLD.items()
    )
    (line,) = (line for line in red if "'strict'" in line)
    assert ", though test_it.py::test_strict[local] requests it and has run, " in line
    assert " (unawaited=fail); await it by @pytest.mark.bgcheck('strict')" in line
    document = json.loads(pytester.path.joinpath("r.json").read_text())
    assert document["run"]["exit_status"] == 1
    assert sorted(document["run"]["causes"]) == sorted(red)


def test_only_a_test_that_has_used_a_job_is_accused(pytester: pytest.Pytester) -> None:
    """Whoever was the first, whatever a fixture is called, and whatever it did for other tests."""
    result = run(
        pytester,
        conftest="@pytest.fixture(scope='session')\ndef shared(bgcheck):\n"
        "    bgcheck.start('exit 4', name='shared_job')\n",
        test_a="@pytest.fixture\ndef own(bgcheck):\n"
        "    bgcheck.start('exit 3', name='job_of_a')\n"
        "def test_skipped(own, shared): pytest.skip()\n",
        test_b="@pytest.fixture\ndef own(): pass\n"
        "@pytest.fixture\ndef job(bgcheck, request):\n"
        "    command = 'true' if request.node.name == 'test_ran' else 'exit 5'\n"
        "    return bgcheck.start(command, name=request.node.name)\n"
        "def test_skipped_too(job): pytest.skip()\n"
        "def test_ran(job, own): assert job.rc == 0\n"
        "@pytest.mark.xfail\n"
        "def test_dynamic(request): request.getfixturevalue('shared'); assert 0\n",
    )
    result.assert_outcomes(passed=1, skipped=2, xfailed=1)
    lines = [line for line in result.outlines if "judged by no test" in line]
    assert sorted(line.partition("; await")[0] for line in lines) == [
        "background check 'job_of_a' on local was judged by no test (failed, rc 3)",
        "background check 'shared_job' on local was judged by no test (failed, rc 4), though"
        " test_b.py::test_dynamic requests it and has run, so the run fails"
        " (unawaited=warn)",
        "background check 'test_skipped_too' on local was judged by no test (failed, rc 5)",
    ]


def test_a_session_that_is_made_for_a_fixture_knows_who_uses_that(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        test_it="@pytest.fixture(scope='session')\ndef service(request):\n"
        "    request.getfixturevalue('bgcheck').start('exit 3', name='c')\n"
        "@pytest.fixture(scope='session')\ndef other(bgcheck_too):\n"
        "    bgcheck_too.start('exit 4', name='d')\n"
        "@pytest.fixture(scope='session')\ndef bgcheck_too(request):\n"
        "    return request.getfixturevalue('bgcheck')\n"
        "def test_skipped(service): pytest.skip()\n"
        "def test_ran(service): pass\n"
        "def test_skipped_too(other): pytest.skip()\n",
    )
    result.assert_outcomes(passed=1, skipped=2)
    assert result.ret == 1
    (line,) = (line for line in result.outlines if "so the run fails" in line)
    assert line.startswith("background check 'c' on local was judged by no test (failed, rc 3),")
    assert ", though test_it.py::test_ran requests it " in line


def test_the_line_is_there_without_a_summary(pytester: pytest.Pytester) -> None:
    suite = "c = background_check('exit 1')\ndef test(c): c.stdout\n"
    result = run(pytester, "--no-summary", test_it=suite)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["background check 'c' on local was judged by no test (failed, rc 1)*"]
    )


def test_what_went_wrong_is_told_without_a_summary(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--no-summary",
        conftest="from pytest_bgcheck.events import JobStarted\n"
        "from pytest_bgcheck.ledger import Ledger\n"
        "from pytest_bgcheck.target.cleaner import Cleaner\n"
        "apply = Ledger._apply\n"
        "def wrong(self, event):\n"
        "    if isinstance(event, JobStarted): raise RuntimeError('not noted')\n"
        "    apply(self, event)\n"
        "Ledger._apply = wrong\n"
        "close = Cleaner.close\n"
        "Cleaner.close = lambda *args, **kwargs: [*close(*args, **kwargs), 'web1: a file']\n",
        test_it="c = background_check('true')\ndef test(c): assert c.succeeded\n",
    )
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*RuntimeError: not noted*", "*not cleaned up: web1: a file"])


def test_unawaited_is_one_of_three_words(pytester: pytest.Pytester) -> None:
    suite = "c = background_check('true', unawaited='no')\ndef test(c): pass\n"
    result = run(pytester, test_it=suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = "*'c': unawaited must be one of 'warn', 'fail', 'ignore', not str 'no'"
    result.stderr.fnmatch_lines([message])


# --- what still ran -------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "workers"])
def test_a_job_that_still_ran_is_told_and_ended(pytester: pytest.Pytester, args: list[str]) -> None:
    result = run(
        pytester, *args,
        test_it="c = background_check('sleep 60')\n"
        "def test(c):\n    while c.state == 'pending': pass\n"
        "    assert c.state == 'running'\n",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["background check 'c' on local was judged by no test (it was still running when"
         " the tests were over), though test_it.py::test* requests it and has run, *"]
    )  # fmt: skip


UNHEARD = (
    "import glob, os, time\n"
    "c = background_check('exit {}')\n"
    "def test(c):\n"
    "    while not glob.glob(os.environ['TMPDIR'] + '/*/*/*/state.exit.*'): time.sleep(0.05)\n"
)
NOBODY_LISTENS = (
    "from pytest_bgcheck.target.waiting import Waiting\n"
    "Waiting._wait = Waiting._ask_once = lambda self, target, jobs=(): None\n"
)


@pytest.mark.usefixtures("own_tmpdir")
@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "workers"])
@pytest.mark.parametrize(("rc", "state"), [(0, "succeeded"), (3, "failed")])
def test_an_end_that_nobody_has_heard_is_no_job_that_still_ran(
    pytester: pytest.Pytester, args: list[str], rc: int, state: str
) -> None:
    result = run(pytester, *args, conftest=NOBODY_LISTENS, test_it=UNHEARD.format(rc))
    result.assert_outcomes(passed=1)
    assert result.ret == bool(rc)
    line = f"background check 'c' on local was judged by no test ({state}, rc {rc})*"
    result.stdout.fnmatch_lines([line])


@pytest.mark.usefixtures("own_tmpdir")
@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "workers"])
def test_the_end_of_a_judged_job_that_nobody_has_heard_is_told(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    impatient = "\n@pytest.mark.bgcheck('c', timeout=0.1)\ndef test_judges(c): pass\n"
    test_it = "import pytest\n" + UNHEARD.format(3) + impatient
    result = run(pytester, *args, "--bgcheck-order=keep", conftest=NOBODY_LISTENS, test_it=test_it)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["c * local * failed * 3 *"])


class Deaf(Scripted):
    """A target whose jobs end unheard: the call that waits for them gets no answer."""

    def __init__(self, **steps: object) -> None:
        super().__init__(**steps)  # type: ignore[arg-type]
        self.waiting = threading.Event()
        self.over = threading.Event()

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        if "await" in words_of(request) and not self.waiting.is_set():
            self.waiting.set()
            self.over.wait(30)
            raise Unreachable("no answer")
        return super().call(request, timeout_s, on_output)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ended("exit.0.5.1"), (State.SUCCEEDED, "")),
        (ended("exit.3.5.1"), (State.FAILED, "")),
        ("NONCE begin hex\nNONCE end 0\n", (State.CANCELLED, "the run ended")),
        (
            Unreachable("the line is cut"),
            (
                State.CANCELLED,
                "the run ended, and its target could not be asked: the line is cut",
            ),
        ),
    ],
    ids=["succeeded", "failed", "runs", "silent"],
)
def test_an_end_that_was_not_heard_is_asked_for_once(
    answer: object, told: tuple[State, str]
) -> None:
    cleaned = "NONCE begin hex\nNONCE end 0\n"
    transport = Deaf(start=[started], waits=[answer], clean=[cleaned])
    check = Check("c", ("true",), "true")
    runner = Runner("0123456789ab")
    target = Target("host", "host", transport)
    (record,) = runner.submit([(Spec(check.id_on("host", runner.run_id), check), target)])
    assert transport.waiting.wait(30)
    assert runner.close([target], ask_about=[record]) == []
    transport.over.set()
    assert record.result is not None
    assert (record.result.state, record.result.detail) == told
    assert transport.calls == ["start", "await", "clean"]


@pytest.mark.parametrize(("how", "ret", "told"), [("warn", 0, 1), ("fail", 1, 1), ("ignore", 0, 0)])
def test_a_job_that_no_test_judged_is_told(
    pytester: pytest.Pytester, how: str, ret: int, told: int
) -> None:
    result = run(pytester, f"--bgcheck-unawaited={how}", test_it=UNAWAITED)
    assert result.ret == ret
    line = "background check 'c' on local was judged by no test (succeeded, rc 0)"
    assert result.stdout.str().count(line) == told


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_an_error_in_collection_is_a_cause_too(pytester: pytest.Pytester, args: list[str]) -> None:
    result = run(
        pytester, "--continue-on-collection-errors", "--bgcheck-report=r.json", *args,
        test_it="c = background_check('exit 3')\ndef test(c): c.stdout\n",
        test_broken="import nothing_of_that_name\n",
    )  # fmt: skip
    result.assert_outcomes(passed=1, errors=1)
    document = json.loads(pytester.path.joinpath("r.json").read_text())
    first, second = document["run"]["causes"]
    assert first == "1 error in collection: test_broken.py"
    assert second.startswith("background check 'c' on local was judged by no test")
