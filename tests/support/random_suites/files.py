"""The files of a suite of `model`: a real one, whose checks write what they saw."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from support.random_suites.model import LATER, PLACES, SEES, Check, Fixture, Suite, Test

REPORTER = """
import json, os

def _tell(**facts):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with open(os.environ["SUITE_TELLS"], "a") as file:
            file.write(json.dumps(facts) + "\\n")

def pytest_runtest_logreport(report):
    _tell(test=report.nodeid, when=report.when, outcome=report.outcome,
          xfail=hasattr(report, "wasxfail"))

def pytest_deselected(items):
    _tell(deselected=[item.nodeid for item in items])
"""

SHUFFLES = {
    "": "",
    "randomly": "",
    "first": "\n@pytest.hookimpl(tryfirst=True)\ndef pytest_collection_modifyitems(items):\n"
    "    items.reverse()\n",
    "last": "\n@pytest.hookimpl(trylast=True)\ndef pytest_collection_modifyitems(items):\n"
    "    items.reverse()\n",
    "around": "\n@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
    "def pytest_collection_modifyitems(items):\n    result = yield\n    items.reverse()\n"
    "    return result\n",
}
"""What else may order a suite's tests, by hooks of its own."""


def witness(files: Path, check: Check) -> Path:
    """Return a check's own directory, in which it tells what it saw.

    No process on the target has the check's name in its arguments because of us.
    """
    return files / str(check.number)


def _program(home: Path, check: Check) -> str:
    """Return a shell program that tells its witness, and comes to the check's ending."""
    here = shlex.quote(str(home))
    lines = [
        f"env -0 >{here}/env",
        f'printf %s "$PWD" >{here}/cwd',
        f'printf "%s\\0" "$@" >{here}/args',
        f"echo begun >>{here}/log",
        f"grep -lFf {here}/name /proc/[0-9]*/cmdline 2>/dev/null"
        f" | while read -r file; do tr '\\0' ' ' <$file; echo; done >>{here}/seen",
    ]
    if check.process is not None:
        name = "".join(f"\\0{byte:03o}" for byte in check.process)
        lines.append(f"printf %b '{name}' >/proc/$$/comm")
        if check.leaves:
            lines.append(f"(setsid sh -c 'printf %b \"{name}\" >/proc/$$/comm; sleep 900; :' &)")
    if check.leaves:
        lines.append("(setsid sleep 900 &)")
    lines += [f"cat {here}/out", f"cat {here}/err >&2"]
    if check.takes_s:
        lines.append(f"sleep {check.takes_s}")
    if check.late:
        lines.append(f'[ "$(grep -c begun {here}/log)" -gt {check.late} ] || exit {LATER}')
    lines += {
        "exit": [f"echo ended {check.code} >>{here}/log", f"exit {check.code}"],
        "killed": [f"echo ended 137 >>{here}/log", "kill -9 $$"],
        "sleeps": ["sleep 900"],
        "nowhere": ["exit 0"],
    }[check.ending]
    return "\n".join(lines) + "\n"


def _fixture_source(fixture: Fixture) -> str:
    words = [f"scope={fixture.scope!r}"]
    if fixture.autouse:
        words.append("autouse=True")
    names = ", ".join(["request", *fixture.asks])
    lines = [f"@pytest.fixture({', '.join(words)})", f"def {fixture.name}({names}):"]
    lines += [f"    request.getfixturevalue({name!a})" for name in fixture.gets]
    if fixture.does == "mark":
        lines.append(f"    request.node.add_marker({fixture.mark.source()})")
    elif fixture.does == "xfail":
        lines.append("    request.node.add_marker(pytest.mark.xfail(strict=False))")
    elif fixture.does == "verdict":
        lines.append(f"    assert {fixture.asks[0]}.succeeded")
    return "\n".join([*lines, "    return 1"]) + "\n"


