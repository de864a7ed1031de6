"""What a test's own report says of its checks, and that all reports of a run say the same."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from support.json_report import read
from support.suites import run

from pytest_bgcheck.report.probe_text import floored
from pytest_bgcheck.report.words import count, duration

SUITE = (
    "import os, time\n"
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
    assert len(names) == 6


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


SERVICES = """
d = background_check('exit 5')
web = background_service('sleep 60', ready='sleep 0.2')
mail = background_service(
    'echo up; until [ -e die ]; do sleep 0.05; done; exit 7', ready_output='up', cwd={cwd!r}
)
early = background_service('echo no >&2; exit 6', ready='false')
gone = background_service('exit 8', ready='false')

def test_d(d): d.stdout

@pytest.mark.bgcheck
def test_web(web): pass

@pytest.mark.bgcheck
def test_mail(mail):
    open('die', 'w').close()
    while not mail.done(): time.sleep(0.01)

@pytest.mark.bgcheck
def test_early(early): pass

def test_gone(gone): gone.name
"""

PROBES = """
DIR = {cwd!r}
vip = background_probe('[ ! -e down ] || {{ echo no; : >saw; exit 7; }}', every=0.2, cwd=DIR)
blind = background_probe('[ ! -e first ] || exit 127; : >first', every=0.2, cwd=DIR)

@pytest.mark.bgcheck('vip', max_outage=60)
def test_within(): time.sleep(0.5)

@pytest.mark.bgcheck('vip', max_outage=0.01, min_available=99.9)
def test_beyond():
    open('down', 'w').close()
    while not os.path.exists('saw'): time.sleep(0.01)
    time.sleep(0.5)
    os.unlink('down')

