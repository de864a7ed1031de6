"""Runs with services: the tests that their mark fails, and how such a run ends."""

import json
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import leftovers
from support.runs_in_background import Run, eventually, nothing_is_left
from support.suites import RERUNS, failures, outcomes, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

LIVES = "echo up; until [ -e {0}.end ]; do sleep 0.05; done; echo {0} is dying; exit 3"
"""A service that ends once there is a file."""


DETACHED = "(echo up; until [ -e {0}.end ]; do sleep 0.05; done) & exit 0"
"""The same, as a daemon."""


def service(folder: Path, name: str, lives: str = LIVES) -> str:
    """Return the line of a suite that declares one, which ends by `ENDS`."""
    given = f"cwd={str(folder)!r}, host='local://', ready_output='up'"
    return f"{name} = background_service({lives.format(name)!r}, {given})\n"


ENDS = """
import os, pathlib, signal, time, unittest
from pytest_bgcheck import background_service

def ends(job):
    "Have a service end, and see that it has, without a look at how."
    pathlib.Path(job.name + ".end").touch()
    while not job.done():
        time.sleep(0.01)
    pathlib.Path(job.name + ".ended").touch()

@pytest.fixture
def a_has_ended():
    while not pathlib.Path("a.ended").exists():
        time.sleep(0.01)
"""


def suite(pytester: pytest.Pytester, services: str, tests: str) -> str:
    return ENDS + "".join(service(pytester.path, name) for name in services.split()) + tests


# --- a service dies while a test runs -------------------------------------------------------------

IN_BODIES = """
@pytest.mark.bgcheck("a")
def test_passes(a):
    ends(a)

@pytest.mark.bgcheck("a")
def test_later(a_has_ended):
    open("later", "w")

@pytest.mark.bgcheck("b")
def test_own_failure(b):
    ends(b)
    assert b.name == "c", "its own"

@pytest.mark.bgcheck("c")
@pytest.mark.xfail(strict=True)
def test_xfail(c):
    ends(c)

@pytest.mark.bgcheck("d")
@pytest.mark.xfail(raises=ZeroDivisionError)
def test_raises_other(d):
    ends(d)

@pytest.mark.bgcheck("e")
@pytest.mark.xfail(raises=ZeroDivisionError)
def test_raises(e):
    ends(e)
    1 / 0

@pytest.mark.bgcheck("f")
def test_reads(f):
    ends(f)
    assert (f.state, f.rc) == ("died", 3) and f.failed

@pytest.mark.bgcheck("g")
def test_stops(g):
    assert g.stop().succeeded

@pytest.mark.bgcheck("v")
def test_tidies(v):
    ends(v)
    v.stop()

def test_marked_late(request, w):
    w.wait_ready()
    ends(w)
    request.node.add_marker(pytest.mark.bgcheck("w"))

@pytest.mark.bgcheck("h")
def test_cancels(h):
    h.cancel()

slow = background_service("trap 'sleep 3; exit 0' TERM; echo up; while :; do sleep 0.05; done",
                          ready_output="up", host="local://", grace=60)

@pytest.mark.bgcheck("slow")
class TestSlow:
    def test_cancels_slow(self, slow):
        slow.cancel()
        assert slow.ready

    def test_while_it_ends(self): open("later", "w")

@pytest.mark.bgcheck("k")
@pytest.mark.asyncio
async def test_async(k):
    ends(k)

@pytest.mark.bgcheck("l", "m")
def test_one_of_two(l, m, subtests):
    with subtests.test():
        ends(m)

@pytest.mark.bgcheck("s")
def test_loses(s):
    words = [f"{kind}:{s.id}".encode() for kind in ("run", "guard")]
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if set(words) & set((entry / "cmdline").read_bytes().split(b"\\0")):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            pass  # it has ended meanwhile

@pytest.mark.bgcheck("t")
def test_detached():
    pass

@pytest.mark.bgcheck("u")
def test_detached_dies(u):
    ends(u)

class TestIt(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def jobs(self, n, o, p, q, r):
        self.n, self.o, self.p, self.q, self.r = n, o, p, q, r

    @pytest.mark.bgcheck("n")
    def test_case(self):
        with self.subTest():
            ends(self.n)

    @pytest.mark.bgcheck("o")
    def test_case_own(self):
        ends(self.o)
        self.assertEqual(1, 2)

    @pytest.mark.bgcheck("p")
    @unittest.expectedFailure
    def test_case_expected(self):
        ends(self.p)

    @pytest.mark.bgcheck("q")
    @unittest.expectedFailure
    def test_case_expected_own(self):
        ends(self.q)
        self.fail()

    @pytest.mark.bgcheck("r")
    def test_case_stops(self):
        self.r.stop()
"""


NO_SUBTESTS = """
@pytest.fixture
def subtests():
    import contextlib, types
    return types.SimpleNamespace(test=contextlib.nullcontext)
"""
"""For a pytest that has none."""


