"""Random suites, run by a real pytest against the local backend: the verdict is the check's own,
or the test is not green, and nothing is left behind.

``BGCHECK_FUZZ_EXAMPLES`` says how many are tried (``tox -e fuzz``), and ``BGCHECK_FUZZ_WITHOUT``
what they do without, a list of `random_suites.FEATURES`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from support import leftovers
from support.random_suites.files import arguments, witness, write
from support.random_suites.model import Check, Suite, read_tells
from support.random_suites.strategies import FEATURES, suites

EXAMPLES = int(os.environ.get("BGCHECK_FUZZ_EXAMPLES", "0"))
WITHOUT = frozenset(os.environ.get("BGCHECK_FUZZ_WITHOUT", "").replace(",", " ").split())
if unknown := WITHOUT - set(FEATURES):
    raise ValueError(f"BGCHECK_FUZZ_WITHOUT: {unknown} is none of {FEATURES}")


class Run:
    """A suite that was written and run in a folder, and what came of it."""

    def __init__(self, suite: Suite, folder: Path) -> None:
        self.suite, self.folder = suite, folder
        self.files = folder / "suite" / ".files"
        self.target = folder / "at" / os.fsdecode(suite.target_dir)
        self.target.mkdir(parents=True, mode=0o700)
        write(suite, folder / "suite")
        self.mark = f"SUITE_RUN={uuid.uuid4()}"
        self.said = ""

    def run(self) -> tuple[int, dict[str, str], list[str]]:
        """Run pytest; return its exit status, the outcomes by test, and the deselected tests."""
        tells = self.folder / "tells"
        tells.unlink(missing_ok=True)
        summary = self.folder / "summary"
        summary.unlink(missing_ok=True)
        python = [sys.executable, "-m", "pytest", f"--basetemp={self.folder / 'base'}"]
        done = subprocess.run(
            [*python, *arguments(self.suite, str(self.target))],
            cwd=self.folder / "suite",
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "LANG": "C.UTF-8",
                "SUITE_TELLS": str(tells),
                "GITHUB_STEP_SUMMARY": str(summary),
                **dict([self.mark.split("="), leftovers.MARK.split("=")]),
                **dict(self.suite.login),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        self.said = done.stdout.decode(errors="replace")
        return done.returncode, *read_tells(tells)

    def log(self, check: Check) -> list[str]:
        """Return what a check told its witness."""
        path = witness(self.files, check) / "log"
        return path.read_text().splitlines() if path.exists() else []

    def differences(self) -> Iterator[str]:
        """Run it, and yield what is not as it has to be."""
        suite = self.suite
        expected = {test.nodeid: suite.expected(test) for test in suite.tests}
        bad = {nodeid for nodeid, outcome in expected.items() if outcome in ("failed", "error")}
        status, outcomes, _ = self.run()
        for nodeid, outcome in outcomes.items():
            # Another worker's failure has ended its wait.
            stopped = suite.stops and suite.workers and bad and outcome == "skipped"
            if expected[nodeid] != outcome and not stopped:
                yield f"{nodeid} is {outcome}, not {expected[nodeid]}"
        statuses = {1, 2} if suite.stops and bad else suite.statuses()
        if "unjudged" in WITHOUT and not bad:
            statuses |= {0}
        if status not in statuses:
            yield f"the exit status is {status}, not one of {statuses}"
        if not suite.stops or not bad:
            yield from (f"{nodeid} did not run" for nodeid in expected.keys() - outcomes)
        if "INTERNALERROR" in self.said:
            yield "an internal error"
        if "reports" not in WITHOUT:
            yield from self._reports(status)
        for check in suite.checks:
            yield from self._check(check, outcomes)
        yield from self._left()
        if suite.stops == "--sw":
            again, _, deselected = self.run()
            passed = {"passed", "xpassed", "xfailed", "skipped"}
            for nodeid in {nodeid for nodeid in deselected if outcomes.get(nodeid) not in passed}:
                yield f"{nodeid} was deselected by --sw and has never been green"
            if bad and again == 0:
                yield "the second run with --sw is green"

    def _reports(self, status: int) -> Iterator[str]:
        report = self.folder / "suite" / "report.json"
        told = json.loads(report.read_text())["run"]["exit_status"] if report.exists() else "none"
        if told != status:
            yield f"the report has the exit status {told}, the run {status}"
        summary = self.folder / "summary"
        if summary.exists() and ("✅" in summary.read_text()) != (status == 0):
            yield f"GitHub's summary of a run with status {status}: {summary.read_text()}"

    def _check(self, check: Check, outcomes: dict[str, str]) -> Iterator[str]:
        """Compare what a check saw with its declaration, and with what is told of it."""
        log = self.log(check)
        attempts = log.count("begun")
        if attempts > 1 and check.late is None:
            yield f"{check.name} ({check.number}) ran {attempts} times"
        for test in self.suite.tests:
            wants = self.suite.awaited(test)
            own = self.suite.meant(check.name, test) == check and check.name in wants
            if own and outcomes.get(test.nodeid) in ("passed", "xpassed") and test.expects == "":
                wanted = (check.late or 0) + 1
                if attempts != wanted or log[-1:] != [f"ended {check.rc}"]:
                    yield f"{test.nodeid} passed, but {check.name} ({check.number}) did: {log}"
        home = witness(self.files, check)
        if not log:
            return
        env = dict(
            pair.partition(b"=")[::2] for pair in (home / "env").read_bytes().split(b"\0") if pair
        )
        for name, value in check.env:
            if env.pop(os.fsencode(name), None) != os.fsencode(value):
                yield f"{check.name} ({check.number}) did not have {name}={value!r}"
        if "environment" not in WITHOUT:
            yield from self._environment(check, env)
        if check.form != "command":
            wanted_args = b"".join(os.fsencode(arg) + b"\0" for arg in check.args) or b"\0"
            if (home / "args").read_bytes() != wanted_args:
                yield f"{check.name} ({check.number}) got other arguments"
        if check.cwd is not None:
            cwd = os.fsencode(home / "in") + b"/" + check.cwd
            if (home / "cwd").read_bytes() != cwd:
                yield f"{check.name} ({check.number}) ran elsewhere"
        seen = (home / "seen").read_text(errors="replace") if (home / "seen").exists() else ""
        if "traces" not in WITHOUT and check.name.startswith("zq") and seen:
            yield f"{check.name} ({check.number}) saw processes of its name: {seen[:300]}"

    def _environment(self, check: Check, env: dict[bytes, bytes]) -> Iterator[str]:
        names = {name for name, _ in check.env}
        for name, value in self.suite.login:
            if name not in names and env.pop(os.fsencode(name), None) != os.fsencode(value):
                yield f"{check.name} ({check.number}) did not see the login's {name}={value!r}"
        of_run = {"PATH", "HOME", "TMPDIR", "LANG", "SUITE_TELLS", "SUITE_RUN", "BGCHECK_TESTS",
                  "GITHUB_STEP_SUMMARY", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE", "PYTHONPATH",
                  "COLUMNS", "LINES"}  # fmt: skip
        for name in map(os.fsdecode, env):
            if name not in of_run and not name.startswith(("PYTEST_", "COV_")):
                yield f"{check.name} ({check.number}) has a variable {name}"

    def _left(self) -> Iterator[str]:
        """Yield what the run has left on its target, which is this computer."""
        deadline = time.monotonic() + 10
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield from (f"left behind: {process}" for process in left)
        yield from (f"left behind: {path}" for path in self.target.iterdir())
        if "Traceback" in self.said.partition("background checks")[2]:
            yield "a traceback at the end"

    def _processes(self) -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in entry.read_bytes():
                    found.append(entry.with_name("cmdline").read_text(errors="replace"))
            except OSError:
                pass
        return found

    def shown(self) -> str:
        """Return all of it, for whoever wants to see it again."""
        root = self.folder / "suite"
        paths = [*root.glob("*.py"), *root.glob("inner/*.py")]
        files = [f"--- {path.relative_to(root)}\n{path.read_text()}" for path in sorted(paths)]
        words = arguments(self.suite, str(self.target))
        return "\n".join([*files, f"--- {words}, login {self.suite.login}", self.said])


@contextmanager
def written(suite: Suite) -> Iterator[Run]:
    folder = Path(tempfile.mkdtemp(prefix="bgcheck-fuzz-"))
    try:
        yield Run(suite, folder)
    finally:
        shutil.rmtree(folder)


# A few that are always the same; an hour's are always others.
@settings(
    max_examples=EXAMPLES or 3,
    derandomize=not EXAMPLES,
    phases=list(Phase) if EXAMPLES else [Phase.generate],
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(suites(WITHOUT))
def test_the_verdict_is_the_checks_own_or_the_test_is_not_green(suite: Suite) -> None:
    with written(suite) as run:
        differences = list(run.differences())
        if differences:
            pytest.fail("\n".join([*differences, run.shown()]), pytrace=False)
