"""What the reports tell of probes: lines, tables, properties, data. Each from a told ledger."""

import json
import time

import pytest
from support.ledger_builder import ZERO, LedgerBuilder, seen

from pytest_bgcheck.events import JobPlanned, JobStarted, WaitBegan
from pytest_bgcheck.ledger import Ledger
from pytest_bgcheck.model import State
from pytest_bgcheck.plan import PlannedJob
from pytest_bgcheck.report import document, github, item, live, probe_text, summary, tree
from pytest_bgcheck.report.figures import Figures, Run, figures
from pytest_bgcheck.report.text import Verdict
from pytest_bgcheck.tasks import Check, Probe
from pytest_bgcheck.windows import Gap, Limits, Outage, Window

REFUSED = "curl: (7) Failed to connect"


def figures_of(told: LedgerBuilder, seconds: float = 100) -> Figures:
    told.ledger.close(ZERO + seconds)
    return figures(told.ledger, Run(ZERO, ZERO + seconds))


@pytest.fixture
def told() -> LedgerBuilder:
    return LedgerBuilder()


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (seen(30), "no outage in 30 samples"),
        (seen(1), "no outage in 1 sample"),
        (seen(0.3), "0 samples in 0.30 s"),
        (seen(30, [Outage(3, 6.2, 7)]), "1 outage of 6.2 s in 30 samples, available 79.33 %"),
        (
            seen(100, [Outage(3, 6.25, 7), Outage(20, 1)]),
            "2 outages in 100 samples, the longest 6.2 s, available 92.75 %",
        ),
        (seen(30, None, [Gap(3, 4)]), "no outage in 26 samples; 4.0 s not proven"),
        (
            seen(30, [Outage(3, 6.2, 7)], [Gap(20, 4)]),
            "1 outage of 6.2 s in 26 samples; 4.0 s not proven",
        ),
    ],
)
def test_what_was_seen_in_a_window(window: Window, text: str) -> None:
    assert probe_text.seen(window) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(100, "100 %"), (99.9999, "99.99 %"), (99.5, "99.5 %"), (98.237, "98.23 %"), (0.0, "0 %"),
     (99.42, "99.42 %")],
)  # fmt: skip
def test_a_percentage_is_never_rounded_up(value: float, text: str) -> None:
    assert probe_text.percent(value) == text


def test_the_headline_counts_probes_and_says_what_they_saw(told: LedgerBuilder) -> None:
    told.job("raid", "h", 0, 9)
    vip = told.probe("vip", "h", 0, 2, 90, window=seen(90))
    told.test("t", 0, 30, [vip])
    assert summary.headline(figures_of(told)) == (
        "1 background check and 1 probe on 1 host: 9.0 s of checks in a run of 1 min 40 s;"
        " tests waited 2.0 s; the probe saw no outage;"
        " critical path: vip on h, its first sample after 2.0 s"
    )


def test_a_run_of_nothing_but_probes_says_nothing_of_checks(told: LedgerBuilder) -> None:
    for n in range(3):
        told.probe("vip", f"h{n}", 0, 0.1, 90, window=seen(90, [Outage(5, 1.0 + n, 1)]))
    told.test("t", 0, 30)
    assert summary.headline(figures_of(told)) == (
        "3 background probes on 3 hosts: a run of 1 min 40 s; tests waited 0 s;"
        " 3 probes saw 3 outages, the longest 3.0 s; critical path: only tests"
    )


@pytest.mark.parametrize(
    ("lives", "text"),
    [
        ([], ""),
        ([None], "what the probe saw in the whole run is not known"),
        ([None, None], "what 2 probes saw in the whole run is not known"),
        ([seen(30, [Outage(3, 1.5)])], "the probe saw 1 outage of 1.5 s"),
        ([seen(30, None, [Gap(3, 4)])], "the probe saw no outage (4.0 s not proven)"),
        ([seen(30), None], "the probe saw no outage, of 1 more nobody knows"),
        ([seen(0.2)], "the probe took no sample"),
    ],
)
def test_what_all_probes_saw(told: LedgerBuilder, lives: list[Window | None], text: str) -> None:
    for n, life in enumerate(lives):
        told.probe(f"p{n}", "h", 0, 0.1, 90, window=life)
    assert probe_text.all_saw(told.ledger.jobs.values()) == text


