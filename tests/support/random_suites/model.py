"""A suite of checks and tests as plain data, with its model: what every test must come to.

From the same data `files` writes a suite that pytest can run. Outcomes are reckoned by the
words of the documentation alone: nothing here may import pytest_bgcheck.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ANY = "any"
"""A mark's ``rc=None``."""

LATER = 77
"""The exit code of an attempt that is not the last."""

PLACES = {"root": "conftest.py", "a": "test_a.py", "inner": "inner/conftest.py",
          "b": "inner/test_b.py"}  # fmt: skip
SEES = {"a": ("a", "root"), "b": ("b", "inner", "root")}
"""Where a module's tests find a name, the nearest place first."""


@dataclass(frozen=True)
class Check:
    """A declaration, or with the place ``called`` one that a session fixture starts.

    ``ending``: exit, killed, sleeps (until its limit) or nowhere (no ``cwd``).

    ``late``: how many attempts exit with `LATER` before it comes to its ending; None for a check
    that is not retried.
    """

    number: int
    name: str
    place: str
    form: str = "command"
    ending: str = "exit"
    code: int = 0
    accepted: tuple[int, ...] = (0,)
    late: int | None = None
    takes_s: float = 0.0
    env: tuple[tuple[str, str], ...] = ()
    cwd: bytes | None = None
    args: tuple[str, ...] = ()
    out: bytes = b""
    err: bytes = b""
    limit: int | None = None
    process: bytes | None = None
    leaves: bool = False
    pinned: bool = True

    @property
    def rc(self) -> int | None:
        """The exit code it comes to, None for one that does not end by itself."""
        code = {"exit": self.code, "killed": 137}.get(self.ending)
        return None if self.late is not None and code not in self.accepted else code

    @property
    def fixture(self) -> str:
        """The name of the fixture whose value is its handle."""
        return f"called_{self.number}" if self.place == "called" else self.name

    @property
    def sure_to_run(self) -> bool:
        return self.ending != "nowhere"

    def good(self, codes: tuple[int, ...] | str | None = None) -> bool:
        """Whether a test that accepts these codes (None: the declared) is content with it."""
        if codes == ANY:
            return self.rc is not None
        return self.rc in (self.accepted if codes is None else codes)

    @property
    def cut(self) -> bool:
        """Whether more was written to stdout than is kept."""
        return self.limit is not None and len(self.out) > self.limit


@dataclass(frozen=True)
class Mark:
    """``codes``: None for a mark without ``rc``, `ANY` for ``rc=None``."""

    names: tuple[str, ...] = ()
    codes: tuple[int, ...] | str | None = None
    timeout: bool = False

    def source(self) -> str:
        words = [ascii(name) for name in self.names]
        if self.codes is not None:
            words.append(f"rc={None if self.codes == ANY else set(self.codes)}")
        if self.timeout:
            words.append("timeout=100")
        return f"pytest.mark.bgcheck({', '.join(words)})"


@dataclass(frozen=True)
class Fixture:
    """``asks``: checks and other fixtures; ``gets``: checks by getfixturevalue.

    ``does``: nothing, ``mark`` (adds one to the test), ``xfail`` (so), ``verdict`` (asserts that
    its first check succeeded).
    """

    name: str
    place: str
    scope: str
    asks: tuple[str, ...]
    gets: tuple[str, ...] = ()
    does: str = ""
    mark: Mark = field(default_factory=Mark)
    autouse: bool = False


@dataclass(frozen=True)
class Test:
    """``marks``: the nearest first. ``body``: steps, each a verb and a check's name."""

    __test__ = False

    number: int
    module: str
    group: str = ""
    marks: tuple[Mark, ...] = ()
    asks: tuple[str, ...] = ()
    host: bool = False
    expects: str = ""
    body: tuple[tuple[str, str], ...] = ()

    @property
    def nodeid(self) -> str:
        group = f"{self.group}::" if self.group else ""
        return f"{PLACES[self.module]}::{group}test_{self.number}"


