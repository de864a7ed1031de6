"""Services under workers: one start in the whole run, whichever worker uses it, dies or ends it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.runs_in_background import nothing_is_left

pytest.importorskip("xdist")

pytestmark = pytest.mark.usefixtures("own_tmpdir")

HEAD = """
import os, pathlib, time
import pytest
from pytest_bgcheck import background_service

def eventually(condition):
    while not condition():
        time.sleep(0.01)
"""

WEB = """
web = background_service(
    "echo $$ >>{folder}/web; trap 'echo ended >>{folder}/web; exit 5' TERM; echo up;"
    " until [ -e {folder}/die ]; do sleep 0.05; done; echo last words; exit 3",
    ready_output="up", host="local://")

def web_runs():
    return os.path.exists("/proc/" + pathlib.Path("{folder}/web").read_text().split()[0])
"""


def run(pytester: pytest.Pytester, suite: str, *args: str) -> pytest.RunResult:
    pytester.makepyfile(test_it=(HEAD + WEB).replace("{folder}", str(pytester.path)) + suite)
    return pytester.runpytest_subprocess("--bgcheck-report=r.json", *args, timeout=120)


def jobs(folder: Path) -> dict[str, dict[str, object]]:
    document = json.loads((folder / "r.json").read_text())
    return {job["name"]: job for job in document["jobs"]}


def test_one_service_serves_all_workers_and_outlives_one(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "@pytest.mark.bgcheck('web')\n"
        "@pytest.mark.parametrize('n', range(9))\n"
        "def test_it(web, n):\n"
        "    assert web_runs() and web.ready\n"
        "    if n == 4: os._exit(3)\n",
        "-n3",
    )
    result.assert_outcomes(passed=8, failed=1)
    assert "did not succeed" not in result.stdout.str()
    assert "so the run fails" not in result.stdout.str()
    assert jobs(pytester.path)["web"]["state"] == "stopped"
    pid, ended = (pytester.path / "web").read_text().split()
    assert (pid.isdigit(), ended) == (True, "ended")
    assert nothing_is_left()


def test_a_death_fails_all_tests_that_use_the_service_then_and_later(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        "@pytest.mark.bgcheck('web')\n"
        "@pytest.mark.parametrize('n', range(9))\n"
        "def test_it(web, n):\n"
        "    pathlib.Path(f'in.{n}').touch()\n"
        "    eventually(lambda: len(list(pathlib.Path().glob('in.*'))) == 3)\n"
        "    pathlib.Path('die').touch()\n"
        "    eventually(lambda: not web_runs())\n",
        "-n3",
        "--junitxml=j.xml",
    )
    result.assert_outcomes(failed=9)
    assert len(list(pytester.path.glob("in.*"))) == 3
    failures = [failure.text or "" for failure in ET.parse("j.xml").iter("failure")]
    begins = "background service 'web' on local died: rc 3 after "
    assert all(text.startswith(begins) and "last words" in text for text in failures)
    heads = [text.partition("\n")[0] for text in failures]
    assert sum(head.endswith("into this test") for head in heads) == 3
    assert sum(head.endswith("before this test") for head in heads) == 6
    assert "so the run fails" not in result.stdout.str()
    assert nothing_is_left()


def test_the_last_worker_of_another_computer_stops_what_others_have_used_there(
    pytester: pytest.Pytester, elsewhere: Path, tmp_path: Path
) -> None:
    result = run(
        pytester,
        "@pytest.mark.bgcheck('web')\n"
        "def test_it(): pathlib.Path('used').touch()\n"
        "@pytest.fixture(scope='session')\n"
        "def last():\n"
        "    yield\n"
        # The other worker is told to end at the same time, and has nothing to do any more.
        "    eventually(pathlib.Path('used').exists); time.sleep(2)\n"
        "def test_other(last): pass\n",
        "--bgcheck-order=keep",
        f"--tx=2*popen//python={elsewhere}",
        "--dist=load",
        "-v",
    )
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    assert jobs(pytester.path)["web"]["state"] == "stopped"
    result.stdout.no_fnmatch_line("*not cleaned up*")
    assert (pytester.path / "web").read_text().split()[-1] == "ended"
    assert nothing_is_left()
    assert not list(tmp_path.joinpath("elsewhere").glob("pytest-bgcheck-*"))
