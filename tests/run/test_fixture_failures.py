"""A test, or a fixture, that fails where it uses a failed check shows that check first."""

import re
from collections.abc import Sequence

import pytest
from lxml import etree
from support.json_report import read
from support.machines.sshd import SSHServer
from support.suites import RERUNS, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

REPORT = (
    "import json\nreport = background_check('echo no json; echo oh >&2; exit 3')\n"
    "other = background_check('exit 4')\n"
)
DATA = "@pytest.fixture\ndef data(report): return json.loads(report.stdout)\n"
FAILED = "background check 'report' on local failed: rc 3 after "


def failures(result: pytest.RunResult) -> dict[str, str]:
    """Return what is shown of each test that failed, by the title: "test_x", "ERROR at ..."."""
    parts = re.split(r"^_{3,} (.+?) _{3,}$|^={3,} .+ ={3,}$", result.stdout.str(), flags=re.M)
    shown = {}
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        if title is not None:
            text = re.sub(r"^\[gw\d\].*\n", "", text.strip("\n"))  # by xdist
            shown[title.replace("[local]", "")] = text
    return shown


def assert_first(text: str, phase: str = "the set-up of this test") -> None:
    """Assert that a failure tells first of the check, then of its own error."""
    lines = text.splitlines()
    assert lines[0].startswith(FAILED), text
    assert lines[1] == "  command: echo no json; echo oh >&2; exit 3"
    assert "    oh" in lines
    between = lines.index(f"{phase} used that check's result, and failed:")
    assert any("JSONDecodeError: Expecting value" in line for line in lines[between:])
    assert not any("JSONDecodeError" in line for line in lines[:between])
    assert text.count(FAILED) == 1


def test_a_failed_set_up_shows_the_check_that_it_has_used(pytester: pytest.Pytester) -> None:
    result = run(
        pytester, "--bgcheck-report=r.json", "-rA",
        test_it=REPORT + DATA + "def test_it(data): pass\n",
    )  # fmt: skip
    result.assert_outcomes(errors=1)
    assert result.ret == 1
    assert_first(failures(result)["ERROR at setup of test_it"])
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_it* - background check 'report' on *"])
    result.stdout.no_fnmatch_line("*was judged by no test*")
    (job,) = read(pytester)["jobs"]
    assert job["judged"]
    assert [w["test"] for w in job["awaited_by"]] == ["test_it.py::test_it[local]"]
    (cause,) = read(pytester)["run"]["causes"]
    assert cause == "1 test failed: test_it.py::test_it[local]"


def test_each_test_that_a_fixture_of_a_module_fails_shows_the_check(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester, "--bgcheck-report=r.json",
        test_it=REPORT + DATA.replace("fixture", "fixture(scope='module')")
        + "def test_1(data): pass\ndef test_2(data): pass\ndef test_3(): assert 0\n",
    )  # fmt: skip
    result.assert_outcomes(errors=2, failed=1)
    shown = failures(result)
    for name in ("test_1", "test_2"):
        assert_first(shown[f"ERROR at setup of {name}"])
    assert FAILED not in shown["test_3"]
    (job,) = read(pytester)["jobs"]
    assert len(job["awaited_by"]) == 2


@pytest.mark.parametrize(
    "fixtures",
    [
        "@pytest.fixture(autouse=True)\ndef data(request):\n"
        "    json.loads(request.getfixturevalue('report').result().stdout)\n",
        "@pytest.fixture(scope='session')\ndef job(bgcheck):\n"
        "    return bgcheck.start('echo no json; echo oh >&2; exit 3', name='report')\n"
        "@pytest.fixture\ndef text(job): return job.stdout\n"
        "@pytest.fixture(autouse=True)\ndef data(text): json.loads(text)\n",
        "@pytest.fixture(autouse=True)\ndef data(report, bgcheck):\n"
        "    json.loads(bgcheck['report'].stdout_kept.text())\n",
        "@pytest.fixture\ndef by_call(request):\n"
        "    start = request.getfixturevalue('bgcheck').start\n"
        "    return start('echo no json; echo oh >&2; exit 3', name='report')\n"
        "@pytest.fixture(autouse=True)\ndef data(request):\n"
        "    json.loads(request.getfixturevalue('by_call').stdout)\n",
        "@pytest.fixture(autouse=True)\ndef data(report):\n"
        "    if report.failed: raise RuntimeError('JSONDecodeError: Expecting value')\n",
    ],
    ids=["getfixturevalue", "through_another", "found", "late_session", "verdict"],
)  # fmt: skip
def test_however_a_fixture_has_got_the_job(pytester: pytest.Pytester, fixtures: str) -> None:
    result = run(pytester, test_it=REPORT + fixtures + "def test_it(host): pass\n")
    result.assert_outcomes(errors=1)
    assert_first(failures(result)["ERROR at setup of test_it"])


