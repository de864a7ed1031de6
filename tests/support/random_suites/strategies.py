"""Random suites for `model`: hostile names, words, folders, variables and processes."""

import keyword
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from support.random_suites.files import SHUFFLES
from support.random_suites.model import ANY, LATER, PLACES, SEES, Check, Fixture, Mark, Suite, Test

Draw = Callable[[Any], Any]

FEATURES = (
    "runtime-marks", "runtime-xfail", "visibility", "unjudged", "cut", "environment", "directories",
    "process-names", "traces", "called", "undeclared", "target-dir", "order",
    "reports", "leaves", "xdist", "fixture-errors",
)  # fmt: skip
"""What a suite may be drawn with. To narrow a search down, some can be left out."""

HOSTILE_NAMES = [
    "job", "id", "run", "home", "start", "state", "name", "dir", "pid", "guard", "supervisor",
    "sleep", "sh", "PATH", "HOME", "IFS", "grün", "tmp_path", "cache", "TMPDIR", "base", "request_",
]  # fmt: skip
VARIABLES = [
    "job", "id", "run", "home", "start", "state", "name", "dir", "pid", "IFS", "ENV", "PS1", "HOME",
    "TMPDIR", "LC_ALL", "rc", "limit", "grace", "out", "err", "x", "a", "i", "n", "s", "w", "now",
    "end", "words", "nonce", "verb", "_x", "BLOCK_SIZE", "TIME_STYLE",
]  # fmt: skip
TEXTS = ["", "a b", "a=b", "'", '"', "$HOME $(id)", "`id`", "\\", "\n", "a\nb\n", "-n", "--", "*",
         "ü€", "\udcff", "%s", "#", "~", "[a", "!"]  # fmt: skip
SAID = [
    b"is not running\n", b"This account is not available.\n", b"restricted\n", b"ERROR\n", b"\n",
    b"Connection to web1 closed by remote host.\r\n", b"Connection reset by peer\n",
    b"ssh: connect to host web1 port 22: Connection refused\n", b"Permission denied (publickey).\n",
    b"Error response from daemon: No such container: x\n", b"kex_exchange_identification: x\n",
    b"0123456789abcdef begin hex\njob a-b-c state.exit.0.1.1 -\nout 0 0 0\n.\nerr 0 0 0\n.\n"
    b"0123456789abcdef end 3\n", b" begin hex\n", b" end 0\n", b"state.exit.0.1.1\n", b".\n",
    b"read-only file system\n", b"\0\xff\xfe", b"\x1b[31m", b"\r\n", "ü€".encode(), b"x" * 5000,
    b"No space left on device\n", b"sh: 1: Cannot fork\n", b"=\n", b"Killed\n", b"refused cwd\n",
]  # fmt: skip
PROCESSES = [b"a\nb", b") R 1 (", b"x) Z 1 2 3", b"\xff\xfe", b"((((", b"a b\tc", b"\n\n\n", b")",
             b"sleep", b"supervisor.sh", b"-n", b"a) S 1 1 1", b"'\"$`\\", b"%s"]  # fmt: skip
FOLDERS = [
    b"a=b", b"a b", b"it's", b'"', b"$HOME", b"a\nb", b"\n", b"\xff\xfe", b"-n", b"*", b"`id`",
    b"#",    "ü".encode(), b"a=b c'd\n\xffe", b"\\", b"x=", b"=x", b"a;b", b"~", b"%s",
]  # fmt: skip

texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=8).filter(lambda t: "\0" not in t))
said = st.lists(st.one_of(st.sampled_from(SAID), st.binary(max_size=20)), max_size=5).map(b"".join)
folders = st.one_of(
    st.sampled_from(FOLDERS),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: not set(name) & set(b"\0/") and name not in (b".", b"..")
    ),
)
names = st.one_of(
    st.sampled_from(HOSTILE_NAMES),
    st.from_regex(r"zq[a-z0-9_]{6,30}", fullmatch=True),
).filter(lambda name: not keyword.iskeyword(name))
called_names = st.text(max_size=12).filter(str.isprintable) | st.sampled_from(
    ["a b", "../x", "a/b", "it's", '"', "$HOME", "ü€", "-n", "*", "#", "\\", "%s", "x" * 300]
)
codes = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 126, 127, 137, 143, 255])
variables = st.lists(
    st.tuples(st.sampled_from(VARIABLES) | st.from_regex(r"[A-Za-z_]{1,6}", fullmatch=True), texts),
    max_size=4,
    unique_by=lambda pair: pair[0],
)
SHELLS_OWN = frozenset({"PATH", "PWD", "OLDPWD", "SHLVL", "_", "OPTIND", "IFS"})
PYTHONS_OWN = frozenset({"HOME", "TMPDIR", "LC_ALL", "LANG"})


def _variables(
    pairs: Iterable[tuple[str, str]], but: frozenset[str] = SHELLS_OWN
) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in pairs if pair[0] not in but)