@pytest.mark.parametrize(
    "args", [["-pno:xdist"], ["-n3", RERUNS, "--reruns=1"]], ids=["alone", "workers"]
)
def test_a_death_in_a_body_fails_the_test_with_what_the_service_wrote(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    for plugin in ("pytest_asyncio", "pytest_rerunfailures", "xdist"):
        pytest.importorskip(plugin)
    detached = "".join(service(pytester.path, name, DETACHED) for name in "tu")
    bodies = IN_BODIES if find_spec("_pytest.subtests") else NO_SUBTESTS + IN_BODIES
    text = suite(pytester, "a b c d e f g h k l m n o p q r s v w", detached + bodies)
    given = [
        "-rA",
        "--junitxml=j.xml",
        "-ppytest_asyncio.plugin",
        "-oasyncio_default_fixture_loop_scope=function",
        *args,
    ]
    result = run(pytester, *given, test_it=text)
    assert outcomes(result) == {
        "test_passes": "failed",
        "test_later": "failed",
        "test_own_failure": "failed",
        "test_xfail": "xfail",
        "test_raises_other": "failed",
        "test_raises": "xfail",
        "test_reads": "passed",
        "test_stops": "passed",
        "test_tidies": "failed",
        "test_marked_late": "failed",
        "test_cancels": "passed",
        "test_cancels_slow": "passed",
        "test_while_it_ends": "failed",
        "test_async": "failed",
        "test_one_of_two": "failed",
        "test_loses": "failed",
        "test_detached": "passed",
        "test_detached_dies": "failed",
        "test_case": "failed",
        "test_case_own": "failed",
        "test_case_expected": "xfail",
        "test_case_expected_own": "xfail",
        "test_case_stops": "passed",
    }
    told = failures(pytester)
    for test, name in (
        ("test_passes", "a"),
        ("test_raises_other", "d"),
        ("test_async", "k"),
        ("test_tidies", "v"),
        ("test_marked_late", "w"),
    ):
        message, whole = told[test]
        assert message.startswith(f"Failed: background service '{name}' on local died: rc 3 after")
        # Where it was run once more, that was before.
        assert "into this test" in whole or ("--reruns=1" in args and "before this test" in whole)
        assert f"{name} is dying" in whole
    assert told["test_loses"][0].startswith("Failed: background service 's' on local lost")
    assert "before this test" in told["test_later"][1]
    assert not (pytester.path / "later").exists()
    # The test's own failure comes first, and the death is told behind it.
    for test, name, own in (
        ("test_own_failure", "b", "AssertionError: its own"),
        ("test_case_own", "o", "AssertionError: 1 != 2"),
    ):
        message, whole = told[test]
        if "--reruns=1" in args:
            assert own not in message  # it has failed before its body
            continue
        assert message.startswith(f"{own}; background service '{name}' on local died: rc 3 after")
        assert whole.index(own) < whole.index("When its body was over:") < whole.index("is dying")
    assert "service 'l'" not in told["test_one_of_two"][0]
    # All that died has failed a test, or was read by one.
    assert "so the run fails" not in result.stdout.str()


# --- a service ends badly, and no test fails for it -----------------------------------------------

UNJUDGED = """
@pytest.mark.bgcheck("a")
def test_skips(a):
    ends(a)
    pytest.skip()

@pytest.mark.bgcheck("b")
def test_teardown(ends_b): pass

@pytest.fixture(scope="session")
def ends_b(b):
    yield
    ends(b)

@pytest.fixture
def until_then(d):
    d.wait_ready()
    yield
    d.stop()

def test_tidies(d, until_then): ends(d)

@pytest.mark.bgcheck("c")
def test_lets_it_die(last): pass

@pytest.fixture(scope="session")
def last(c):
    yield
    pathlib.Path("c.end").touch()  # nobody waits for its end
    while not pathlib.Path("c.over").exists():
        time.sleep(0.01)

broken = background_service("exit 4", host="local://")
def test_of_a_broken_one(broken): pytest.skip()
"""


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a service of `LONG` counts."""
    path = tmp_path / "count"
    path.touch()
    monkeypatch.setenv("COUNT", str(path))
    return path


@pytest.mark.parametrize("args", ["-pno:xdist", "-n2"])
def test_a_death_that_no_test_tells_makes_the_run_red(pytester: pytest.Pytester, args: str) -> None:
    if args == "-n2":
        pytest.importorskip("xdist")
    text = suite(pytester, "a b c d", UNJUDGED).replace("c is dying;", "c is dying; : >c.over;")
    result = run(pytester, args, "--bgcheck-report=r.json", test_it=text)
    result.assert_outcomes(passed=3, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    document = json.loads((pytester.path / "r.json").read_text())
    lines = [line for line in result.outlines if line.endswith("so the run fails")]
    assert lines == document["run"]["causes"]
    assert sorted(line[: line.index(" after ")] for line in lines) == [
        f"background service '{name}' on local died: rc 3" for name in "abcd"
    ]
    for name in "abcd":  # no failure of a test shows what it wrote
        result.stdout.fnmatch_lines(["*so the run fails", "*stdout (*", f"    {name} is dying"])
    states = {job["name"]: job["state"] for job in document["jobs"]}
    assert states == {**dict.fromkeys("abcd", "died"), "broken": "not ready"}
    assert nothing_is_left()


def test_an_exit_as_a_success_is_none_where_a_service_has_died(pytester: pytest.Pytester) -> None:
    skips, _, _ = UNJUDGED.partition('@pytest.mark.bgcheck("b")')
    text = suite(pytester, "a", skips + "def test_exits(): pytest.exit('enough', returncode=0)\n")
    result = run(
        pytester, "--bgcheck-order=keep", "--bgcheck-report=r.json", "-pno:xdist", test_it=text
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    lines = [line for line in result.outlines if line.endswith("so the run fails")]
    document = json.loads((pytester.path / "r.json").read_text())
    assert len(lines) == 1
    assert lines == document["run"]["causes"]


# --- the end of a run -----------------------------------------------------------------------------

LONG = """
import os
from pytest_bgcheck import background_service
serves = background_service(
    "echo >>$COUNT serves; trap 'echo >>$COUNT ended; exit 5' TERM; echo up;"
    " while :; do sleep 0.05; done",
    ready_output="up", host="local://")

@pytest.fixture(scope="session", autouse=True)
def last(bgcheck):
    yield
    with open(os.environ["COUNT"], "a") as file:
        file.write("teardown ")

@pytest.mark.bgcheck("serves")
def test_it(serves):
    assert serves.ready
    {body}
"""


def told(pytester: pytest.Pytester, output: str) -> dict[str, object]:
    """Return what the JSON says of the one service, of which a run of `LONG` makes no noise."""
    assert "did not succeed" not in output
    assert "so the run fails" not in output
    assert "not cleaned up" not in output
    (job,) = json.loads((pytester.path / "r.json").read_text())["jobs"]
    assert isinstance(job, dict)
    return job


@pytest.mark.parametrize(
    ("args", "body", "ret"),
    [
        ("", "pass", 0),
        ("-x", "raise ValueError", 1),
        ("--maxfail=1 --bgcheck-keep", "raise ValueError", 1),
        ("-n2", "pass", 0),
    ],
)
def test_a_service_lives_until_the_last_teardown_and_is_stopped(
    pytester: pytest.Pytester, count: Path, args: str, body: str, ret: int
) -> None:
    if "-n2" in args:
        pytest.importorskip("xdist")
    begun = time.monotonic()
    text = LONG.format(body=body)
    result = run(pytester, "--bgcheck-report=r.json", *args.split(), test_it=text)
    assert time.monotonic() - begun < 30
    assert result.ret == ret
    job = told(pytester, result.stdout.str())
    assert (job["state"], job["ready_s"] is not None) == ("stopped", True)
    assert job["stdout"] == {"size": 3, "left_out": 0, "text": "up\n"}
    said = count.read_text().split()
    assert (said[0], said[-1], said.count("serves"), said.count("ended")) == (
        ("serves", "ended", 1, 1)
    )
    assert leftovers.checks() == leftovers.supervisors() == set()
    assert bool(leftovers.directories()) == ("--bgcheck-keep" in args)


@pytest.mark.parametrize("args", ["-pno:xdist", "-n2"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_service_that_an_interrupt_ends_makes_no_noise(
    pytester: pytest.Pytester, count: Path, args: str, sent: signal.Signals
) -> None:
    if args == "-n2":
        pytest.importorskip("xdist")
    text = LONG.format(body="open('begun', 'w'); import time; time.sleep(95)")
    pytester.makepyfile("import pytest" + text)
    with Run(pytester, args, "--bgcheck-report=r.json") as background:
        eventually((pytester.path / "begun").exists)
        background.process.send_signal(sent)
        status, output = background.end()
    assert status == pytest.ExitCode.INTERRUPTED
    assert told(pytester, output)["state"] == "cancelled"


def test_a_service_that_no_test_waited_for_and_that_was_never_ready_is_told(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        test_it="\n".join(
            f"{name} = background_service('exec sleep 61', ready='false', host='local://')"
            for name in ("used", "awaited", "skipped")
        )
        + "\ndef test_uses(used): pass\n"
        "def test_waits(awaited):\n"
        "    with pytest.raises(AssertionError, match='not ready after'):\n"
        "        awaited.wait_ready(timeout=0.1)\n"
        "@pytest.mark.skip\n"
        "def test_is_skipped(skipped): pass\n",
    )
    assert result.ret == 0
    assert [line for line in result.outlines if "was not ready" in line] == [
        "background service 'used' on local was not ready before the tests were over, though"
        " test_it.py::test_uses requests it and has run: @pytest.mark.bgcheck('used') waits for it"
    ]
