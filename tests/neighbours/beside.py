"""Runs the small suite beside one plugin, and says what is not as it should be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from .environments import CannotInstall, Environment, make
from .outcomes import Ended, Run, run
from .plugins import CHECKS, Neighbour
from .table import Row

SUITES = Path(__file__).with_name("suites")
LIMIT_S = 90.0

ENDINGS = {
    "_check_fails": ("failed", "background check 'bad' on local failed: rc 3"),
    "_times_out": ("failed", "background check 'slow' on local timed out"),
    "_fails": ("failed", ""),
    "_passes": ("passed", ""),
    "_skips": ("skipped", ""),
    "_xfails": ("xfailed", ""),
}
"""What a test's name ends in: its outcome, and what its failure must say. The first that fits."""

AGAIN = ("rerun", "retried")
"""The outcomes of a test that is to be run again."""


def row(neighbour: Neighbour, base: Environment, work: Path) -> Row:
    """Run the suite beside a plugin, alone and with workers."""
    environment = make(work / "environment", base)
    try:
        environment.install(neighbour.package, *neighbour.requirements)
    except CannotInstall as error:
        return Row(neighbour.package, "?", "", "", [f"not installed: {error}"], failed=True)
    ways: dict[str, str] = {}
    problems: list[str] = []
    for way, args in {"alone": (), "-n 2": ("-n2", f"--dist={neighbour.dist}")}.items():
        if way == "-n 2" and not neighbour.workers:
            ways[way] = "not run"
            continue
        directory = work / way.replace(" ", "")
        found = list(_problems(neighbour, environment, directory, args))
        differs = "not supported" if neighbour.unsupported else "differs"
        ways[way] = differs if found else "same"
        problems += [f"{way}: {problem}" for problem in found]
    return Row(
        neighbour.package,
        environment.version(neighbour.package),
        ways["alone"],
        ways["-n 2"],
        problems,
        neighbour.note,
        failed=bool(problems) and not neighbour.unsupported,
    )


def _problems(
    neighbour: Neighbour, environment: Environment, directory: Path, args: Sequence[str]
) -> Iterator[str]:
    directory.mkdir()
    names = set()
    for suite in (CHECKS, *neighbour.suites):
        text = SUITES.joinpath(suite).read_text()
        text = re.sub(r"MARK\((\d)\)", lambda found: neighbour.mark.format(found[1]), text)
        directory.joinpath(f"test_{suite}").write_text(text)
        names |= set(re.findall(r"def (test_\w+)", text)) - set(neighbour.broken)
    directory.joinpath("pytest.ini").write_text("[pytest]\n")
    temporary = directory / "tmp"
    temporary.mkdir()
    counted = directory / "count"
    own = {"TMPDIR": str(temporary), "COUNT": str(counted)}
    done = run(environment.python, directory, [*neighbour.options, *args], own, LIMIT_S)
    yield from unexpected(done, names, neighbour.copies)
    counts = Counter(counted.read_text().split() if counted.exists() else ())
    for check, count in sorted(counts.items()):
        if count != 1:
            yield f"check {check!r} ran {count} times"
    left = [path.name for path in temporary.glob("pytest-bgcheck-*/*")]
    if left:
        yield f"left on the target: {', '.join(left)}"


def unexpected(done: Run, names: set[str], copies: int = 1) -> Iterator[str]:
    """Yield what differs from what the tests' names say, a line for each."""
    if done.status is None:
        yield f"no end within {LIMIT_S:g} s"
    elif done.status != 1:
        yield f"exit status {done.status}, not 1"
    for word in ("INTERNALERROR", "Exception in thread", "internal error"):
        if word in done.output:
            line = next(line for line in done.output.splitlines() if word in line)
            yield f"the output has: {line.strip()[:200]}"
    if not done.tests:
        words = done.output.split()
        yield f"ran no test; its last words: {' '.join(words[-12:])}"
        return
    by_name: dict[str, list[Ended]] = {}
    for test, ended in done.tests.items():
        by_name.setdefault(test.partition("[")[0].rpartition("::")[2], []).append(ended)
    for name in sorted(names):
        # pytest-repeat leaves unittest's tests alone.
        least = 1 if name.startswith("test_case_") else copies
        yield from _of_test(name, by_name.get(name, []), least)


def _of_test(name: str, all_ended: Sequence[Ended], copies: int) -> Iterator[str]:
    expected, text = next(value for end, value in ENDINGS.items() if name.endswith(end))
    outcomes = [o for ended in all_ended for o in ended.outcomes if o not in AGAIN]
    if len(outcomes) < copies:
        yield f"{name} ran {len(outcomes)} times, not {copies}"
    wrong = sorted(set(outcomes) - {expected})
    if wrong:
        yield f"{name}: {', '.join(wrong)}, not {expected}"
    elif any(text not in ended.text for ended in all_ended):
        seen = next(e.text for e in all_ended if text not in e.text).strip().splitlines()
        yield f"{name} does not say {text!r} but {seen[-1] if seen else ''!r}"