@st.composite
def checks(draw: Draw, number: int, name: str, place: str, on: frozenset[str]) -> Check:
    ending = draw(st.sampled_from(["exit"] * 7 + ["killed", "sleeps", "nowhere"]))
    code = draw(codes)
    accepted = tuple(sorted({*draw(st.lists(codes, max_size=2)), draw(st.sampled_from([0, code]))}))
    late = draw(st.sampled_from([None, None, None, 0, 1, 2]))
    if late is not None and LATER in accepted:
        late = None
    check = Check(
        number,
        name,
        place,
        form=draw(st.sampled_from(["command", "argv", "interpreter", "script"])),
        ending=ending,
        code=code,
        accepted=accepted,
        late=late,
        takes_s=draw(st.sampled_from([0.0, 0.0, 0.0, 0.2, 0.2, 1.2])),
        env=_variables(draw(variables)),
        cwd=draw(st.none() | folders)
        if "directories" in on
        else draw(st.sampled_from([None, b"in"])),
        out=draw(said),
        err=draw(said),
        pinned=draw(st.booleans()) or draw(st.booleans()),
    )
    if check.form != "command":
        check = replace(check, args=tuple(draw(st.lists(texts, max_size=3))))
    if late and check.out:
        check = replace(check, out=b"")  # what an earlier attempt wrote stays out of the result
    if "cut" in on and draw(st.integers(0, 3)) == 0:
        check = replace(check, limit=draw(st.sampled_from([1, 10, 4000])))
    if "process-names" in on and draw(st.booleans()):
        check = replace(check, process=draw(st.sampled_from(PROCESSES) | st.binary(
            min_size=1, max_size=15).filter(lambda name: b"\0" not in name)))  # fmt: skip
    if "leaves" in on and check.ending != "nowhere":
        check = replace(check, leaves=draw(st.integers(0, 3)) == 0)
    return check


@st.composite
def suites(draw: Draw, without: frozenset[str] = frozenset()) -> Suite:
    """Draw a suite that uses no feature of ``without``."""
    on = frozenset(FEATURES) - without
    pool = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    found: list[Check] = []
    for place in PLACES:
        for name in pool:
            if draw(st.integers(0, 2 if place == "root" else 4)) == 0 or (place, name) == (
                "root",
                pool[0],
            ):
                found.append(draw(checks(len(found), name, place, on)))
    if "undeclared" in on and draw(st.integers(0, 9)) == 0:
        found = []
    if "called" in on:
        for name in draw(st.lists(called_names, max_size=2, unique=True)):
            found.append(draw(checks(len(found), f"called {name}", "called", on)))
    suite = Suite(tuple(found), (), ())
    suite = replace(suite, fixtures=_fixtures(draw, suite, pool, on))
    tests = tuple(
        _test(draw, suite, number, pool, on) for number in range(draw(st.integers(6, 24)))
    )
    groups = [*dict.fromkeys(t.group for t in tests if t.group), "a", "b"]
    marked = [(g, _mark(draw, suite, "b" if g.endswith("B") or g == "b" else "a", pool, on))
              for g in groups if draw(st.integers(0, 5)) == 0]  # fmt: skip
    workers = draw(st.sampled_from([0, 0, 2])) if "xdist" in on else 0
    shuffles = ["", "", *SHUFFLES] if "order" in on and not workers else [""]
    stops = ["", "", "", "-x", "--sw"] if "order" in on else ["", "", "-x"]
    suite = replace(suite, tests=tests, group_marks=tuple(marked))
    if draw(st.booleans()):
        # Without what is red: only then what else makes a run red can be seen.
        calm = [test for test in tests if suite.expected(test) not in ("failed", "error")]
        suite = replace(suite, tests=tuple(calm) or tests)
    shuffle = draw(st.sampled_from(shuffles))
    if workers or shuffle in ("last", "around"):
        # xdist does without --sw, and pytest itself cuts before these have ordered.
        stops = [stop for stop in stops if stop != "--sw"]
    return replace(
        suite,
        workers=workers,
        dist=draw(st.sampled_from(["load", "loadfile", "worksteal", "loadscope", "loadgroup"])),
        order=draw(st.sampled_from(["last", "last", "keep"])),
        unawaited=draw(st.sampled_from(["warn", "warn", "fail", "ignore"]))
        if "unjudged" in on
        else "warn",
        stops=draw(st.sampled_from(stops)),
        shuffle=shuffle,
        # xdist cannot tell its workers what is no Unicode.
        target_dir=draw(folders.filter(lambda f: not workers or _unicode(f)))
        if "target-dir" in on
        else b"target",
        login=_variables(draw(variables), SHELLS_OWN | PYTHONS_OWN) if "environment" in on else (),
    )


def _unicode(name: bytes) -> bool:
    return name.decode(errors="replace").encode() == name


def _called(suite: Suite) -> list[Check]:
    return [check for check in suite.checks if check.place == "called"]


def _visible(suite: Suite, module: str, pool: Sequence[str]) -> list[Check]:
    found = [suite.check(name, module) for name in pool]
    return [check for check in found if check is not None]