def test_a_body_and_a_teardown_that_use_a_check_show_it_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=REPORT + "@pytest.fixture\ndef text(report): return report.stdout\n"
        "@pytest.fixture\ndef late(report):\n    yield\n    json.loads(report.stdout)\n"
        "@pytest.fixture(scope='module')\ndef very_late(text_of_module):\n    yield\n"
        "    json.loads(text_of_module)\n"
        "@pytest.fixture(scope='module')\ndef text_of_module(report): return report.stdout\n"
        "def test_body(report): json.loads(report.stdout)\n"
        "def test_text(text): json.loads(text)\n"
        "def test_late(late): pass\n"
        "def test_first(very_late): pass\n"
        "def test_last(): pass\n",
        test_case="import json, unittest\n"
        "report = background_check('echo no json; echo oh >&2; exit 3', host='local://')\n"
        "class TestCase(unittest.TestCase):\n"
        "    @pytest.fixture(autouse=True)\n"
        "    def has(self, report): self.report = report\n"
        "    def test_unittest(self): json.loads(self.report.stdout)\n",
    )
    result.assert_outcomes(failed=3, errors=2, passed=3)
    shown = failures(result)
    for name in ("test_body", "test_text", "TestCase.test_unittest"):
        assert_first(shown[name], "this test")
    for name in ("test_late", "test_last"):
        assert_first(shown[f"ERROR at teardown of {name}"], "the teardown of this test")


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
@pytest.mark.parametrize("style", ["long", "short", "native", "line", "no"])
def test_every_style_of_traceback_shows_it(
    pytester: pytest.Pytester, args: Sequence[str], style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    suite = REPORT + DATA + "def test_it(data): pass\ndef test_b(report): json.loads(report.stdout)"
    result = run(pytester, f"--tb={style}", *args, test_it=suite)
    result.assert_outcomes(errors=1, failed=1)
    if style in ("long", "short", "native"):
        shown = failures(result)
        assert_first(shown["ERROR at setup of test_it"])
        assert_first(shown["test_b"], "this test")
    elif style == "line":
        result.stdout.re_match_lines([rf".*\.py:\d+: {FAILED}.*; then .*JSONDecodeError: .*"])
    for word in ("ERROR", "FAILED"):
        result.stdout.re_match_lines(
            [rf"{word} test_it.py::test_.* - {FAILED}.*; then .*JSONDec.*"]
        )


def test_junit_and_github_name_the_check(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    suite = REPORT + DATA + "def test_it(data): pass\n"
    result = run(pytester, "--junitxml=j.xml", test_it=suite)
    (case,) = etree.parse(pytester.path / "j.xml").getroot().iter("testcase")
    (error,) = case.iter("error")
    assert error.get("message").startswith(f'failed on setup with "{FAILED}')
    assert error.text.startswith(FAILED)
    assert "JSONDecodeError" in error.text
    facts = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert facts["bgcheck.1.check"] == "report"
    assert facts["bgcheck.1.rc"] == "3"
    (line,) = (line for line in result.outlines if line.startswith("::error"))
    assert line.startswith("::error title=background check report on local::failed: rc 3")
    assert line.endswith("awaited by: test_it.py::test_it[local]")


def test_the_exception_stays_that_of_the_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "-rx",
        conftest="@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n"
        "    report = yield\n"
        "    if report.when == 'setup':\n"
        "        print('SEEN', call.excinfo.typename, report.longreprtext.splitlines()[0])\n"
        "    return report\n",
        test_it=REPORT + DATA + "@pytest.mark.xfail(raises=json.JSONDecodeError)\n"
        "def test_expected(data): pass\n"
        "@pytest.mark.xfail(raises=OSError)\ndef test_other(data): pass\n"
        "@pytest.fixture\ndef skips(report):\n"
        "    if report.rc: pytest.skip('no report')\n"
        "def test_skipped(skips): pass\n",
    )
    result.assert_outcomes(xfailed=1, errors=1, skipped=1)
    assert_first(failures(result)["ERROR at setup of test_other"])
    assert result.stdout.str().count(f"SEEN JSONDecodeError {FAILED}") >= 2


def test_a_chain_of_exceptions_stays_whole(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=REPORT + "@pytest.fixture\ndef data(report):\n"
        "    try: json.loads(report.stdout)\n"
        "    except ValueError as error: raise RuntimeError('no report') from error\n"
        "def test_it(data): pass\n",
    )
    text = failures(result)["ERROR at setup of test_it"]
    assert_first(text)
    assert "The above exception was the direct cause of the following exception:" in text
    assert text.index("JSONDecodeError: Exp") < text.index("RuntimeError: no report")


def test_only_what_may_be_the_reason_is_shown(pytester: pytest.Pytester) -> None:
    """Not what a mark accepts, a fixture has judged, still runs, succeeded or was not read."""
    result = run(
        pytester,
        test_it=REPORT + "good = background_check('echo no json')\n"
        "slow = background_check('sleep 60', unawaited='ignore')\n"
        "@pytest.mark.bgcheck('report', rc=3)\ndef test_accepted(report):\n"
        "    json.loads(report.stdout)\n"
        "@pytest.fixture(scope='module')\ndef judged(report): return report.rc or report.stdout\n"
        "def test_judged(judged): assert 0\n"
        "def test_good(good): json.loads(good.stdout)\n"
        "def test_slow(slow): slow.result(timeout=0.1)\n"
        "def test_unread(other):\n    while not other.done(): pass\n    assert 0\n"
        "@pytest.fixture\ndef read(other): return other.stdout\n"
        "@pytest.mark.bgcheck('other')\ndef test_awaited(read): pass\n",
    )
    shown = failures(result)
    awaited = shown.pop("test_awaited")
    assert awaited.count("background check 'other' on local failed: rc 4") == 1
    assert "used that check's result" not in awaited
    assert set(shown) == {"test_accepted", "test_judged", "test_good", "test_slow", "test_unread"}
    for text in shown.values():
        assert "failed: rc" not in text
        assert "used that check's result" not in text


def test_two_checks_that_a_fixture_has_used_are_both_shown(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=REPORT + "@pytest.fixture\ndef data(report, other):\n"
        "    return json.loads(report.stdout + other.stdout)\n"
        "def test_it(data): pass\n",
    )
    lines = failures(result)["ERROR at setup of test_it"].splitlines()
    assert lines[0].startswith(FAILED)
    assert any(line.startswith("background check 'other' on local failed: rc 4") for line in lines)
    assert "the set-up of this test used the results of these checks, and failed:" in lines


def test_a_job_without_output_is_the_reason_for_output_cut(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="gone = background_check('true', host='docker://no_such_container_here')\n"
        "@pytest.fixture\ndef data(gone): return gone.stdout.splitlines()[0]\n"
        "def test_it(data): pass\n",
    )
    result.assert_outcomes(errors=1)
    text = failures(result)["ERROR at setup of test_it"]
    assert text.startswith("background check 'gone' on docker://no_such_container_here not started")
    assert "IndexError" in text or "OutputCut" in text


def test_a_rerun_tells_of_its_own_failure(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    result = run(
        pytester, RERUNS, "--reruns=1", "--junitxml=j.xml",
        test_it=REPORT + "runs = []\n"
        "@pytest.fixture\ndef data(report, other):\n"
        "    runs.append(1)\n"
        "    return json.loads((report if len(runs) == 1 else other).stdout)\n"
        "def test_it(data): pass\n",
    )  # fmt: skip
    text = failures(result)["ERROR at setup of test_it"]
    assert text.startswith("background check 'other' on local failed: rc 4")
    assert FAILED not in text
    *_, case = etree.parse(pytester.path / "j.xml").getroot().iter("testcase")
    facts = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert facts["bgcheck.1.check"] == "other"
    assert "bgcheck.2.check" not in facts


def test_an_item_of_a_plugin_shows_it_before_what_it_says_itself(
    pytester: pytest.Pytester,
) -> None:
    pytester.path.joinpath("a.own").touch()
    result = run(
        pytester,
        conftest="def pytest_collect_file(file_path, parent):\n"
        "    if file_path.suffix == '.own': return File.from_parent(parent, path=file_path)\n"
        "class File(pytest.File):\n"
        "    def collect(self): yield Item.from_parent(self, name='own')\n"
        "class Item(pytest.Item):\n"
        "    def runtest(self): job['it'].stdout; raise ValueError('x')\n"
        "    def repr_failure(self, excinfo): return 'JSONDecodeError: Expecting value'\n"
        "job = {}\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_collection_modifyitems(items):\n"
        "    items.sort(key=lambda item: item.name == 'own')\n"
        "@pytest.fixture(scope='session', autouse=True)\ndef start(bgcheck):\n"
        "    job['it'] = bgcheck.start('echo no json; echo oh >&2; exit 3', name='report')\n",
        test_it="def test_it(): pass\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    assert_first(failures(result)["test session"], "this test")


def test_over_ssh(pytester: pytest.Pytester, ssh_server: SSHServer) -> None:
    result = run(
        pytester, "--hosts=ssh://target", f"--ssh-config={ssh_server.client_config}", "-n1",
        test_it=REPORT + DATA + "def test_it(data): pass\n",
    )  # fmt: skip
    result.assert_outcomes(errors=1)
    (text,) = failures(result).values()
    assert_first(text.replace("ssh://target", "local"))


@pytest.mark.parametrize("options", [[], ["-n2"]])
def test_a_failed_fixture_of_a_conftest_shows_none_of_our_source(
    pytester: pytest.Pytester, options: list[str]
) -> None:
    pytester.makeconftest(
        "import pytest\n"
        "@pytest.fixture\ndef broken(): raise OSError('no host')\n"
        "@pytest.fixture\ndef broken_end():\n    yield\n    raise OSError('no host')\n"
    )
    result = run(
        pytester, *options,
        test_it=REPORT + "@pytest.mark.bgcheck('report', rc=3)\ndef test_it(): pass\n"
        "def test_broken(broken): pass\ndef test_broken_end(broken_end): pass\n",
    )  # fmt: skip
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["E * OSError: no host"])
    assert "pytest_bgcheck/" not in result.stdout.str()
