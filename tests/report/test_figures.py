"""The numbers of a run, and the lines at its end, from ledgers that were told what happened."""

import pytest
from support.ledger_builder import ZERO, LedgerBuilder

from pytest_bgcheck.events import (
    JobJudged,
    JobPlanned,
    JobRequested,
    JobWanted,
    TargetTried,
    WaitBegan,
)
from pytest_bgcheck.ledger import NOT_ASKED
from pytest_bgcheck.model import Result, State, Tries
from pytest_bgcheck.report import summary
from pytest_bgcheck.report.figures import Figures, Run, critical_path, figures
from pytest_bgcheck.tasks import Service


def figures_of(told: LedgerBuilder, seconds: float) -> Figures:
    told.ledger.close(ZERO + seconds)
    return figures(told.ledger, Run(ZERO, ZERO + seconds))


def path_of(told: LedgerBuilder) -> list[str]:
    names = []
    for step in critical_path(told.ledger):
        if step.job is not None:
            names.append(step.job.name)
        elif step.test is not None:
            names.append(step.test.test)
    return names


def test_a_test_that_awaits_several_jobs_waits_for_each_from_the_same_moment() -> None:
    told = LedgerBuilder()
    jobs = [told.job("a", "h", 0, 5), told.job("b", "h", 0, 9), told.job("c", "h", 0, 1)]
    told.test("t", 2, 10, jobs)
    waits = [told.ledger.jobs[key].waits[0].waited_s for key in jobs]
    assert waits == pytest.approx([3, 7, 0])
    assert figures_of(told, 10).waited_s == pytest.approx(7)


def test_the_checks_time_is_the_sum_and_the_runs_is_not() -> None:
    told = LedgerBuilder()
    for n in range(4):
        told.job(f"c{n}", f"h{n % 2}", 0, 10)
    numbers = figures_of(told, 12)
    assert (numbers.jobs, numbers.hosts) == (4, 2)
    assert (numbers.checks_s, numbers.wall_s) == pytest.approx((40, 12))


def test_the_critical_path_leads_from_the_last_test_to_the_job_that_it_waited_for() -> None:
    told = LedgerBuilder()
    a, b = told.job("a", "h", 0, 5), told.job("b", "h", 0, 9)
    told.test("ordinary", 0, 2)
    told.test("ta", 2, 5, [a])
    told.test("tb", 5, 9.5, [b])
    told.test("after", 9.5, 12)
    assert path_of(told) == ["b", "tb", "after"]


def test_the_critical_path_is_the_tests_where_no_test_waited() -> None:
    told = LedgerBuilder()
    key = told.job("a", "h", 0, 1)
    told.test("t1", 0, 5)
    told.test("t2", 5, 9, [key])
    assert path_of(told) == ["t1", "t2"]
    assert summary.headline(figures_of(told, 9)).endswith("critical path: only tests")


def test_the_critical_path_goes_on_before_a_job_that_a_test_started() -> None:
    told = LedgerBuilder()
    told.test("first", 0, 4)
    late = told.job("late", "h", 5, 5)
    told.test("starter", 4, 5.5)
    told.test("waiter", 5.5, 11, [late])
    assert path_of(told) == ["first", "starter", "late", "waiter"]


def test_the_critical_path_keeps_to_the_worker_that_was_last() -> None:
    told = LedgerBuilder()
    told.test("a1", 0, 3, worker="gw0")
    told.test("b1", 0, 4, worker="gw1")
    told.test("b2", 4, 8, worker="gw1")
    assert path_of(told) == ["b1", "b2"]


def test_a_good_run_is_one_line() -> None:
    told = LedgerBuilder()
    slow = told.job("raid_scrub", "db2", 0, 570)
    told.job("webapp", "web1", 0, 1890)
    told.test("t", 498, 571, [slow])
    assert summary.headline(figures_of(told, 581)) == (
        "2 background checks on 2 hosts: 41 min 0 s of checks in a run of 9 min 41 s;"
        " tests waited 1 min 12 s; critical path: raid_scrub on db2, 9 min 30 s"
    )


