"""The own test suites of plugins, with this plugin installed and without it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .environments import Environment, make
from .outcomes import Run, run
from .table import Row

LIMIT_S = 1800.0
TRIES = 2
"""How often a difference must repeat: suites have tests that fail now and then."""


@dataclass(frozen=True)
class Project:
    """A plugin whose own suite is run: where its tests stand, and what they need.

    ``removed``: its source, so that the installed package is tested, and what cannot be had here.
    """

    package: str
    tests: str
    removed: tuple[str, ...]
    needs: tuple[str, ...] = ()


PROJECTS = (
    Project("pytest-xdist", "testing", ("src",), ("filelock",)),
    # It would build the images, from a registry. Without them, what needs one fails in both.
    Project(
        "pytest-testinfra",
        "test",
        ("testinfra", "images/debian_bookworm", "images/rockylinux9"),
        ("paramiko", "ansible-core"),
    ),
    Project("pytest-rerunfailures", "tests", ("src",)),
)


def row(project: Project, without: Environment, beside: Environment, work: Path) -> Row:
    """Run a project's suite in both environments, side by side; compare test by test."""
    # On top of the two, since a plugin that is installed below takes part in every run.
    plain = make(work / "environment-without", without)
    plain.install(project.package, *project.needs)
    pythons = {
        "without": plain.python,
        "with": make(work / "environment-with", plain, beside).python,
    }
    version = plain.version(project.package)
    source = _source(project, version, work)
    directories = {}
    for name in ("without", "with"):
        directories[name] = shutil.copytree(source, work / name)
        for path in project.removed:
            shutil.rmtree(directories[name] / path)

    def both(*tests: str) -> tuple[Run, Run]:
        def one(name: str) -> Run:
            args = ["-q", "-n2", "-p", "no:cacheprovider", *(tests or [project.tests])]
            own = {"DOCKER_HOST": "unix:///nonexistent", "TMPDIR": str(directories[name])}
            return run(pythons[name], directories[name], args, own, LIMIT_S)

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(one, pythons)
        return first, second

    runs = both()
    different = differences(*runs)
    for _ in range(TRIES):
        if not different:
            break
        again = differences(*both(*different))
        different = {test: again[test] for test in different if test in again}
    problems = [f"{test}: {was}, with the plugin {now}" for test, (was, now) in different.items()]
    problems += [f"no end within {LIMIT_S:g} s" for done in runs if done.status is None]
    count = len(runs[0].tests)
    if not count:
        problems.append(f"ran no test: {runs[0].output[-300:]}")
    told = f"{count} tests, same" if not problems else f"{len(problems)} of {count} tests differ"
    return Row(
        f"own suite of {project.package}", version, "", told, problems, failed=bool(problems)
    )


def differences(without: Run, beside: Run) -> dict[str, tuple[str, str]]:
    """Return the tests that ended differently, with how they ended."""

    def words(done: Run) -> dict[str, str]:
        return {test: " ".join(ended.outcomes) for test, ended in done.tests.items()}

    first, second = words(without), words(beside)
    return {
        test: (first.get(test, "not run"), second.get(test, "not run"))
        for test in first | second
        if first.get(test) != second.get(test)
    }


def _source(project: Project, version: str, work: Path) -> Path:
    """Download and unpack a project's source; return its directory."""
    what = f"{project.package}=={version}"
    words = ["download", "-q", "--no-deps", "--no-binary=:all:", "-d", str(work), what]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (archive,) = work.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(work / "source", filter="data")
    (directory,) = (work / "source").iterdir()
    return directory
