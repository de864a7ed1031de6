"""Tests that freeze the time or travel in it, while their checks run."""

import ast
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import json_report
from support.suites import run

import pytest_bgcheck

pytestmark = pytest.mark.started

PACKAGE = Path(pytest_bgcheck.__file__).parent
CLOCKS = {
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
    "clock_gettime", "clock_gettime_ns", "sleep",
}  # fmt: skip


@pytest.mark.parametrize(
    "room", sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
)
def test_a_room_reads_no_clock_that_a_test_can_move(room: str) -> None:
    if room == "clocks.py":
        return
    for node in ast.walk(ast.parse((PACKAGE / room).read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            read = ast.unparse(node)
            assert read not in {f"time.{name}" for name in CLOCKS}, f"{room} reads {read}"
            assert node.attr not in ("now", "utcnow", "today"), f"{room} reads {read}"
        elif isinstance(node, ast.ImportFrom):
            assert node.module not in ("time", "datetime"), f"{room} takes a name from the module"


# As freezegun and time-machine do it, of which neither is needed here. The first replaces each
# reference, except in threading and queue; its auto_tick_seconds moves the time with each look.
MOVED = """
import itertools, sys, time

def moved(first, step):
    looks = itertools.count()
    return lambda: first + step * next(looks)

MOVES = [(2e9, 0), (2e9, 400), (9e8, -400)]

@pytest.fixture(scope=SCOPE, params=MOVES, ids=["frozen", "on", "back"])
def clocks(request):
    fakes = {
        id(getattr(time, name)): moved(*request.param)
        for name in ("time", "monotonic", "perf_counter")
    }
    replaced = [
        (module, name, value)
        for key, module in list(sys.modules.items()) if key not in ("threading", "queue")
        for name, value in list(vars(module).items()) if id(value) in fakes
    ]
    for module, name, value in replaced:
        setattr(module, name, fakes[id(value)])
    yield
    for module, name, value in replaced:
        setattr(module, name, value)
"""
# As time-machine does it from 2.13 to 2.16: it changes what the clocks themselves return. So no
# reference to one goes on, not even those by which threads measure time-outs.
MOVED_THEMSELVES = """
import functools, gc, time

@pytest.fixture(scope=SCOPE)
def clocks():
    changed = []
    for real in (time.time, time.monotonic, time.perf_counter):
        fake = lambda: 2e9
        for holder in gc.get_referrers(real):
            if isinstance(holder, functools.partial):
                changed.append((holder.__setstate__, holder.__reduce__()[2]))
                holder.__setstate__((fake, *holder.__reduce__()[2][1:]))
            elif isinstance(holder, dict):
                for name in [name for name, value in holder.items() if value is real]:
                    changed.append((functools.partial(holder.__setitem__, name), real))
                    holder[name] = fake
    yield
    for put_back, value in changed:
        put_back(value)
"""
SUITE = """
waited = background_check("sleep 1; echo done", timeout=60)
bad = background_check("exit 3", timeout=60)

@pytest.mark.bgcheck("waited", timeout=50)
def test_waited(clocks, waited):
    assert waited.stdout == "done\\n"

@pytest.mark.bgcheck("bad", timeout=50)
def test_bad(clocks, bad):
    pass

@pytest.mark.bgcheck("endless", timeout=0.5)
def test_patience(clocks, endless):
    pass

endless = background_check("sleep 60", timeout=60)
"""


@pytest.mark.parametrize("scope", ["function", "session"])
@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_a_moved_clock_changes_no_verdict_and_no_time(
    pytester: pytest.Pytester, scope: str, args: list[str]
) -> None:
    result = run(
        pytester,
        "--bgcheck-report=r.json",
        *args,
        conftest=MOVED.replace("SCOPE", repr(scope)),
        test_it=SUITE,
    )
    result.assert_outcomes(passed=3, failed=6)
    document = json_report.read(pytester)
    began, ended = document["run"]["started_at"], document["run"]["ended_at"]
    assert ended - began == pytest.approx(document["summary"]["wall_s"], abs=0.1)
    for job in document["jobs"]:
        in_order(began, job["started_at"], job["ended_at"], ended)
        for wait in job["awaited_by"]:
            in_order(began, wait["began_at"], wait["began_at"] + wait["waited_s"], ended)
    for test in document["tests"]:
        in_order(began, test["started_at"], test["ended_at"], ended)
    for span in document["summary"]["critical_path"]:
        in_order(began, span["began_at"], span["ended_at"], ended)
    result.stdout.fnmatch_lines(["*bad* failed: rc 3*", "*'endless'*still running after 0.*"])


@pytest.mark.parametrize("scope", ["function", "session"])
@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_clocks_that_stand_still_by_themselves_stop_no_wait_and_no_call(
    pytester: pytest.Pytester, scope: str, args: list[str]
) -> None:
    result = run(
        pytester,
        "--bgcheck-report=r.json",
        *args,
        conftest=MOVED_THEMSELVES.replace("SCOPE", repr(scope)),
        test_it=SUITE + "def test_started(clocks, bgcheck):\n"
        "    job = bgcheck.start('sleep 60', name='late', timeout=0.5)\n"
        "    assert job.result(40).state.value == 'timed out'\n",
    )
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*bad* failed: rc 3*", "*'endless'*still running after 0.*"])
    assert json_report.read(pytester)["summary"]["wall_s"] < 100


def in_order(*times: Any) -> None:
    assert all(before <= after + 0.01 for before, after in pairwise(times)), times
