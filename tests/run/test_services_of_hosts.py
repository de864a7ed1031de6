"""Services on several hosts, and on one that does not answer for a while."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.machines.machine import wait_until

SUITE = """
import pathlib, time
import pytest
from pytest_bgcheck import background_service

LIVES = "echo up; until [ -e end.${SSH_CONNECTION:+ssh} ]; do sleep 0.05; done; exit 3"
BOTH = ("local://", "ssh://target")
web = background_service(LIVES, host=BOTH, cwd=FOLDER, ready_output="up", timeout=60)
far = background_service("sleep 97", host="ssh://target", timeout=60)

def eventually(condition):
    while not condition():
        time.sleep(0.01)

@pytest.mark.bgcheck("web")
def test_on_one(web):
    pathlib.Path("end.").touch()
    eventually(web["local://"].done)

@pytest.mark.bgcheck("far")
def test_silent():
    pathlib.Path("go down").touch()
    eventually(pathlib.Path("is down").exists)

@pytest.fixture
def up_again():
    pathlib.Path("come back").touch()
    eventually(pathlib.Path("is back").exists)

@pytest.mark.bgcheck("far")
def test_again(up_again): pass
"""

CONFTEST = "from pytest_bgcheck.target import proving\nproving.ANSWER_S = 2.0\n"


def test_a_host_that_does_not_answer_proves_nothing_and_each_host_counts(
    pytester: pytest.Pytester, own_tmpdir: Path
) -> None:
    folder = pytester.path
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=SUITE.replace("FOLDER", repr(str(folder))))
    with SSHServer() as server, (folder / "out").open("wb") as file:
        options = [f"--ssh-config={server.client_config}", f"--bgcheck-dir={own_tmpdir}"]
        options += ["--junitxml=j.xml", "--bgcheck-report=r.json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options], cwd=folder, stdout=file, stderr=file
        )
        try:
            assert wait_until((folder / "go down").exists, 60)
            server.go_down()
            (folder / "is down").touch()
            assert wait_until((folder / "come back").exists, 60)
            server.come_back()
            (folder / "is back").touch()
            assert process.wait(90) == pytest.ExitCode.TESTS_FAILED
        finally:
            process.kill()
            process.wait()
    output = (folder / "out").read_text()
    assert "2 failed, 1 passed" in output
    assert "no test has failed for it" not in output
    messages = {
        case.attrib["name"]: failure.attrib["message"]
        for case in ET.parse(folder / "j.xml").iter("testcase")
        for failure in case.iter("failure")
    }
    one = messages["test_on_one"]
    assert one.startswith("Failed: background service 'web' on local died: rc 3 after")
    assert "ssh://target" not in one
    silent = messages["test_silent"]
    begin = "Failed: background service 'far' on ssh://target not proven to be alive: "
    assert silent.startswith(begin)
    assert "no answer in" not in silent
    assert "tries in" in silent or "1 try in" in silent
    assert not list(own_tmpdir.glob("pytest-bgcheck-*"))
