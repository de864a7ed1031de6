"""Command line and ini file, turned into frozen values once.

A message says which of them was wrong. Imports only pytest.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

UNAWAITED = ("warn", "fail", "ignore")
"""What a job can make of the run that nobody judged; the default first."""

LONGEST_S = 10 * 86400.0
"""The supervisor counts centiseconds modulo 11.5 days."""

SESSION: pytest.StashKey[Any] = pytest.StashKey()
"""Where the plugin keeps its session on the config; here, so that declared fixtures find it."""

MAKE_SESSION: pytest.StashKey[Callable[[], Any]] = pytest.StashKey()
"""How to make it if only a running test turns out to need it."""

DEFAULT_TIMEOUT_S = 360.0


@dataclass(frozen=True)
class Settings:
    """The options of a session."""

    timeout_s: float
    order: str
    unawaited: str
    dir: str
    forks: int
    plan: bool
    keep: bool
    reports: tuple[Path, ...] = ()
    github_summary: bool = True
    junit_properties: bool = True


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("bgcheck", "background checks on the targets")

    def both(stem: str, help: str, **kwargs: Any) -> None:
        group.addoption(f"--bgcheck-{stem}", dest=f"bgcheck_{stem}", help=help, **kwargs)
        parser.addini(f"bgcheck_{stem}", help)

    both("timeout", "seconds a check may run on its target if it does not say (default: 360)",
         metavar="SECONDS")  # fmt: skip
    both("order", "tests that await checks: 'last', behind the others (default), or 'keep'",
         metavar="last|keep")  # fmt: skip
    both("unawaited", "a check that no test judged, though one that requests it has run, fails the"
         " run if it did not succeed ('warn', default), in any case ('fail') or never ('ignore')",
         metavar="|".join(UNAWAITED))  # fmt: skip
    both("dir", "directory for the run's files on the targets (default: their TMPDIR or /tmp)",
         metavar="DIR")  # fmt: skip
    both("forks", "hosts spoken to at once to start and to clean up (default: 32)", metavar="N")
    group.addoption("--bgcheck-plan", action="store_true", dest="bgcheck_plan",
                    help="show checks, hosts and awaiting tests; start nothing")  # fmt: skip
    group.addoption("--bgcheck-report", action="append", dest="bgcheck_report", metavar="PATH",
                    help="write a report of the run, .json or .html by its ending; repeatable;"
                    " .html needs pytest-bgcheck[report]")  # fmt: skip
    parser.addini("bgcheck_github_summary", "on GitHub, add to the step's summary and annotate"
                  " checks that did not succeed", type="bool", default=True)  # fmt: skip
    parser.addini("bgcheck_junit_properties", "tell in the JUnit report, as properties of each"
                  " test, what its checks did", type="bool", default=True)  # fmt: skip
    group.addoption("--bgcheck-keep", action="store_true", dest="bgcheck_keep",
                    help="leave the run's files on the targets")  # fmt: skip


def from_config(config: pytest.Config) -> Settings:
    """Read the session's options. Raises pytest.UsageError that names the option."""

    def value(stem: str) -> tuple[str | None, str]:
        given = config.getoption(f"bgcheck_{stem}")
        if given is not None:
            return given, f"--bgcheck-{stem}"
        return config.getini(f"bgcheck_{stem}") or None, f"ini option bgcheck_{stem}"

    def choice(stem: str, *choices: str) -> str:
        given, origin = value(stem)
        if given is None:
            return choices[0]
        if given not in choices:
            raise pytest.UsageError(f"{origin}: {given!r} is none of {', '.join(choices)}")
        return given

    def number(stem: str, default: float, read: type[int] | type[float]) -> float:
        given, origin = value(stem)
        if given is None:
            return default
        try:
            result = read(given)
        except ValueError:
            raise pytest.UsageError(f"{origin}: {given!r} is no number") from None
        if not 0 < result <= LONGEST_S:
            raise pytest.UsageError(f"{origin}: {given!r} is out of range")
        return result

    directory, origin = value("dir")
    if directory is not None and (not directory.startswith("/") or "\0" in directory):
        raise pytest.UsageError(f"{origin}: {directory!r} is no absolute path")
    return Settings(
        timeout_s=number("timeout", DEFAULT_TIMEOUT_S, float),
        order=choice("order", "last", "keep"),
        unawaited=choice("unawaited", *UNAWAITED),
        dir=directory or "",
        forks=int(number("forks", 32, int)),
        plan=config.getoption("bgcheck_plan"),
        keep=config.getoption("bgcheck_keep"),
        reports=_reports(config),
        github_summary=config.getini("bgcheck_github_summary"),
        junit_properties=config.getini("bgcheck_junit_properties"),
    )


def only_looks(config: pytest.Config) -> bool:
    """Return whether pytest was asked to show something, and runs no test."""
    modes = ("collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test")
    return any(config.getoption(mode, False) for mode in (*modes, "bgcheck_plan"))


def keeps_order(config: pytest.Config) -> bool:
    """Return whether pytest was asked for an order of its own, which may be remembered.

    ``--stepwise`` skips, in the next run, what stood before the test that failed: as collected.
    """
    return any(config.getoption(mode, False) for mode in ("stepwise", "failedfirst", "newfirst"))


def _reports(config: pytest.Config) -> tuple[Path, ...]:
    given = config.getoption("bgcheck_report") or ()
    paths = [config.invocation_params.dir / path for path in given]
    for path in paths:
        if path.suffix not in (".json", ".html"):
            raise pytest.UsageError(f"--bgcheck-report: {path.name!r} is neither .json nor .html")
        if path.suffix == ".html" and importlib.util.find_spec("jinja2") is None:
            raise pytest.UsageError(
                f"--bgcheck-report: {path.name} needs jinja2: pip install 'pytest-bgcheck[report]'"
            )
    return tuple(paths)