def write(suite: Suite, folder: Path) -> None:
    """Write the suite, and what its checks need and tell."""
    (folder / "inner").mkdir(parents=True)
    (folder / ".files").mkdir()
    for check in suite.checks:
        _write_check(folder / ".files", check)
    for place, file in PLACES.items():
        (folder / file).write_text(_source(suite, place, folder / ".files"), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n")


def _write_check(files: Path, check: Check) -> None:
    home = witness(files, check)
    home.mkdir()
    (home / "out").write_bytes(check.out)
    (home / "err").write_bytes(check.err)
    (home / "name").write_text(check.name)
    cwd = _cwd(files, check)
    if check.sure_to_run and cwd is not None:
        cwd.mkdir(parents=True)
    (home / "program").write_text(f"#!/bin/sh\n{_program(home, check)}")
    (home / "program").chmod(0o755)
    if check.cwd is not None and check.form != "command":
        shadow = home / "by" / os.fsdecode(check.cwd)
        shadow.mkdir(parents=True)
        (home / "program").rename(shadow / "program")


def _cwd(files: Path, check: Check) -> Path | None:
    if check.ending == "nowhere":
        return witness(files, check) / "nowhere"
    return None if check.cwd is None else witness(files, check) / "in" / os.fsdecode(check.cwd)


def _source(suite: Suite, place: str, files: Path) -> str:
    """Return the text of a conftest or of a module."""
    parts = ["import unittest\nimport pytest\n"]
    if place == "root":
        parts.append(REPORTER + SHUFFLES[suite.shuffle])
    mine = [check for check in suite.checks if check.place == place]
    if mine:
        parts.append("from pytest_bgcheck import background_check\n")
    parts += [_declaration(files, check) for check in mine]
    if place == "root":
        called = [check for check in suite.checks if check.place == "called"]
        parts += [_declaration(files, check) for check in called]
    parts += [_fixture_source(f) for f in suite.fixtures if f.place == place]
    if place in SEES:
        marks = [mark.source() for name, mark in suite.group_marks if name == place]
        if marks:
            parts.append(f"pytestmark = [{', '.join(marks)}]\n")
        groups: dict[str, list[Test]] = {}
        for test in suite.tests:
            if test.module == place:
                groups.setdefault(test.group, []).append(test)
        for group, tests in groups.items():
            parts += _group_source(suite, group, tests)
    return "\n".join(parts)


def _declaration(files: Path, check: Check) -> str:
    home = witness(files, check)
    program = home / "program"
    if check.cwd is not None and check.form != "command":
        program = home / "by" / os.fsdecode(check.cwd) / "program"
    words: list[str] = []
    if check.form == "command":
        words.append(ascii(_program(home, check)))
    elif check.form == "argv":
        words.append(ascii([str(program), *check.args]))
    elif check.form == "interpreter":
        words.append(ascii(["sh", str(program), *check.args]))
    else:
        path = program.relative_to(files.parent) if check.place == "root" else program
        words.append(f"script={str(path)!a}, args={list(check.args)!a}")
    limited = check.ending == "sleeps" or (check.late is not None and check.rc is None)
    words.append("timeout=0.7, grace=0.3" if limited else "timeout=100")
    if check.accepted != (0,):
        words.append(f"rc={set(check.accepted)}")
    if check.late is not None:
        words.append("retry_every=0.1")
    if check.env:
        words.append(f"env={dict(check.env)!a}")
    cwd = _cwd(files, check)
    if cwd is not None:
        words.append(f"cwd={str(cwd)!a}")
    if check.limit is not None:
        words.append(f"output_limit={check.limit}")
    if check.pinned:
        words.append("host='local://'")
    if check.place == "called":
        start = f"bgcheck.start({', '.join(words)}, name={check.name!a})"
        return (
            f"@pytest.fixture(scope='session')\ndef {check.fixture}(bgcheck):\n    return {start}\n"
        )
    return f"{check.name} = background_check({', '.join(words)})\n"


def _group_source(suite: Suite, group: str, tests: Sequence[Test]) -> list[str]:
    if not group:
        return [_test_source(suite, test, "") for test in tests]
    marks = [f"@{mark.source()}\n" for name, mark in suite.group_marks if name == group]
    base = "(unittest.TestCase)" if group.startswith("Unit") else ""
    bodies = [_test_source(suite, test, "    ") for test in tests]
    return [f"{''.join(marks)}class {group}{base}:\n" + "\n".join(bodies)]


def _test_source(suite: Suite, test: Test, indent: str) -> str:
    lines = []
    expects = {"skip": "pytest.mark.skip", "xfail": "pytest.mark.xfail(strict=False)",
               "strict": "pytest.mark.xfail(strict=True)",
               "expectedFailure": "unittest.expectedFailure"}  # fmt: skip
    if test.expects:
        lines.append(f"@{expects[test.expects]}")
    lines += [f"@{mark.source()}" for mark in test.marks[::-1]]
    unit = test.group.startswith("Unit")
    if unit and test.asks:
        lines.append(f"@pytest.mark.usefixtures({', '.join(map(ascii, test.asks))})")
    names = ["self"] if test.group else []
    if not unit:
        gets = any(verb == "get" for verb, _ in test.body)
        names += [*test.asks, *(["host"] if test.host else []), *(["request"] if gets else [])]
    lines.append(f"def test_{test.number}({', '.join(names)}):")
    steps = [_step_source(suite, verb, name, test) for verb, name in test.body]
    lines += [f"    {step}" for step in steps or ["pass"]]
    return "".join(f"{indent}{line}\n" for line in lines)


def _step_source(suite: Suite, verb: str, name: str, test: Test) -> str:
    check = suite.check(name, test.module)
    out = b"" if check is None else check.out
    return {
        "fail": "assert not 'the body ran'",
        "skip": "pytest.skip('the body ran')",
        "get": f"request.getfixturevalue({name!a})",
        "rc": f"assert {name}.rc == {None if check is None else check.rc}",
        "verdict": f"assert {name}.succeeded",
        "text": f"assert {name}.stdout == {out.decode(errors='replace')!a}",
        "absent": f"assert 'ERROR' not in {name}.stdout",
    }[verb]


def arguments(suite: Suite, target: str) -> list[str]:
    """Return pytest's arguments for the suite, and a directory on the target."""
    words = ["-p", "no:asyncio", "-p", "no:hypothesispytest"]
    # One seed: in another order --sw rightly leaves out what never ran.
    words += ["--randomly-seed=7"] if suite.shuffle == "randomly" else ["-p", "no:randomly"]
    words += [f"--bgcheck-order={suite.order}", f"--bgcheck-unawaited={suite.unawaited}"]
    words += [f"--bgcheck-dir={target}", "--bgcheck-report=report.json"]
    if suite.workers:
        words += ["-n", str(suite.workers), "--dist", suite.dist]
    return [*words, *([suite.stops] if suite.stops else [])]