def test_a_probe_that_was_never_started_saw_nothing_and_is_in_the_table(
    told: LedgerBuilder,
) -> None:
    probe = Probe("vip", ("x",), "x", after="deploy")
    told.ledger.tell(JobPlanned.of("id", "h", probe, "h", ZERO))
    told.test("t", 0, 1)
    numbers = figures_of(told)
    assert probe_text.all_saw(numbers.probes) == ""
    assert summary.probe_lines(numbers) == []


def test_only_probes_with_more_to_tell_than_that_all_was_well_have_a_line(
    told: LedgerBuilder,
) -> None:
    good = told.probe("good", "h", 0, 0.1, 90, window=seen(90))
    told.window(good, "t", 10, 40, seen(30), Limits(5))
    down = told.probe("down", "h", 0, 0.1, 90, window=seen(90, [Outage(20, 6.2, 7, REFUSED)]))
    told.window(down, "t", 10, 40, seen(30, [Outage(10, 6.2, 7, REFUSED)]), Limits(5))
    told.window(down, "u", 50, 60, seen(10), Limits(5))
    lost = told.probe("lost", "h", 0, 0.1, 60, State.LOST)
    told.window(lost, "t", 10, 40, None, not_proven="its prober has ended")
    assert summary.probe_lines(figures_of(told)) == [
        "background probe 'down' on h in the whole run: 1 outage of 6.2 s in 90 samples,"
        " available 93.11 %; 1 window within limits, 1 beyond limits",
        "background probe 'lost' on h in the whole run: nobody knows what it saw;"
        " 1 window not proven",
    ]


def test_of_many_such_probes_the_others_are_counted(told: LedgerBuilder) -> None:
    for n in range(probe_text.MOST_LINES + 3):
        told.probe("vip", f"h{n}", 0, 0.1, 90, window=seen(90, [Outage(1, 1)]))
    lines = summary.probe_lines(figures_of(told))
    assert len(lines) == probe_text.MOST_LINES + 1
    assert lines[-1] == "and more of 3 other probes"


def test_a_window_that_nearly_used_up_its_limit_is_named(told: LedgerBuilder) -> None:
    key = told.probe("vip", "h", 0, 0.1, 90, window=seen(90, [Outage(20, 4.6, 7)]))
    told.window(key, "t1", 10, 40, seen(30, [Outage(10, 4.6, 7)]), Limits(5))
    told.window(key, "t2", 10, 110, seen(100, [Outage(10, 4.6, 7)]), Limits(None, 95))
    told.window(key, "t3", 10, 40, seen(30, [Outage(10, 4.6, 7)]), Limits(6))
    told.window(key, "t4", 10, 40, seen(30, [Outage(10, 4.6, 7)]), Limits(4))
    lines = summary.probe_lines(figures_of(told))
    assert lines[1:] == [
        "background probe 'vip' on h, during t1: 92% of what is allowed: 1 outage of 4.6 s in 30"
        " samples, available 84.66 % (allowed: 5 s)",
        "background probe 'vip' on h, during t2: 92% of what is allowed: 1 outage of 4.6 s in 100"
        " samples, available 95.4 % (wanted: 95 %)",
    ]


def test_a_probe_that_ended_badly_is_a_row_of_the_table(told: LedgerBuilder) -> None:
    told.probe("vip", "h", 0, 0.1, 60, State.LOST)
    head, row = summary.table(figures_of(told).bad, 100)
    assert head.split() == ["job", "host", "state", "rc", "took", "limit", "awaited", "by"]
    assert row.startswith("vip (probe)  h     lost   -   1 min 0 s  1 h 0 min  no test")


def test_verbose_lines_say_what_was_seen(told: LedgerBuilder) -> None:
    key = told.probe("vip", "ssh://b", 0, 0.3, 65, window=seen(65, [Outage(20, 6.2, 7)]))
    told.window(key, "t1", 10, 40, seen(30, [Outage(10, 6.2, 7)]), Limits(5, 99.5))
    told.window(key, "t2", 50, 60, seen(10), None)
    told.window(key, "t3", 50, 60, None, not_proven="its prober has ended")
    job = told.ledger.jobs[key]
    assert live.ready(job) == (
        "background probe 'vip' on ssh://b has taken its first sample after 0.30 s"
    )
    assert [probe_text.closed_line(job, closed) for closed in job.windows] == [
        "background probe 'vip' on ssh://b, during t1: beyond limits: down for 6.2 s (allowed: 5"
        " s), available 79.3 % of the time (wanted: 99.5 %); 1 outage in 30 samples",
        "background probe 'vip' on ssh://b, during t2: no outage in 10 samples",
        "background probe 'vip' on ssh://b, during t3: not proven: its prober has ended",
    ]
    assert live.ended(job) == (
        "background probe 'vip' on ssh://b ended: stopped after 1 min 5 s;"
        " 1 outage of 6.2 s in 65 samples, available 90.46 %"
    )


