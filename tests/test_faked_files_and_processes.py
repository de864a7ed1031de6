"""Tests that fake files, processes or threads, while their checks run."""

import ast
from pathlib import Path

import pytest
from support.suites import run

import pytest_bgcheck

pytestmark = pytest.mark.started

PACKAGE = Path(pytest_bgcheck.__file__).parent
FAKED = {"io", "os", "secrets", "selectors", "subprocess", "tempfile", "threading"}
WHILE_TESTS_RUN = [
    path.relative_to(PACKAGE).as_posix()
    for path in [*PACKAGE.glob("target/*.py"), PACKAGE / "run" / "forked.py"]
]


@pytest.mark.parametrize("room", sorted(WHILE_TESTS_RUN))
def test_a_room_that_works_while_tests_run_takes_the_originals(room: str) -> None:
    for node in ast.walk(ast.parse((PACKAGE / room).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            taken = {alias.name for alias in node.names} & FAKED
            assert not taken, f"{room} imports {taken}: take the originals"
        elif isinstance(node, ast.Name):
            assert node.id != "open", f"{room} opens a file: take the original io.open"


# As pyfakefs and pytest-subprocess do it, of which neither is needed here; but the fakes here never
# work, and only where a call to a target could come by them.
FAKES = """
import builtins, io, os, pathlib, subprocess, sys, types

def fake(*args, **kwargs):
    raise OSError("this is a fake")

class FakePath(type(pathlib.Path())):
    read_text = read_bytes = is_dir = iterdir = open = fake

def replaced(monkeypatch, fakes):
    for key, module in list(sys.modules.items()):
        if key.split(".")[0] in (
            "pytest_bgcheck", "testinfra", "subprocess", "tempfile", "selectors", "shutil"
        ):
            for name, value in list(vars(module).items()):
                if id(value) in fakes:
                    monkeypatch.setattr(module, name, fakes[id(value)])

@pytest.fixture
def files(monkeypatch):
    fake_os, fake_io = types.ModuleType("os"), types.ModuleType("io")
    for real, own in ((os, fake_os), (io, fake_io)):
        vars(own).update({key: value for key, value in vars(real).items() if key[:2] != "__"})
    for name in ("open", "read", "write", "close", "pipe", "stat", "access", "unlink", "mkdir"):
        setattr(fake_os, name, fake)
    fake_io.open = fake
    replaced(monkeypatch, {id(os): fake_os, id(io): fake_io, id(pathlib.Path): FakePath})
    monkeypatch.setattr(builtins, "open", fake)

@pytest.fixture
def processes(monkeypatch):
    replaced(monkeypatch, {id(subprocess.Popen): fake})

@pytest.fixture
def system_calls(monkeypatch):
    for name in ("pipe", "read", "killpg", "getcwd"):
        monkeypatch.setattr(os, name, fake)

@pytest.fixture
def threads(monkeypatch):
    import secrets, selectors, threading
    monkeypatch.setattr(threading, "Thread", fake)
    monkeypatch.setattr(secrets, "token_hex", fake)
    monkeypatch.setattr(selectors, "DefaultSelector", fake)

@pytest.fixture
def started_threads(monkeypatch):
    import threading
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)

@pytest.fixture(params=["files", "processes", "system_calls", "threads", "started_threads"])
def fakes(request):
    request.getfixturevalue(request.param)
"""
SUITE = """
planned = background_check("sleep 1; echo planned", timeout=60)

@pytest.mark.bgcheck("planned")
def test_planned(fakes, planned):
    assert planned.stdout == "planned\\n"

def test_started(fakes, bgcheck, request):
    job = bgcheck.start("echo started", name="started" + request.node.callspec.id[:3], timeout=60)
    assert job.result(50).stdout == "started\\n"
"""


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_checks_start_and_end_while_a_test_fakes_files_and_processes(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    result = run(pytester, *args, conftest=FAKES, test_it=SUITE)
    result.assert_outcomes(passed=10)


def test_checks_start_and_end_in_a_suite_that_fakes_all_its_processes(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        conftest=FAKES + "@pytest.fixture(scope='session', autouse=True)\n"
        "def always():\n"
        "    with pytest.MonkeyPatch.context() as patch:\n"
        "        replaced(patch, {id(subprocess.Popen): fake})\n"
        "        yield\n",
        test_it="c = background_check('true')\n@pytest.mark.bgcheck\ndef test(c): pass\n",
    )
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*not cleaned up*")
