"""The line that says how a run stands: what is kept of it where there is little room."""

import pytest
import wcwidth

from pytest_bgcheck.events import (
    JobEnded,
    JobPlanned,
    JobReady,
    JobStarted,
    StartPointReached,
    TargetTried,
    WaitBegan,
    job_key,
)
from pytest_bgcheck.ledger import Ledger
from pytest_bgcheck.model import Result, State, Tries
from pytest_bgcheck.report.live import fit, fit_middle, log_line, status_line
from pytest_bgcheck.tasks import Check, Service

NOW = 1_700_000_000.0
REFUSED = "ssh: connect to host web1 port 22: Connection refused"


class Told:
    """A ledger that is told of jobs in few words; times are seconds before now."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def job(
        self, name: str = "webapp", host: str = "ssh://web1", limit: float = 360, *,
        planned: float = 20, ran: float | None = 12.4, state: State | None = None,
        after: str | None = None,
    ) -> str:  # fmt: skip
        key = job_key(f"{name}{host}", host)
        check = Check(name, ("x",), "x", timeout_s=limit, after=after)
        self.ledger.tell(JobPlanned.of(f"{name}{host}", host, check, host, NOW - planned))
        if ran is not None:
            self.ledger.tell(JobStarted(key, "", NOW - ran))
        if state is not None:
            self.ledger.tell(JobEnded.of(key, Result(state), NOW))
        return key

    def service(
        self, name: str = "web", host: str = "ssh://web1", *, ran: float = 4,
        ready: float | None = None, state: State | None = None,
    ) -> str:  # fmt: skip
        key = job_key(f"{name}{host}", host)
        self.ledger.tell(JobPlanned.of(f"{name}{host}", host, Service(name, ("x",), "x"), host, 0))
        self.ledger.tell(JobStarted(key, "", NOW - ran))
        if ready is not None:
            self.ledger.tell(JobReady(key, ran - ready, NOW - ready))
        if state is not None:
            self.ledger.tell(JobEnded.of(key, Result(state), NOW))
        return key

    def tried(
        self, key: str, count: int | None, seconds: float = 12, cause: str = REFUSED,
        worker: str = "",
    ) -> None:  # fmt: skip
        tries = None if count is None else Tries(count, NOW - seconds, cause)
        self.ledger.tell(TargetTried(worker, (key,), tries))

    def waits(self, test: str, *keys: str, seconds: float = 8) -> None:
        self.ledger.tell(WaitBegan("", f"test_it.py::{test}", keys, NOW - seconds))

    def line(self, columns: int | None = None) -> str:
        return status_line(self.ledger.known_jobs(), NOW, columns)


@pytest.fixture
def told() -> Told:
    return Told()


def test_name_host_and_elapsed_of_limit_come_first(told: Told) -> None:
    told.job("backup", state=State.SUCCEEDED)
    told.job("raid", state=State.FAILED)
    told.waits("test_health", told.job(), told.job("db", limit=30))
    assert told.line() == (
        "webapp on ssh://web1: 12.4 of 360 s, +1 more; test_health waits 8 s;"
        " 2 running, 2 done, 1 failed"
    )


def test_one_that_is_held_back_says_for_which_fixture(told: Told) -> None:
    key = told.job(ran=None, after="deploy")
    told.waits("test_health", key)
    assert told.line() == (
        "webapp on ssh://web1: not started yet: after 'deploy'; test_health waits 8 s;"
        " 1 not started yet"
    )
    told.ledger.tell(StartPointReached("::deploy", (key,)))
    told.ledger.tell(JobStarted(key, "", NOW - 3))
    assert told.line() == "webapp on ssh://web1: 3.0 of 360 s; test_health waits 8 s; 1 running"


@pytest.mark.parametrize("columns", [79, 59, 39])
@pytest.mark.parametrize(
    "place",
    [
        ("webapp", "ssh://web1"),
        ("webapp", "ssh://monitoring-production-17.eu-central-1.example.org:2222"),
        ("certificates_of_all_the_shops_and_their_mail_servers", "ssh://web1"),
        ("检查数据库备份", "ssh://数据库一号.example.org"),
    ],
)
def test_a_narrow_line_keeps_them_and_cuts_the_rest(
    told: Told, columns: int, place: tuple[str, str]
) -> None:
    name, host = place
    told.waits("test_health", told.job(name, host), told.job("other", limit=10))
    line = fit(told.line(columns), columns)
    assert wcwidth.wcswidth(line) <= columns
    first, _, rest = line.partition(": 12.4 of 360 s")
    assert rest or wcwidth.wcswidth(line) <= columns
    assert line.count("12.4 of 360 s") == 1
    shown_name, _, shown_host = first.partition(" on ")
    for whole, shown in ((name, shown_name), (host, shown_host)):
        begins, _, ends = shown.partition("...")
        short = whole.rpartition("://")[2]
        assert whole == shown or (short.startswith(begins) and short.endswith(ends))
    if wcwidth.wcswidth(f"{name} on {host}: 12.4 of 360 s") <= columns:
        assert first == f"{name} on {host}"


def test_a_host_that_refuses_is_connecting_with_its_cause_and_tries(told: Told) -> None:
    key = told.job(ran=None)
    told.waits("test_health", key)
    assert told.line().startswith("webapp on ssh://web1: connecting for 20 s; test_health waits")
    told.tried(key, 3)
    assert told.line() == (
        "webapp on ssh://web1: connecting, Connection refused (3 tries in 12 s);"
        " test_health waits 8 s; 1 connecting"
    )


def test_what_is_the_matter_is_cut_between_its_parts(told: Told) -> None:
    key = told.job()
    told.waits("test_health", key)
    told.tried(key, 3)
    first = "webapp on ssh://web1: 12.4 of 360 s"
    assert told.line(39) == first
    assert told.line(59) == f"{first}, no answer for 12 s"
    assert told.line(79) == f"{first}, no answer for 12 s, Connection refused ..."


def test_a_host_that_went_away_is_told_until_it_answers(told: Told) -> None:
    key = told.job()
    told.waits("test_health", key)
    told.tried(key, 1, cause="no answer in 65 s")
    assert "12.4 of 360 s, no answer for 12 s, no answer in 65 s (1 try);" in told.line()
    told.tried(key, None)
    assert told.line().startswith("webapp on ssh://web1: 12.4 of 360 s; ")


def test_of_several_jobs_the_one_in_trouble_is_shown_else_the_one_that_may_take_longest(
    told: Told,
) -> None:
    short, long = told.job("short", limit=30), told.job("long", limit=3600)
    told.waits("test_a", short, long, seconds=9)
    told.waits("test_b", short, told.job("other", limit=7200), seconds=3)
    told.waits("test_c", short, seconds=3)
    assert told.line() == (
        "long on ssh://web1: 12 s of 1 h 0 min, +2 more; test_a waits 9 s, +2 more tests; 3 running"
    )
    told.tried(short, 2)
    assert told.line().startswith("short on ssh://web1: 12.4 of 30 s, no answer for 12 s, ")


def test_a_service_is_starting_then_ready_and_only_a_test_that_goes_on_waiting_shows_it(
    told: Told,
) -> None:
    web, check = told.service(), told.job()
    told.service("dead", state=State.DIED)
    told.service("gone", state=State.STOPPED)
    told.waits("test_page", web, check)
    numbers = "1 running, 1 starting, 2 done, 1 failed"
    assert told.line() == (
        f"webapp on ssh://web1: 12.4 of 360 s, +1 more; test_page waits 8 s; {numbers}"
    )
    told.tried(web, 2)
    assert told.line(60) == "web on ssh://web1: starting, 4.0 of 30 s, no answer for 12 s"
    told.tried(web, None)
    told.ledger.tell(JobReady(web, 1.0, NOW - 3))
    assert told.line() == (
        "webapp on ssh://web1: 12.4 of 360 s; test_page waits 8 s;"
        " 1 running, 1 ready, 2 done, 1 failed"
    )
    told.ledger.tell(JobEnded.of(check, Result(State.SUCCEEDED, 0), NOW))
    line = told.line()
    assert line.startswith("web on ssh://web1: ready for 3 s; test_page waits 8 s; 1 ready, ")
    assert log_line(told.ledger.known_jobs(), NOW) == f"background checks and services: {line}"


def test_the_tries_of_a_worker_are_its_own(told: Told) -> None:
    key = told.job()
    told.waits("test_a", key)
    told.tried(key, 2, 5, worker="gw0")
    told.tried(key, 4, 30, worker="gw1")
    assert "no answer for 30 s, Connection refused (4 tries)" in told.line()
    told.tried(key, None, worker="gw1")
    assert "no answer for 5 s" in told.line()
    told.ledger.end_waits_of("gw0", NOW)
    assert "no answer" not in told.line()


def test_nothing_is_said_where_no_test_waits(told: Told) -> None:
    told.job()
    assert told.line() == ""


@pytest.mark.parametrize(
    "text", ["short", "a longer line of text", "检查数据库备份", "检a查b数c", "e\u0301te\u0301" * 4]
)
@pytest.mark.parametrize("columns", [0, 2, 5, 12, 40])
def test_a_line_is_cut_to_columns_not_to_characters(text: str, columns: int) -> None:
    for shown in (fit(text, columns), fit_middle(text, columns)):
        assert wcwidth.wcswidth(shown) <= columns
        assert shown == text or columns < wcwidth.wcswidth(text)