@dataclass
class Seen:
    """What tests do with checks, by their numbers: whose verdict they read, whose end they know."""

    judged: set[int] = field(default_factory=set)
    heard: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Suite:
    """A suite and how it is run. ``group_marks``: of classes and, by their names, of modules."""

    checks: tuple[Check, ...]
    fixtures: tuple[Fixture, ...]
    tests: tuple[Test, ...]
    group_marks: tuple[tuple[str, Mark], ...] = ()
    workers: int = 0
    dist: str = "load"
    order: str = "last"
    unawaited: str = "warn"
    stops: str = ""
    shuffle: str = ""
    target_dir: bytes = b"target"
    login: tuple[tuple[str, str], ...] = ()

    # --- the model ----------------------------------------------------------------------------

    def check(self, name: str, module: str) -> Check | None:
        """Return the check whose handle a module's tests get from a fixture."""
        for place in (*SEES[module], "called"):
            for check in self.checks:
                if (check.fixture, check.place) == (name, place):
                    return check
        return None

    def meant(self, name: str, test: Test) -> Check | None:
        """Return the check that a test's marks mean by a name."""
        for check in self.checks:
            if check.place == "called" and check.name == name and check.fixture in test.asks:
                return check
        return self.check(name, test.module)

    def used(self, test: Test) -> list[Fixture]:
        """Return the suite's own fixtures that a test is set up with."""
        mine = {f.name: f for f in self.fixtures if f.place in SEES[test.module]}
        wanted = [*test.asks, *(name for name, f in mine.items() if f.autouse)]
        found: dict[str, Fixture] = {}
        while wanted:
            name = wanted.pop()
            if name in mine and name not in found:
                found[name] = mine[name]
                wanted += mine[name].asks
        return list(found.values())

    def requested(self, test: Test) -> list[Check]:
        """Return the checks whose fixtures a test requests, in whatever way, before its body."""
        used = self.used(test)
        names = [*test.asks, *(name for f in used for name in (*f.asks, *f.gets))]
        found = [self.check(name, test.module) for name in dict.fromkeys(names)]
        return [check for check in found if check is not None]

    def marks(self, test: Test) -> tuple[list[Mark], list[Mark]]:
        """Return a test's own marks and those of its class and module, the nearest first."""
        own = [*test.marks, *(f.mark for f in self.used(test) if f.does == "mark")]
        outer = [m for group in (test.group, test.module) for name, m in self.group_marks
                 if name == group]  # fmt: skip
        return own, outer

    def awaited(self, test: Test, *more: str) -> dict[str, tuple[int, ...] | str | None]:
        """Return the names that a test awaits, with the codes it accepts.

        ``more``: what its body has requested so far; a mark without names awaits it there.
        """
        own, outer = self.marks(test)
        names = [check.name for check in self.requested(test) if check.place != "called"]
        names += more
        result: dict[str, tuple[int, ...] | str | None] = {}
        for mark in [*own, *outer][::-1]:
            result.update(dict.fromkeys(mark.names or names, mark.codes))
        return result

    def expected(self, test: Test, seen: "Seen | None" = None) -> str:
        """Return a test's outcome; add to ``seen`` what it does with checks."""
        seen = Seen() if seen is None else seen
        if test.expects == "skip":
            return "skipped"
        used = self.used(test)
        outcome = self._call(test, used, seen)
        if outcome == "skipped":
            return outcome
        if test.expects == "expectedFailure":
            if outcome == "failed":
                return "xfailed"
            outcome = {"passed": "failed"}.get(outcome, outcome)
        at_run_time = any(f.does == "xfail" for f in used) and outcome != "error"
        if test.expects in ("xfail", "strict") or at_run_time:
            if outcome == "passed":
                return "failed" if test.expects == "strict" else "xpassed"
            return "xfailed"
        return outcome

    def _call(self, test: Test, used: Iterable[Fixture], seen: "Seen") -> str:
        failed = False
        for fixture in used:
            if fixture.does == "verdict":
                check = self.check(fixture.asks[0], test.module)
                assert check is not None
                seen.judged.add(check.number)
                failed |= not check.good()
        if failed:
            return "error"
        awaited = self.awaited(test)
        if not awaited and self.marks(test)[0]:
            return "failed"  # a mark of its own that awaits nothing
        meant = {name: self.meant(name, test) for name in awaited}
        if None in meant.values():
            return "failed"  # at once: it waits for none
        for name, codes in awaited.items():
            check = meant[name]
            assert check is not None
            seen.judged.add(check.number)
            failed |= not check.good(codes)
        if failed:
            return "failed"
        for verb, name in test.body:
            outcome = self._step(verb, self.check(name, test.module), seen)
            if outcome != "passed":
                return outcome
        # What only the body has requested is awaited behind it.
        for name in [name for verb, name in test.body if verb == "get"]:
            there = self.awaited(test, name)
            check = self.check(name, test.module)
            if name in there and check is not None:
                seen.judged.add(check.number)
                failed |= not check.good(there[name])
        return "failed" if failed else "passed"

    def _step(self, verb: str, check: Check | None, seen: "Seen") -> str:
        if check is None:
            return {"fail": "failed", "skip": "skipped"}[verb]
        if verb in ("rc", "verdict"):
            seen.judged.add(check.number)
        elif verb != "get":
            seen.heard.add(check.number)
        good = {
            "get": True,
            "rc": True,
            "verdict": check.good(),
            "text": not check.cut,
            "absent": not check.cut and b"ERROR" not in check.out,
        }[verb]
        return "passed" if good else "failed"

    def statuses(self) -> set[int]:
        """Return the exit statuses that the run may have, if it runs to its end."""
        seen = Seen()
        outcomes = {test: self.expected(test, seen) for test in self.tests}
        if {"failed", "error"} & set(outcomes.values()):
            return {1}
        unjudged: dict[Check, set[str]] = {}
        for test, outcome in outcomes.items():
            got = [self.check(name, test.module) for verb, name in test.body if verb == "get"]
            named = [self.meant(name, test) for name in self.awaited(test)]
            for check in (*self.requested(test), *got, *named):
                if check is not None and check.number not in seen.judged:
                    unjudged.setdefault(check, set()).add(outcome)
        if not unjudged or self.unawaited == "ignore":
            return {0}
        certain = [
            check
            for check, by in unjudged.items()
            if by & {"passed", "xpassed"} and check.place != "called"
        ]
        if self.unawaited == "fail" and certain:
            return {1}
        if any(not check.good() for check in certain):
            return {1}
        # One that nobody waited for may still run at the end. Whether a test whose set-up failed as
        # expected has run, who requests what was started by a call, and what "fail" is for skipped
        # tests, is nowhere said.
        if all(check.good() and check.number in seen.heard for check in unjudged):
            return {0} if self.unawaited == "warn" else {0, 1}
        return {0, 1}


def read_tells(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the outcomes that the suite's reporter told, by test, and the deselected tests."""
    outcomes: dict[str, str] = {}
    deselected: list[str] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        told = json.loads(line)
        if "deselected" in told:
            deselected += [nodeid.partition("[")[0] for nodeid in told["deselected"]]
            continue
        test, when, outcome = told["test"].partition("[")[0], told["when"], told["outcome"]
        if outcome == "failed":
            outcomes[test] = "failed" if when == "call" else "error"
        elif when == "call" or outcome == "skipped":
            outcomes[test] = (
                {"passed": "xpassed", "skipped": "xfailed"}[outcome] if told["xfail"] else outcome
            )
    return outcomes, deselected
