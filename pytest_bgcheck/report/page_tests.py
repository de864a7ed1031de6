"""The tests of the page, as it shows them. Pure; imports only the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .document import Document, TestPart, span_of
from .figures import merged
from .page_jobs import JobView
from .page_probes import worst_look
from .probe_parts import WindowPart
from .states import GOOD, WINDOW_LOOKS, Look, Seen
from .words import duration, printable

MOST_FAILED_TESTS = 500
MOST_OTHER_TESTS = 500
"""The most rows of the two tables of tests."""

LONGEST_MESSAGE = 300

KINDS = {"passed": "ok", "failed": "bad"}
"""By what class the page's style colours a test's outcome."""


@dataclass(frozen=True)
class TestView:
    """A test as the page shows it; ``jobs`` are those that it awaited or requested, each with
    its look; of a probe that of the worst window of this test, if there was one."""

    __test__ = False

    name: str
    worker: str
    outcome: str
    kind: str
    took: str
    waited: str
    message: str
    jobs: Sequence[tuple[JobView, Look]]


@dataclass(frozen=True)
class TestsView:
    """The tests of the page: those that failed, then others that have to do with jobs.

    ``note`` says how many there were of each outcome, ``*_note`` how many are not in the tables.
    """

    __test__ = False

    note: str
    failed: Sequence[TestView]
    failed_note: str
    others: Sequence[TestView]
    others_note: str


def tests_view(document: Document, jobs: Sequence[JobView]) -> TestsView:
    """Return the page's tests; ``jobs``: those of the document, in its order."""
    by_test: dict[str, list[tuple[JobView, Look]]] = {}
    waits: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for part, job in zip(document["jobs"], jobs, strict=True):
        awaited = [wait["test"] for wait in part["awaited_by"]]
        windows: dict[str, list[WindowPart]] = {}
        for window in part["windows"]:
            windows.setdefault(window["test"], []).append(window)
        for test in dict.fromkeys([*awaited, *windows, *part["requested_by"]]):
            own = windows.get(test)
            look = job.look
            if own:
                look = worst_look(own)
            elif part["kind"] == "probe" and look == GOOD:
                # Nothing was asked of it in this test: that is no verdict.
                look = WINDOW_LOOKS[Seen.NO_LIMITS]
            by_test.setdefault(test, []).append((job, look))
        for wait in part["awaited_by"]:
            waits.setdefault((wait["worker"], wait["test"]), []).append(span_of(wait))

    def view(test: TestPart) -> TestView:
        own = merged(waits.get((test["worker"], test["test"]), ()))
        return TestView(
            name=printable(test["test"]),
            worker=test["worker"],
            outcome=test["outcome"],
            kind=KINDS.get(test["outcome"], "other"),
            took=duration(test["ended_at"] - test["started_at"]),
            waited=duration(sum(over - began for began, over in own)) if own else "–",
            message=printable(test["message"])[:LONGEST_MESSAGE],
            jobs=by_test.get(test["test"], []),
        )

    failed = [test for test in document["tests"] if test["outcome"] == "failed"]
    rest = [test for test in document["tests"] if test["outcome"] != "failed"]
    others = [test for test in rest if test["test"] in by_test]
    shown_failed, shown_others = failed[:MOST_FAILED_TESTS], others[:MOST_OTHER_TESTS]
    more_failed, more_others = len(failed) - len(shown_failed), len(rest) - len(shown_others)
    return TestsView(
        note=outcomes(document["summary"]["tests"]),
        failed=[view(test) for test in shown_failed],
        failed_note=f"and {more_failed} more that failed" if more_failed else "",
        others=[view(test) for test in shown_others],
        others_note=f"and {more_others} more, which did not fail" if more_others else "",
    )


def outcomes(tests: Mapping[str, int]) -> str:
    """Return how many tests had each outcome, what failed first."""
    order = ("failed", "unfinished", "passed", "skipped")
    return ", ".join(f"{tests[outcome]} {outcome}" for outcome in order if outcome in tests)
