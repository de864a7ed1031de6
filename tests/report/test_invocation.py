"""What the reports say of how pytest was called."""

import pytest

from pytest_bgcheck.report.invocation import ci_job_url, shown_command_line


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["-k", "a or b"], "pytest -k 'a or b'"),
        (["--db-password=secret"], "pytest '--db-password=***'"),
        (["--db-password", "secret", "tests"], "pytest --db-password '***' tests"),
        (["--db-password", "-q"], "pytest --db-password -q"),
        (["-o", "api_token=secret"], "pytest -o 'api_token=***'"),
        (["--API-KEY=a\nb"], "pytest '--API-KEY=***'"),
        (["--hosts=ssh://me:secret@web1,ssh://me@web2"],
         "pytest '--hosts=ssh://me:***@web1,ssh://me@web2'"),
        (["--hosts=ssh://me:sec@ret@web1,ssh://you:secret@web2"],
         "pytest '--hosts=ssh://me:***@web1,ssh://you:***@web2'"),
        (["--db-pass", "secret", "--pwd=secret"], "pytest --db-pass '***' '--pwd=***'"),
        (["--override-ini=api_token=secret"], "pytest '--override-ini=api_token=***'"),
        (["--env=DB_PASSWORD=secret"], "pytest '--env=DB_PASSWORD=***'"),
        (["-e", "user=me db_password='sec ret' port=1"],
         "pytest -e 'user=me db_password=*** port=1'"),
        (["https://api.example/?access_token=secret&page=2"],
         "pytest 'https://api.example/?access_token=***&page=2'"),
        (['{"password": "sec ret", "port": 1}'], """pytest '{"password": ***, "port": 1}'"""),
        (["--header", "Authorization: Bearer secret"],
         "pytest --header 'Authorization: ***'"),
        (["tests/test_token.py::test_token[a-b]", "--bypass", "x"],
         "pytest 'tests/test_token.py::test_token[a-b]' --bypass x"),
        (["--keep-duplicates", "x"], "pytest --keep-duplicates x"),
    ],
)  # fmt: skip
def test_a_command_line_is_shown_without_what_may_be_secret(given: list[str], shown: str) -> None:
    assert shown_command_line("pytest", given) == shown


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, ""),
        ({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r"}, ""),
        ({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r",
          "GITHUB_RUN_ID": "7"}, "https://github.com/o/r/actions/runs/7"),
        ({"CI_JOB_URL": "https://gitlab.example/o/r/-/jobs/7"},
         "https://gitlab.example/o/r/-/jobs/7"),
        ({"BUILD_URL": "https://ci.example/job/a%20b/7/"}, "https://ci.example/job/a%20b/7/"),
        ({"SYSTEM_COLLECTIONURI": "https://dev.azure.com/o/", "SYSTEM_TEAMPROJECT": "a b",
          "BUILD_BUILDID": "7"}, "https://dev.azure.com/o/a%20b/_build/results?buildId=7"),
        ({"BUILD_URL": "https://me:secret@ci.example/7"}, "https://ci.example/7"),
        ({"BUILD_URL": "javascript:alert(1)"}, ""),
        ({"BUILD_URL": "https://ci.example/\udcff"}, "https://ci.example/?"),
        ({"BUILD_URL": "https://ci.example/7\"><script>"},
         "https://ci.example/7%22%3E%3Cscript%3E"),
    ],
)  # fmt: skip
def test_the_ci_job_is_known_by_the_usual_variables(environment: dict[str, str], url: str) -> None:
    assert ci_job_url(environment) == url