def test_what_did_not_succeed_is_a_table_where_there_is_room() -> None:
    told = LedgerBuilder()
    bad = told.job("bad", "web1", 0, 12.4, State.FAILED, 3)
    gone = told.job("gone", "db1", 0, 2.5, State.LOST, None)
    told.job("good", "db1", 0, 2.5)
    told.test("test_1", 1, 13, [bad])
    told.test("test_2", 13, 14, [bad, gone])
    jobs = figures_of(told, 14).bad
    assert summary.table(jobs, 100) == [
        "check  host  state   rc  took    limit      awaited by",
        "bad    web1  failed  3   12.4 s  6 min 0 s  test_1 and 1 more",
        "gone   db1   lost    -   2.5 s   6 min 0 s  test_2",
    ]
    assert summary.table(jobs, 40) == [
        "bad on web1: failed, rc 3",
        "  took 12.4 s, limit 6 min 0 s",
        "  awaited by test_1 and 1 more",
        "gone on db1: lost",
        "  took 2.5 s, limit 6 min 0 s",
        "  awaited by test_2",
    ]


def test_a_service_is_no_check_and_counts_until_it_was_ready() -> None:
    told = LedgerBuilder()
    check = told.job("webapp", "h", 0, 3)
    web = told.service("web", "h", 0, 6.0, 20.0)
    told.service("never_used", "h", 0, 0.5, 20.0)
    told.test("ta", 0, 4, [check])
    told.test("tb", 4, 15, [web])
    told.test("after", 15, 20)
    numbers = figures_of(told, 20)
    assert (numbers.jobs, numbers.kinds["service"], numbers.checks_s) == (3, 2, 3)
    assert (numbers.bad, numbers.near_limit, numbers.unjudged, numbers.red_lines) == (
        [],
        [],
        [],
        [],
    )
    assert path_of(told) == ["web", "tb", "after"]
    step = numbers.critical_path[0]
    assert (step.began_at, step.ended_at) == (ZERO, ZERO + 6)
    assert summary.headline(numbers) == (
        "1 background check and 2 services on 1 host: 3.0 s of checks in a run of 20.0 s;"
        " tests waited 5.0 s; critical path: web on h, ready after 6.0 s"
    )


def test_a_run_of_services_alone_speaks_of_no_checks() -> None:
    told = LedgerBuilder()
    told.service("web", "h", 0, 0.1, 2)
    assert summary.headline(figures_of(told, 2)) == (
        "1 background service on 1 host: a run of 2.0 s; tests waited 0 s;"
        " critical path: only tests"
    )
    assert [str(job.state) for job in told.ledger.jobs.values()] == ["stopped"]


def test_a_service_that_died_and_failed_no_test_makes_the_run_red() -> None:
    told = LedgerBuilder()
    dead = told.service("web", "h", 0, 0.5, 7, State.DIED, 3)
    judged = told.service("db", "h", 0, None, 30, State.NOT_READY, detail="no line matches")
    told.ledger.tell(JobJudged(judged))
    told.ledger.close(ZERO + 40)
    green = figures(told.ledger, Run(ZERO, ZERO + 40, 0, "ignore"))
    assert green.unjudged_ends == [told.ledger.jobs[dead]]
    red = figures(told.ledger, Run(ZERO, ZERO + 40, 1, "ignore"))
    assert red.causes == red.red_lines
    assert red.causes == [
        "background service 'web' on h died: rc 3 after 7.0 s; no test has failed for it, and none"
        " has read its state or rc, so the run fails"
    ]
    assert summary.table(red.bad, 100) == [
        "job            host  state      rc  took    limit      awaited by",
        "web (service)  h     died       3   7.0 s   1 h 0 min  no test",
        "db (service)   h     not ready  -   30.0 s  30.0 s     no test",
    ]
    assert figures(told.ledger, Run(ZERO, ZERO + 40, 2)).unjudged_ends == []


