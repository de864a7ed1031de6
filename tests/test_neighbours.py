"""The parts of the run beside other plugins that could hide a difference."""

import re
from pathlib import Path

import neighbours
import pytest
from neighbours.beside import ENDINGS, LIMIT_S, unexpected
from neighbours.outcomes import Ended, Run, ended
from neighbours.own_suites import differences
from neighbours.plugins import CHECKS, NEIGHBOURS
from neighbours.table import Row, as_markdown

pytestmark = pytest.mark.once

SUITES = Path(neighbours.__file__).with_name("suites")


def run(*tests: tuple[str, str], status: int | None = 1, output: str = "", text: str = "") -> Run:
    found = {test: Ended(tuple(outcomes.split()), text) for test, outcomes in tests}
    return Run(status, output, found)


def report(test: str, when: str, outcome: str, text: str = "") -> dict[str, str]:
    return {"test": test, "when": when, "outcome": outcome, "text": text}


def test_a_test_ends_as_its_phases_say() -> None:
    found = ended(
        [
            report("a", "setup", "passed"), report("a", "call", "failed", "why"),
            report("a", "teardown", "failed", "and why"),
            report("b", "setup", "failed", "no"), report("b", "teardown", "passed"),
            report("c", "setup", "skipped"),
            report("d", "call", "rerun", "first"), report("d", "call", "passed"),
        ]
    )  # fmt: skip
    assert found["a"] == Ended(("failed", "error in teardown"), "why\nand why\n")
    assert found["b"].outcomes == ("error in set-up",)
    assert found["c"].outcomes == ("skipped",)
    assert found["d"] == Ended(("rerun", "passed"), "first\n")


BAD = "test_bad_check_fails"
SAYS = ENDINGS["_check_fails"][1]


@pytest.mark.parametrize(
    ("done", "problem"),
    [
        (run((f"x.py::{BAD}[local]", "failed"), text=SAYS), ""),
        (run((f"x.py::{BAD}", "rerun failed"), text=SAYS), ""),
        (run((f"x.py::{BAD}", "failed"), text="E  AssertionError"), "does not say"),
        (run((f"x.py::{BAD}", "passed")), f"{BAD}: passed, not failed"),
        (run((f"x.py::{BAD}", "failed passed"), text=SAYS), f"{BAD}: passed, not failed"),
        (run((f"x.py::{BAD}2", "failed")), f"{BAD} ran 0 times, not 1"),
        (run(output="It is\nbroken"), "ran no test; its last words: It is broken"),
        (run((f"x.py::{BAD}", "failed"), text=SAYS, status=0), "exit status 0, not 1"),
        (run((f"x.py::{BAD}", "failed"), text=SAYS, status=None), f"no end within {LIMIT_S:g} s"),
        (run((f"x.py::{BAD}", "failed"), text=SAYS, output="INTERNALERROR> x"), "INTERNALERROR> x"),
    ],
)
def test_whatever_is_not_as_a_tests_name_says_is_told(done: Run, problem: str) -> None:
    problems = list(unexpected(done, {BAD}))
    assert len(problems) == bool(problem)
    assert problem in "".join(problems)


def test_a_test_that_is_to_run_twice_has_to() -> None:
    once = run(("x.py::test_good_passes[1]", "passed"))
    assert list(unexpected(once, {"test_good_passes"}, copies=2)) == [
        "test_good_passes ran 1 times, not 2"
    ]


def test_a_test_that_ended_differently_or_did_not_run_is_a_difference() -> None:
    without = run(("a", "passed"), ("b", "passed"), ("c", "failed"))
    beside = run(("a", "passed"), ("c", "error"), ("d", "passed"))
    assert differences(without, beside) == {
        "b": ("passed", "not run"), "c": ("failed", "error"), "d": ("not run", "passed"),
    }  # fmt: skip


@pytest.mark.parametrize("suite", sorted(path.name for path in SUITES.iterdir() if path.is_file()))
def test_each_test_of_a_suite_says_how_it_ends(suite: str) -> None:
    names = re.findall(r"def (test_\w+)", SUITES.joinpath(suite).read_text())
    assert names
    for name in names:
        assert name.endswith(tuple(ENDINGS)), name
    assert suite == CHECKS or any(suite in neighbour.suites for neighbour in NEIGHBOURS)


def test_the_table_tells_each_difference() -> None:
    row = Row("pytest-x", "1.2", "same", "differs", ["-n 2: it hangs"], "only alone", failed=True)
    text = as_markdown([row], "Python 3")
    assert "| pytest-x | 1.2 | same | differs | only alone |" in text
    assert "- -n 2: it hangs" in text
