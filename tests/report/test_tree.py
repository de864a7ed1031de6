"""The lines that ``--bgcheck-plan`` shows."""

from pytest_bgcheck.plan import PlannedJob
from pytest_bgcheck.report import tree
from pytest_bgcheck.tasks import Check

FAST = Check("fast", ("true",), "true", timeout_s=7.5)
SLOW = Check("slow", ("sleep", "9"), "sleep 9", rc=frozenset({0, 2}), retry_every_s=3.0)
IDLE = Check("idle", ("true",), "true")


def test_a_plan_of_nothing_says_so() -> None:
    assert tree.tree([], [], {}, str) == ["no background checks"]


def test_a_plan_says_which_check_was_the_last_in_earlier_runs() -> None:
    planned = [PlannedJob(FAST, "web", ("t1",), ()), PlannedJob(SLOW, "web", (), ("t2",))]
    durations = {"fast on web": [1.0], "slow on web": [8.0]}
    lines = tree.tree(planned, [FAST, SLOW, IDLE], durations, str)
    assert lines == [
        "<Host web>",
        "  <Check fast> timeout=7.5: true",
        "    awaited by t1",
        "  <Check slow> timeout=360 rc=0,2 retry_every=3: sleep 9",
        "    requested by t2",
        "<Declared, but no selected test uses it>",
        "  <Check idle> timeout=360: true",
        "",
        "2 background checks on 1 host would be started, awaited by 1 test;"
        " by earlier runs, the last would be ready after 8.0 s (slow on web)",
    ]


def test_a_plan_bounds_what_has_never_run() -> None:
    planned = [PlannedJob(FAST, "web", ("t1",), ()), PlannedJob(FAST, "db", ("t1",), ())]
    (line,) = tree.tree(planned, [FAST], {"fast on web": [1.0]}, str)[-1:]
    assert line.startswith("2 background checks on 2 hosts")
    assert line.endswith("; 1 have never run here, with limits of up to 7.5 s")