@pytest.mark.parametrize("ran", [False, True])
def test_a_service_that_was_never_ready_makes_a_run_red_if_a_test_of_it_ran(ran: bool) -> None:
    told = LedgerBuilder()
    broken = told.service("web", "h", 0, None, 1, State.NOT_READY, 127)
    told.ledger.tell(JobRequested(broken, "t"))
    told.test("t", 0, 1, outcome="passed" if ran else "skipped")
    told.ledger.close(ZERO + 40)
    red = figures(told.ledger, Run(ZERO, ZERO + 40, int(ran)))
    assert (len(red.bad), len(red.unjudged_ends), len(red.causes)) == (1, ran, ran)


def test_a_service_that_never_began_or_was_not_asked_about_makes_the_run_red() -> None:
    told = LedgerBuilder()
    ready = told.service("ready", "h", 0, 0.5)
    told.ledger.tell(JobRequested(ready, "skipped"))
    told.test("skipped", 0, 1, outcome="skipped")
    told.test("t", 1, 2)
    for name, after in (("silent", None), ("held", "deploy"), ("unused", "deploy")):
        service = Service(name, ("x",), "x", after=after)
        planned = JobPlanned.of(name, "h", service, "h", ZERO)
        told.ledger.tell(planned)
        if name != "unused":
            told.ledger.tell(JobRequested(planned.key, "t"))
    told.ledger.tell(TargetTried("", ("silent@h",), Tries(2, ZERO + 1, "Connection refused")))
    told.ledger.close(ZERO + 9)
    end = "; no test has failed for it, and none has read its state or rc, so the run fails"
    why = "it starts after the fixture 'deploy', which was not set up in this run"
    assert figures(told.ledger, Run(ZERO, ZERO + 9)).red_lines == [
        f"background service 'ready' on h unreachable: {NOT_ASKED}{end}",
        "background service 'silent' on h: its start was not confirmed: Connection refused (2 tries"
        f" in 8 s){end}",
        f"background service 'held' on h not started: {why}{end}",
    ]
    assert figures(told.ledger, Run(ZERO, ZERO + 9, 2)).red_lines == []


def test_a_job_near_its_limit_is_named() -> None:
    told = LedgerBuilder()
    told.job("near", "h", 0, 8.5, limit=10)
    told.job("far", "h", 0, 7.5, limit=10)
    (job,) = figures_of(told, 9).near_limit
    assert summary.near_limit_line(job) == (
        "background check 'near' on h used 85% of its limit: 8.5 s of 10.0 s"
    )


def test_a_job_that_only_the_end_of_the_run_cancelled_did_not_fail() -> None:
    told = LedgerBuilder()
    key = told.job("c", "h", 0, 1, State.CANCELLED, None)
    assert figures_of(told, 1).bad == []
    told.ledger.tell(JobWanted(key))
    assert [job.name for job in figures_of(told, 1).bad] == ["c"]


def test_a_test_without_a_call_phase_is_unfinished() -> None:
    told = LedgerBuilder()
    told.ledger.add_phase("t", "", "setup", ZERO, ZERO + 1, "passed")
    told.ledger.add_phase("t", "", "teardown", ZERO + 1, ZERO + 2, "passed")
    told.ledger.add_phase("u", "", "setup", ZERO, ZERO + 1, "passed")
    told.ledger.tell(WaitBegan("", "v", ("k",), ZERO))
    told.ledger.close(ZERO + 3)
    assert {entry.test: entry.outcome for entry in told.ledger.tests.values()} == {
        "t": "unfinished", "u": "unfinished", "v": "unfinished"
    }  # fmt: skip