@pytest.mark.bgcheck('blind')
def test_blind(): time.sleep(0.3)
"""


@pytest.mark.parametrize("args", [[], ["-n4"]], ids=["alone", "workers"])
def test_all_reports_of_a_run_have_the_same_numbers_and_causes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    files = ["--junitxml=j.xml", "--bgcheck-report=r.json", "--bgcheck-report=r.html"]
    others = (SERVICES + PROBES).format(cwd=str(pytester.path))
    result = run(pytester, *files, *args, test_it=SUITE + others)
    result.assert_outcomes(passed=11, failed=6, skipped=1)
    document = read(pytester)
    jobs, told = document["jobs"], document["summary"]

    numbers = [told[kind] for kind in ("jobs", "services", "probes", "hosts")]
    assert numbers == [10, 4, 2, 1]
    checks = [job for job in jobs if job["kind"] == "check"]
    assert told["checks_s"] == pytest.approx(sum(job["duration_s"] for job in checks), abs=0.002)
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
    lives = [job["probe"]["seen"] for job in jobs if job["kind"] == "probe"]
    outages = [outage for life in lives for outage in life["outages"]]
    assert line.startswith(
        "4 background checks, 4 services and 2 probes on 1 host, 6 did not succeed:"
        f" {duration(told['checks_s'])} of checks in a run of {duration(told['wall_s'])};"
        f" tests waited {duration(told['waited_s'])};"
        f" 2 probes saw {_outages(outages)}"
        f" ({duration(sum(life['unproven_s'] for life in lives))} not proven); critical path: "
    )
    page = pytester.path.joinpath("r.html").read_text("utf-8")
    assert f'<p class="lead">{html.escape(line)}</p>' in page
    github = pytester.path.joinpath("summary.md").read_text("utf-8").replace("\\", "")
    assert line in github

    # Each job that did not succeed, and no other.
    states = {job["name"]: job["state"] for job in jobs}
    assert states == {
        "a": "succeeded", "b": "failed", "c": "failed", "d": "failed",
        "web": "stopped", "mail": "died", "early": "not ready", "gone": "not ready",
        "vip": "stopped", "blind": "stopped",
    }  # fmt: skip
    named = dict(re.findall(r"^::error title=background (\w+ \w+) on local::(.+)%0Acommand",
                            result.stdout.str(), re.M))  # fmt: skip
    for job in jobs:
        bad = job["state"] not in ("succeeded", "stopped")
        assert (job["id"] in told["did_not_succeed"]) == bad
        of, took = f"{job['kind']} {job['name']}", job["duration_s"]
        name = job["name"] + (f" ({job['kind']})" if job["kind"] != "check" else "")
        facts = [name, "local", job["state"], str(job["rc"]), *([duration(took)] if took else [])]
        row = r"\s+".join(map(re.escape, facts))
        assert bool(re.search(f"^{row} ", result.stdout.str(), re.M)) == bad
        assert bool(re.search(row.replace(r"\s+", r" \| "), github)) == bad
        assert (of in named) == (bad or job["kind"] == "probe")
        link = r"</a>(?: <small>(?:service|probe)</small>)?</th><td>local"
        cell = f'>{job["name"]}{link}<td class="{"bad" if bad else "ok"}">{job["state"]}'
        assert re.search(cell, page)
        assert not bad or f'data-v="{took}">{duration(took)}<' in page

    # What made the run red.
    assert document["run"]["exit_status"] == result.ret == 1
    tests, job_d, service = document["run"]["causes"]
    assert tests.startswith("6 tests failed: ")
    found = cases(pytester.path / "j.xml")
    assert len([case for case in found.values() if case.find("failure") is not None]) == 6
    assert "'d' on local was judged by no test (failed, rc 5)" in job_d
    assert service.startswith("background service 'gone' on local not ready: rc 8 after ")
    for cause in (job_d, service):
        assert cause in result.outlines
        assert cause in github
    assert [f"<li>{line}<" in html.unescape(page) for line in document["run"]["causes"]] == [
        True
    ] * 3
    by_id = {job["id"]: job["name"] for job in jobs}
    assert [by_id[id] for id in told["unjudged"]] == ["d"]
    assert [by_id[id] for id in told["unjudged_services"]] == ["gone"]
    assert {job["name"] for job in jobs if not job["judged"]} == {"d", "web", "gone"}
    _have_the_same_windows(pytester, result, document, named)

    # Each test's properties.
    schema(testcase_properties=True).assertValid(etree.parse(pytester.path / "j.xml"))
    told_by_tests = set()
    for case in found.values():
        facts_of = properties(case)
        for n in range(1, 1 + sum(name.endswith(".host") for name in facts_of)):
            fact = {k.removeprefix(f"bgcheck.{n}."): v for k, v in facts_of.items()}
            (kind,) = {"check", "service", "probe"}.intersection(fact)
            told_by_tests.add((case.get("name"), kind, fact[kind], *(fact[k] for k in FACTS)))
    expected = set()
    for job in jobs:
        became = job["state"], str(job["rc"]), f"{job['duration_s'] or 0:.3f}"
        if job["state"] == "stopped":
            # When the test had waited for it.
            became = "ready" if job["kind"] == "service" else "running", "", ""
        for wait in job["awaited_by"]:
            place = wait["test"].split("::")[1], job["kind"], job["name"], job["host"]
            expected.add((*place, *became, f"{wait['waited_s']:.3f}"))
    assert told_by_tests == expected


def _have_the_same_windows(
    pytester: pytest.Pytester, result: pytest.RunResult, document: Any, named: dict[str, str]
) -> None:
    """Hold what all reports say of what the probes saw against the JSON."""
    found = cases(pytester.path / "j.xml")
    page = html.unescape(pytester.path.joinpath("r.html").read_text("utf-8"))
    github = pytester.path.joinpath("summary.md").read_text("utf-8").replace("\\", "")
    probes = {job["name"]: job for job in document["jobs"] if job["kind"] == "probe"}
    verdicts = {}
    for job in probes.values():
        for window in job["windows"]:
            name, seen = window["test"].split("::")[1], window["seen"]
            verdicts[name.split("[")[0]] = window["verdict"]
            facts = properties(found[name.split("[")[0]])
            known = seen["max_outage_s"] is not None
            assert {word: facts[f"bgcheck.1.{word}"] for word in WINDOW_FACTS} == {
                "window": f"{seen['length_s']:.3f}",
                "samples": str(seen["samples"]),
                "bad": str(seen["bad"]),
                "max_outage": f"{seen['max_outage_s']:.3f}" if known else "",
                "available": f"{floored(seen['available'], 3):.3f}" if known else "",
                "not_proven": window["not_proven"],
            }
            text = f"{window['verdict']}: {window['not_proven']}"
            if window["verdict"] == "beyond limits":
                longest = duration(max(outage["length_s"] for outage in seen["outages"]))
                text = f"beyond limits: down for {longest} (allowed: 0.01 s), available "
            if window["verdict"] != "within limits":
                assert named[f"probe {job['name']}"].startswith(text.replace("%", "%25"))
            assert f'title="{window["test"]}{_on(window["worker"])}: {text}' in page or (
                window["verdict"] == "within limits"
            )
        life = job["probe"]["seen"]
        start = f"background probe '{job['name']}' on local in the whole run: "
        (line,) = (line for line in result.outlines if line.startswith(start))
        assert line in github
        rest = line.removeprefix(start)
        assert f" in {count(life['samples'], 'sample')}" in rest
        assert rest.startswith(_outages(life["outages"]).split(",")[0].split(" of ")[0])
    assert verdicts == {
        "test_within": "within limits", "test_beyond": "beyond limits", "test_blind": "not proven"
    }  # fmt: skip


def _outages(outages: list[dict[str, float]]) -> str:
    longest = duration(max((outage["length_s"] for outage in outages), default=0))
    if len(outages) < 2:
        return f"1 outage of {longest}" if outages else "no outage"
    return f"{len(outages)} outages, the longest {longest}"


def _on(worker: str) -> str:
    return f" on {worker}" if worker else ""


WINDOW_FACTS = ("window", "samples", "bad", "max_outage", "available", "not_proven")
FACTS = ("host", "state", "rc", "duration", "waited")
