"""What a test's own report says of its checks, and that all reports of a run say the same."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from support.json_report import read
from support.suites import run

from pytest_bgcheck.report.text import duration

SUITE = (
    "import time\n"
    'a = background_check(\'sleep 0.2; echo "]]> & "; printf "\\\\033[1m"\')\n'
    "b = background_check('sleep 1; seq 100; exit 3')\n"
    "c = background_check('sleep 1; echo short; exit 4')\n"
    "@pytest.mark.parametrize('n', range(6))\ndef test_ordinary(n): time.sleep(0.05)\n"
    "@pytest.mark.bgcheck\ndef test_a(a): pass\n"
    "@pytest.mark.bgcheck('a', 'b')\ndef test_ab(): pass\n"
    "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
    "@pytest.mark.skip\n@pytest.mark.bgcheck('c')\ndef test_skipped(): pass\n"
)


def cases(path: Path) -> dict[str, Any]:
    root = etree.parse(path).getroot()
    return {case.get("name").split("[")[0]: case for case in root.iter("testcase")}


def properties(case: Any) -> dict[str, str]:
    return {p.get("name"): p.get("value") for p in case.iter("property")}


def schema(testcase_properties: bool) -> Any:
    text = (Path(__file__).parents[1] / "support" / "jenkins-junit.xsd").read_text("utf-8")
    if testcase_properties:
        mark = "<!-- properties of a testcase -->"
        assert mark in text
        text = text.replace(mark, '<xs:element ref="properties"/>')
    return etree.XMLSchema(etree.fromstring(text.encode()))


@pytest.mark.parametrize("logging", ["no", "all"])
def test_a_junit_file_is_valid_to_jenkins(pytester: pytest.Pytester, logging: str) -> None:
    run(
        pytester, "--junitxml=j.xml", "-o", f"junit_logging={logging}",
        "-o", "bgcheck_junit_properties=false", test_it=SUITE,
    )  # fmt: skip
    schema(testcase_properties=False).assertValid(etree.parse(pytester.path / "j.xml"))


def test_a_junit_file_has_no_more_than_the_properties_of_tests_besides(
    pytester: pytest.Pytester,
) -> None:
    # As pytest's own record_property. Jenkins' junit plugin reads them, its xunit plugin does not.
    run(pytester, "--junitxml=j.xml", "-o", "junit_logging=all", test_it=SUITE)
    schema(testcase_properties=True).assertValid(etree.parse(pytester.path / "j.xml"))


@pytest.mark.parametrize(
    ("logging", "out"), [("no", False), ("system-out", True), ("system-err", False), ("all", True)]
)
def test_output_is_in_a_junit_file_as_its_logging_option_says(
    pytester: pytest.Pytester, logging: str, out: bool
) -> None:
    run(pytester, "--junitxml=j.xml", "-o", f"junit_logging={logging}", test_it=SUITE)
    text = cases(pytester.path / "j.xml")["test_a"].findtext("system-out") or ""
    assert ("]]> & \n\\x1b[1m" in text) == out


def test_a_rerun_tells_its_properties_once(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        "--junitxml=j.xml",
        conftest="from _pytest.runner import runtestprotocol\n"
        "def pytest_runtest_protocol(item, nextitem):\n"
        "    runtestprotocol(item, nextitem=nextitem, log=False)\n",
        test_it="a = background_check('true')\n@pytest.mark.bgcheck\ndef test_a(a): pass\n",
    )
    root = etree.parse(pytester.path / "j.xml").getroot()
    names = [p.get("name") for p in root.iter("property")]
    assert sorted(names) == sorted(set(names))
    assert len(names) == 7


def test_passed_tests_show_their_checks_output_on_request(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-rA", test_it=SUITE)
    result.stdout.fnmatch_lines(
        ["*= PASSES =*", "*_ test_a* _*", "*Captured stdout of a on local call*", "]]> & "]
    )


def test_a_failure_does_not_show_the_same_output_twice(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_it=SUITE)
    text = result.stdout.str()
    assert text.count("short\n") == 1
    assert "Captured stdout of c on local" not in text
    assert "Captured stdout of b on local" in text  # the failure has its last lines only


@pytest.mark.parametrize("args", [[], ["-n4"]], ids=["alone", "workers"])
def test_all_reports_of_a_run_have_the_same_numbers_and_causes(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    files = ["--junitxml=j.xml", "--bgcheck-report=r.json", "--bgcheck-report=r.html"]
    unjudged = "d = background_check('exit 5')\ndef test_d(d): d.stdout\n"
    result = run(pytester, *files, *args, test_it=SUITE + unjudged)
    result.assert_outcomes(passed=8, failed=2, skipped=1)
    document = read(pytester)
    jobs, told = document["jobs"], document["summary"]

    assert (told["jobs"], told["hosts"]) == (4, 1)
    assert told["checks_s"] == pytest.approx(sum(job["duration_s"] for job in jobs), abs=0.002)
    assert told["wall_s"] == pytest.approx(
        document["run"]["ended_at"] - document["run"]["started_at"], abs=0.002
    )
    waits: dict[str, list[float]] = {}
    for job in jobs:
        for wait in job["awaited_by"]:
            waits.setdefault(wait["test"], []).append(wait["waited_s"])
    assert told["waited_s"] == pytest.approx(sum(map(max, waits.values())), abs=0.005)

    # The terminal's line, and the page's.
    line = next(line for line in result.outlines if re.match(r"\d+ background checks", line))
    assert line.startswith(
        f"4 background checks on 1 host, 3 did not succeed: {duration(told['checks_s'])} of checks"
        f" in a run of {duration(told['wall_s'])}; tests waited {duration(told['waited_s'])};"
        " critical path: "
    )
    page = pytester.path.joinpath("r.html").read_text("utf-8")
    assert f'<p class="lead">{html.escape(line)}</p>' in page
    rows = [line.split() for line in result.outlines]
    for job in jobs:
        if job["state"] == "failed":
            took = duration(job["duration_s"])
            assert ["failed", str(job["rc"]), *took.split()] in [row[2:6] for row in rows]
            assert f'>{job["name"]}</a></th><td>local<td class="bad">failed' in page
            assert f'data-v="{job["duration_s"]}">{took}<' in page

    # What made the run red.
    assert document["run"]["exit_status"] == result.ret == 1
    tests, job_d = document["run"]["causes"]
    assert tests.startswith("2 tests failed: ")
    assert (
        len([c for c in cases(pytester.path / "j.xml").values() if c.find("failure") is not None])
        == 2
    )
    assert job_d in result.outlines
    assert "'d' on local was judged by no test (failed, rc 5)" in job_d
    assert [f"<li>{line}<" in html.unescape(page) for line in (tests, job_d)] == [True, True]
    assert [job["name"] for job in jobs if job["id"] in told["unjudged"]] == ["d"]
    assert [job["name"] for job in jobs if not job["judged"]] == ["d"]

    # Each test's properties.
    found = set()
    for case in cases(pytester.path / "j.xml").values():
        facts = properties(case)
        for n in range(1, 1 + len(facts) // 7):
            fact = {k.removeprefix(f"bgcheck.{n}."): v for k, v in facts.items()}
            found.add((case.get("name"), *(fact[k] for k in FACTS)))
    assert found == {
        (
            wait["test"].split("::")[1], job["kind"], job["name"], job["host"], job["state"],
            str(job["rc"]), f"{job['duration_s']:.3f}", f"{wait['waited_s']:.3f}",
        )
        for job in jobs for wait in job["awaited_by"]
    }  # fmt: skip


FACTS = ("kind", "name", "host", "state", "rc", "duration", "waited")