def test_a_closed_ledger_has_no_open_wait_and_no_running_job() -> None:
    told = LedgerBuilder()
    key = told.job("c", "h", 0, 1)
    told.ledger.jobs[key].state, told.ledger.jobs[key].result = State.RUNNING, None
    told.ledger.jobs[key].ended_at = None
    told.ledger.tell(WaitBegan("gw0", "t", (key,), ZERO + 1))
    told.ledger.close(ZERO + 3)
    job = told.ledger.jobs[key]
    assert job.waits[0].waited_s == pytest.approx(2)
    assert job.result == Result(State.CANCELLED, detail="the run ended")


def test_all_reports_round_the_same_figures() -> None:
    told = LedgerBuilder()
    told.job("a", "h", 0, 0.7949)
    numbers = figures(told.ledger, Run(ZERO, ZERO + 0.79493, 0))
    assert (numbers.checks_s, numbers.wall_s) == (0.795, 0.795)


@pytest.mark.parametrize(
    ("exit_status", "first"),
    [
        (1, "7 tests failed: t0, t1, t2, t3, t4 and 2 more"),
        (2, "the run was interrupted"),
        (3, "pytest had an internal error"),
        (6, "pytest's exit status is 6: more warnings than --max-warnings allows"),
        (
            42,
            "pytest's exit status is 42: perhaps an error in collection, an option or another",
        ),
    ],
)
def test_a_red_run_says_why(exit_status: int, first: str) -> None:
    told = LedgerBuilder()
    for n in range(7):
        told.test(f"t{n}", n, n + 1, outcome="failed")
    causes = figures(told.ledger, Run(ZERO, ZERO + 9, exit_status)).causes
    assert causes[0].startswith(first)
    assert causes[-1].startswith("7 tests failed")
    assert figures(told.ledger, Run(ZERO, ZERO + 9, 0)).causes == []


def test_a_red_run_without_a_failed_test_says_so() -> None:
    (cause,) = figures(LedgerBuilder().ledger, Run(ZERO, ZERO + 9, 1)).causes
    assert cause.startswith("pytest's exit status is 1: perhaps an error in collection")


def test_what_tests_have_judged_and_passed_with_is_said_to_be_accepted() -> None:
    told = LedgerBuilder()
    accepted = told.job("accepted", "h", 0, 1, State.FAILED, 3)
    refused = told.job("refused", "h", 0, 1, State.FAILED, 3)
    read = told.job("read", "h", 0, 1, State.FAILED, 3)
    told.test("t1", 1, 2, [accepted, refused])
    told.test("t2", 2, 3, [refused], outcome="failed")
    told.ledger.tell(JobRequested(read, "t3"))
    told.ledger.tell(JobRequested(read, "skipped"))
    told.test("t3", 3, 4)
    told.test("skipped", 4, 4, outcome="skipped")
    numbers = figures_of(told, 5)
    assert [job.name for job in numbers.tolerated] == ["accepted"]
    told.ledger.tell(JobJudged(read))
    numbers = figures_of(told, 5)
    assert [job.name for job in numbers.tolerated] == ["accepted", "read"]
    assert ", 3 did not succeed, 2 of them as their tests accept: " in summary.headline(numbers)
    (line,) = (
        line
        for line in summary.table(numbers.bad, 100, numbers.tolerated)
        if line.startswith("accepted")
    )
    assert "  failed, accepted  3 " in line


def test_errors_in_collection_are_a_cause_beside_others() -> None:
    told = LedgerBuilder()
    told.test("t", 0, 1, outcome="failed")
    run = Run(ZERO, ZERO + 1, 1, collection_errors=("test_a.py", "test_b.py"))
    assert figures(told.ledger, run).causes == [
        "2 errors in collection: test_a.py, test_b.py", "1 test failed: t",
    ]  # fmt: skip


def test_a_critical_path_ends_also_where_a_job_was_planned_behind_the_wait_for_it() -> None:
    """As it seems where one worker's clock is ahead of another's."""
    told = LedgerBuilder()
    told.test("t", 0, 4, [told.job("slow", "h", 0.5, 2)])
    assert path_of(told)[-2:] == ["slow", "t"]