# --- the live line --------------------------------------------------------------------------------


def test_a_test_that_waits_for_a_first_sample_sees_its_limit(told: LedgerBuilder) -> None:
    key = told.probe("vip", "h", 0, None)
    told.ledger.tell(WaitBegan("", "m::t", (key,), ZERO + 1))
    jobs = told.ledger.known_jobs()
    assert live.status_line(jobs, ZERO + 3) == (
        "vip on h: starting, 3.0 of 10 s; t waits 2 s; 1 starting"
    )
    assert live.log_line(jobs, ZERO + 3).startswith("background probes: vip on h: starting")


def test_the_line_counts_probes_and_claims_nothing_of_what_they_see_now(
    told: LedgerBuilder,
) -> None:
    keys = [told.probe("vip", f"h{n}", 0, 0.1) for n in range(2)]
    check = Check("raid", ("x",), "x", timeout_s=30)
    told.ledger.tell(JobPlanned.of("c", "h", check, "h", ZERO))
    told.ledger.tell(JobStarted("c@h", "", ZERO))
    told.ledger.tell(WaitBegan("", "m::t", (*keys, "c@h"), ZERO + 1))
    line = live.status_line(told.ledger.known_jobs(), ZERO + 3)
    assert line == "raid on h: 3.0 of 30 s; t waits 2 s; 1 running, 2 probing"


# --- the plan -------------------------------------------------------------------------------------


def test_a_plan_shows_how_often_a_probe_looks_and_how_long() -> None:
    vip = Probe("vip", ("x",), "curl vip", every_s=0.5, sample_timeout_s=2, rc=frozenset({0, 22}))
    lines = tree.tree([PlannedJob(vip, "web", ("t1",), ())], [vip], {}, str)
    assert lines[:3] == [
        "<Host web>",
        "  <Probe vip> every=0.5 timeout=2 rc=0,22: curl vip",
        "    awaited by t1",
    ]
    assert lines[-1] == (
        "1 background probe on 1 host would be started, awaited by 1 test;"
        " 1 have never run here, with limits of up to 2.0 s"
    )


# --- GitHub, JUnit --------------------------------------------------------------------------------


def test_github_annotates_a_window_for_which_a_test_failed_once(told: LedgerBuilder) -> None:
    key = told.probe("vip", "ssh://b", 0, 0.1, 90, window=seen(90, [Outage(20, 6.2, 7)]))
    for test, outcome in (("bad", "failed"), ("expected", "passed"), ("handle", "failed")):
        limits = None if test == "handle" else Limits(5)
        for _ in range(2):  # it was run again
            told.window(key, test, 10, 40, seen(30, [Outage(10, 6.2, 7)]), limits)
        told.test(test, 10, 40, outcome=outcome)
    told.ledger.close(ZERO + 100)
    numbers = figures(told.ledger, Run(ZERO, ZERO + 100, exit_status=1))
    (line,) = github.commands(numbers)
    assert line == (
        "::error title=background probe vip on ssh%3A//b::beyond limits: down for 6.2 s"
        " (allowed: 5 s); 1 outage in 30 samples"
        "%0Acommand: curl -fsS http://vip/%0Aduring: bad"
    )
    assert github.commands(numbers, frozenset({"bad"})) == []
    told_there = github.markdown(numbers).replace("\\", "")
    assert "- background probe 'vip' on ssh://b in the whole run: 1 outage of 6.2 s" in told_there


VIP = Probe("vip", ("x",), "curl vip")