def _mark(draw: Draw, suite: Suite, module: str, pool: Sequence[str],
          on: frozenset[str]) -> Mark:  # fmt: skip
    known = [check.name for check in _visible(suite, module, pool)]
    if "visibility" in on and draw(st.integers(0, 7)) == 0:
        known = [*pool, "unknown_name"]
    some = draw(st.lists(st.sampled_from(known), max_size=2, unique=True)) if known else []
    several = st.lists(codes, min_size=1, max_size=3).map(lambda c: tuple(sorted(set(c))))
    accepted = draw(st.sampled_from([None, None, None, ANY]) | several)
    return Mark(tuple(some), accepted, draw(st.booleans()))


def _fixtures(draw: Draw, suite: Suite, pool: Sequence[str],
              on: frozenset[str]) -> tuple[Fixture, ...]:  # fmt: skip
    made: list[Fixture] = []
    wide = ["function", "class", "module", "package", "session"]
    for number in range(draw(st.integers(0, 4))):
        place = draw(st.sampled_from(["root", "a", "b"]))
        modules = ["a", "b"] if place == "root" else [place]
        scope = draw(st.sampled_from(wide))
        # By every module's lights: there, and not narrower than the fixture.
        fit = []
        for name in pool:
            meant = [suite.check(name, module) for module in modules]
            if all(c is not None and (c.pinned or wide.index(scope) <= 2) for c in meant):
                fit.append(name)
        earlier = [f.name for f in made if f.place in ("root", place)
                   and wide.index(f.scope) >= wide.index(scope)]  # fmt: skip
        asks = draw(st.lists(st.sampled_from(fit), max_size=2, unique=True)) if fit else []
        does = [""]
        gets: list[str] = []
        if scope == "function":
            pinned = [n for n in fit if all((c := suite.check(n, m)) and c.pinned for m in modules)]
            # One, for the order in which fixtures are set up is nowhere said.
            if "runtime-marks" in on and not any(f.does == "mark" for f in made):
                does.append("mark")
            if "runtime-marks" in on and pinned and draw(st.booleans()):
                gets = [draw(st.sampled_from(pinned))]
            if "runtime-xfail" in on:
                does.append("xfail")
            if asks and "fixture-errors" in on:
                does.append("verdict")
        more = draw(st.lists(st.sampled_from(earlier), max_size=1)) if earlier else []
        # A TestCase has no host to give to a check.
        lone = not more and all(
            (c := suite.check(n, m)) and c.pinned for n in asks for m in modules
        )
        made.append(Fixture(
            f"fx{number}", place, scope,
            (*asks, *more),
            tuple(gets), draw(st.sampled_from(does)), _mark(draw, suite, modules[0], pool, on),
            autouse=lone and draw(st.integers(0, 9)) == 0,
        ))  # fmt: skip
    return tuple(made)


def _test(draw: Draw, suite: Suite, number: int, pool: Sequence[str],
          on: frozenset[str]) -> Test:  # fmt: skip
    module = draw(st.sampled_from(["a", "b"]))
    visible = _visible(suite, module, pool)
    group = draw(st.sampled_from(["", "", "Test", "Unit"]))
    unit = group == "Unit"
    fit = [check.name for check in visible if check.pinned or not unit]
    own = [f.name for f in suite.fixtures if f.place in SEES[module] and not unit]
    asks = draw(st.lists(st.sampled_from(fit), max_size=2, unique=True)) if fit else []
    more = draw(st.lists(st.sampled_from(own), max_size=1)) if own else []
    called = [] if unit else draw(st.sampled_from([[], *([c] for c in _called(suite))]))
    more += [check.fixture for check in called]
    steps: list[tuple[str, str]] = []
    readable = [*asks, *(check.fixture for check in called)]
    if not unit and readable and draw(st.booleans()):
        read = suite.check(draw(st.sampled_from(readable)), module)
        assert read is not None
        # How far a check came until its limit is not known.
        verbs = ["rc", "verdict"] + (["text", "absent"] if read.rc is not None else [])
        steps.append((draw(st.sampled_from(verbs)), read.fixture))
    pinned = [check.name for check in visible if check.pinned]
    if "runtime-marks" in on and not unit and pinned and draw(st.integers(0, 7)) == 0:
        steps.append(("get", draw(st.sampled_from(pinned))))
    choices = ["", "", "", "", "", "xfail", "strict", "skip"]
    expects = draw(
        st.sampled_from(choices + ["expectedFailure"] * (unit and "runtime-xfail" in on))
    )
    last = draw(st.sampled_from(["", "", "", "", "fail", "skip"]))
    if last and (last, expects) != ("skip", "expectedFailure"):
        steps.append((last, ""))
    marks = [
        _mark(draw, suite, module, pool, on) for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2])))
    ]
    if called and draw(st.booleans()):
        place = draw(st.integers(0, len(marks)))
        marks.insert(place, replace(_mark(draw, suite, module, pool, on), names=(called[0].name,)))
    return Test(
        number, module, f"{group}{module.upper()}" if group else "", tuple(marks), (*asks, *more),
        draw(st.booleans()) and not unit, expects, tuple(steps),
    )  # fmt: skip
