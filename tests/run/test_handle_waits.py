"""A test that waits for a job through its handle has waited, as one that awaits it by mark."""

import re
from collections.abc import Sequence

import pytest
from lxml import etree
from support.json_report import read
from support.machines.sshd import SSHServer
from support.pseudo_terminal import run_on_tty
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

SUITE = (
    "a = background_check('sleep 1; echo a')\nb = background_check('sleep 1.5')\n"
    "c = background_check('sleep 2; exit 3')\n"
    "@pytest.fixture(scope='module')\ndef text(a): return a.stdout\n"
    "def test_fixture(text): assert text == 'a\\n'\n"
    "def test_body(b): assert b.rc == 0\n"
    "def test_impatient(c):\n"
    "    with pytest.raises(TimeoutError): c.result(timeout=0.2)\n"
    "def test_verdict(c): assert c.failed\n"
    "def test_ready(a, b): assert a.result().succeeded and b.attempts == 1\n"
)


@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "workers"])
def test_such_waits_are_in_all_reports(pytester: pytest.Pytester, args: Sequence[str]) -> None:
    result = run(pytester, "--bgcheck-report=r.json", "--junitxml=j.xml", *args, test_it=SUITE)
    result.assert_outcomes(passed=5)
    document = read(pytester)
    jobs = {job["name"]: job for job in document["jobs"]}
    waits = {
        wait["test"].removeprefix("test_it.py::").removesuffix("[local]"): wait["waited_s"]
        for job in document["jobs"]
        for wait in job["awaited_by"]
    }
    assert set(waits) == {"test_fixture", "test_body", "test_impatient", "test_verdict"}
    assert all(seconds > 0.05 for seconds in waits.values())
    assert [len(jobs[name]["awaited_by"]) for name in "abc"] == [1, 1, 2]
    # All are one after the other.
    assert document["summary"]["waited_s"] == pytest.approx(sum(waits.values()), abs=0.01)
    (line,) = (line for line in result.outlines if "; tests waited " in line)
    assert "tests waited 0 s" not in line
    cases = etree.parse(pytester.path / "j.xml").getroot().iter("testcase")
    told = {
        case.get("name").partition("[")[0]: {
            p.get("name"): p.get("value") for p in case.iter("property")
        }
        for case in cases
    }
    for test, seconds in waits.items():
        assert float(told[test]["bgcheck.1.waited"]) == pytest.approx(seconds, abs=0.01)
    assert told["test_ready"] == {}


def test_output_that_was_waited_for_is_no_verdict(pytester: pytest.Pytester) -> None:
    result = run(
        pytester, "--bgcheck-report=r.json",
        test_it="c = background_check('sleep 0.7; exit 3')\ndef test(c): c.stdout\n",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    (job,) = read(pytester)["jobs"]
    assert not job["judged"]
    assert len(job["awaited_by"]) == 1
    result.stdout.fnmatch_lines(["background check 'c' on local was judged by no test (failed,*"])


def test_the_wait_of_a_fixture_counts_beside_that_of_the_mark(pytester: pytest.Pytester) -> None:
    run(
        pytester, "--junitxml=j.xml",
        test_it="c = background_check('sleep 1')\n"
        "@pytest.fixture\ndef text(c): return c.stdout\n"
        "@pytest.mark.bgcheck('c')\ndef test(text): pass\n",
    )  # fmt: skip
    (case,) = etree.parse(pytester.path / "j.xml").getroot().iter("testcase")
    facts = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert float(facts["bgcheck.1.waited"]) > 0.1
    assert "bgcheck.2.waited" not in facts


def test_threads_of_a_test_that_wait_at_once_wait_once(pytester: pytest.Pytester) -> None:
    result = run(
        pytester, "--bgcheck-report=r.json",
        test_it="from concurrent.futures import ThreadPoolExecutor\n"
        "a = background_check('sleep 1')\nb = background_check('sleep 2')\n"
        "def test(a, b):\n"
        "    with ThreadPoolExecutor() as pool:\n"
        "        assert [*pool.map(lambda job: job.rc, [a, b])] == [0, 0]\n",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    document = read(pytester)
    waited = [job["awaited_by"][0]["waited_s"] for job in document["jobs"]]
    assert waited[1] - waited[0] > 0.2
    assert document["summary"]["waited_s"] == pytest.approx(waited[1], abs=0.2)


def test_the_live_line_is_shown_and_a_tests_own_streams_stay(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEAD + "import contextlib, io\n"
        "c = background_check('sleep 2; echo it')\n"
        "@pytest.fixture\ndef text(c, capsys):\n"
        "    own = io.StringIO()\n"
        "    with contextlib.redirect_stdout(own):\n"
        "        print(c.stdout, end='')\n"
        "    return own.getvalue()\n"
        "def test_it(text, capsys):\n"
        "    assert text == 'it\\n'\n"
        "    print('captured')\n"
        "    assert capsys.readouterr().out == 'captured\\n'\n"
    )
    shown = run_on_tty(pytester.path, "-p", "no:randomly", columns=100)
    assert shown.rc == 0, shown.final
    lines = {line for screen in shown.screens for line in screen}
    assert any(re.search(r"\bc on local: .* of 360 s; test_it", line) for line in lines)
    assert not any(" of 360 s" in line for line in shown.final)


def test_over_ssh(pytester: pytest.Pytester, ssh_server: SSHServer) -> None:
    result = run(
        pytester, "--hosts=ssh://target", f"--ssh-config={ssh_server.client_config}",
        "--bgcheck-report=r.json", "-n1",
        test_it="c = background_check('sleep 1; echo it')\n"
        "@pytest.fixture\ndef text(c): return c.stdout\n"
        "def test_it(text, c): assert text == 'it\\n' and c.succeeded and c.attempts == 1\n",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    (job,) = read(pytester)["jobs"]
    assert job["judged"]
    assert job["awaited_by"][0]["waited_s"] > 0.05