def test_a_junit_file_has_the_facts_of_the_window() -> None:
    window = seen(30, [Outage(10, 6.2, 7)])
    verdicts = [
        Verdict(Check("c", ("x",), "x"), "h", State.RUNNING),
        Verdict(VIP, "h", State.RUNNING, waited_s=0.25, window=window, limits=Limits(5)),
    ]
    facts = {k: v for k, v in item.properties(verdicts) if k.startswith("bgcheck.2.")}
    assert facts == {
        "bgcheck.2.probe": "vip", "bgcheck.2.host": "h", "bgcheck.2.state": "running",
        "bgcheck.2.rc": "", "bgcheck.2.duration": "", "bgcheck.2.waited": "0.250",
        "bgcheck.2.window": "30.000", "bgcheck.2.samples": "30", "bgcheck.2.bad": "6",
        "bgcheck.2.max_outage": "6.200", "bgcheck.2.available": "79.333",
        "bgcheck.2.not_proven": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "samples", "why"),
    [
        (Verdict(VIP, "h", State.LOST, not_proven="its prober has ended"), "", "its prober"),
        (Verdict(VIP, "h", State.RUNNING, window=seen(30, [], [Gap(3, 4)])), "26", "no sample was"),
    ],
)
def test_a_junit_file_has_no_figure_that_is_not_proven(
    verdict: Verdict, samples: str, why: str
) -> None:
    facts = {k.rpartition(".")[2]: v for k, v in item.properties([verdict])}
    assert (facts["max_outage"], facts["available"], facts["samples"]) == ("", "", samples)
    assert facts["not_proven"].startswith(why)


# --- JSON -----------------------------------------------------------------------------------------


def document_of(ledger: Ledger) -> document.Document:
    ledger.close(ZERO + 1000)
    run = Run(ZERO, ZERO + 1000)
    return document.document(ledger, run, figures(ledger, run))


def test_the_json_has_what_a_probe_saw_and_its_windows(told: LedgerBuilder) -> None:
    life = seen(90, [Outage(20, 6.2, 7, REFUSED)], every=0.5)
    key = told.probe("vip", "h", 0, 0.1, 90, window=life, every=0.5)
    told.window(key, "t1", 10, 40, seen(30, [Outage(10, 6.2, 7)]), Limits(5, 99.5), "gw0")
    told.window(key, "t2", 50, 60, seen(10, None, [Gap(1, 2)]))
    told.window(key, "t3", 50, 60, None, None, not_proven="its prober has ended")
    told.job("c", "h", 0, 1)
    it = document_of(told.ledger)
    assert (it["version"], it["summary"]["probes"]) == (4, 1)
    vip, check = it["jobs"]
    assert (check["probe"], check["windows"]) == (None, [])
    probe = vip["probe"]
    assert probe is not None
    assert (probe["every_s"], probe["sample_limit_s"]) == (0.5, 10)
    assert probe["seen"] == {
        "length_s": 90, "samples": 180, "good": 168, "bad": 12, "available": 93.1111,
        "max_outage_s": 6.2, "down_s": 6.2, "unproven_s": 0, "resolution_s": 0.52,
        "outage_count": 1, "gap_count": 0, "gaps": [],
        "outages": [{"start_s": 20, "length_s": 6.2, "rc": 7, "last_line": REFUSED}],
    }  # fmt: skip
    first, second, third = vip["windows"]
    assert (first["test"], first["worker"], first["verdict"]) == ("t1", "gw0", "beyond limits")
    assert (first["allowed_outage_s"], first["wanted_available"]) == (5, 99.5)
    assert (first["opened_at"], first["closed_at"]) == (ZERO + 10, ZERO + 40)
    assert (second["allowed_outage_s"], second["verdict"]) == (0, "not proven")
    assert second["not_proven"].startswith("no sample was taken for 2.00 s")
    gappy = second["seen"]
    assert gappy is not None
    assert (gappy["available"], gappy["max_outage_s"], gappy["unproven_s"]) == (None, None, 2)
    assert (third["seen"], third["verdict"]) == (None, "not proven")
    assert third["allowed_outage_s"] is third["wanted_available"] is None


def windows_told(number: int) -> Ledger:
    told = LedgerBuilder()
    key = told.probe("vip", "h", 0, 0.1, 900, window=seen(900))
    outages = [Outage(0.1 * n, 0.05, 7, REFUSED) for n in range(10)]
    for n in range(number):
        told.window(key, f"t{n}", 0.8 * n, 0.8 * n + 0.7, seen(0.7, outages, every=0.01))
        told.test(f"t{n}", 0.8 * n, 0.8 * n + 0.7, outcome="failed")
    return told.ledger


def test_the_json_of_a_thousand_windows_takes_ten_times_what_a_hundred_take() -> None:
    took, size = {}, {}
    for number in (100, 1000):
        ledger = windows_told(number)
        began = time.process_time()
        size[number] = len(json.dumps(document_of(ledger)))
        took[number] = time.process_time() - began
    assert size[1000] < 11 * size[100]
    assert took[1000] < 40 * took[100], took  # squared, it would be a hundred times
