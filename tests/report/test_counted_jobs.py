"""The words that all texts for people are made of."""

import pytest

from pytest_bgcheck.report.words import count_jobs, run_title


@pytest.mark.parametrize(
    ("kinds", "title", "counted"),
    [
        ({}, "background checks", "0 background checks"),
        ({"check": 1}, "background checks", "1 background check"),
        ({"service": 2}, "background services", "2 background services"),
        ({"probe": 1}, "background probes", "1 background probe"),
        (
            {"probe": 1, "check": 3}, "background checks and probes",
            "3 background checks and 1 probe",
        ),
        (
            {"probe": 2, "service": 1, "check": 3}, "background checks, services and probes",
            "3 background checks, 1 service and 2 probes",
        ),
    ],
)  # fmt: skip
def test_jobs_are_counted_by_their_kinds(kinds: dict[str, int], title: str, counted: str) -> None:
    assert (run_title(kinds), count_jobs(kinds)) == (title, counted)
