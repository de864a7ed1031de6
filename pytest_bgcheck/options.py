"""Command line and ini file, turned into frozen values once.

A message says which of them was wrong. Imports only pytest.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

UNAWAITED = ("warn", "fail", "ignore")
"""What a job can make of the run that nobody judged; the default first."""

LONGEST_S = 10 * 86400.0
"""The supervisor counts centiseconds modulo 11.5 days."""


@dataclass(frozen=True)
class Settings:
    """The options of a session."""

    timeout_s: float
    service_timeout_s: float
    order: str
    unawaited: str
    dir: str
    forks: int
    plan: bool
    keep: bool
    reports: tuple[Path, ...]
    report_title: str
    github_summary: bool
    junit_properties: bool

    @property
    def timeouts_s(self) -> dict[str, float]:
        """The timeouts of declarations that have none of their own, by the kind of job."""
        return {
            "check": self.timeout_s,
            "service": self.service_timeout_s,
            "probe": self.service_timeout_s,
        }


@dataclass(frozen=True)
class Option:
    """A row: an option, the field of `Settings` that it becomes, its default, and what reads it.

    ``read`` raises ValueError that says what is wrong with what was given. ``command_line`` and
    ``ini`` are pytest's own keywords for the option, None where there is no such option.
    """

    name: str
    field: str
    default: object
    read: Callable[[Any], object]
    command_line: Mapping[str, Any] | None
    ini: Mapping[str, Any] | None
    help: str

    @property
    def words(self) -> str:
        """The option as it is on the command line."""
        return f"--bgcheck-{self.name.replace('_', '-')}"

    def value(self, config: pytest.Config) -> object:
        """Return the value, the command line's first. Raises UsageError that names the option."""
        given, origin = None, ""
        if self.command_line is not None:
            given, origin = config.getoption(f"bgcheck_{self.name}"), self.words
        if given is None and self.ini is not None:
            given, origin = config.getini(f"bgcheck_{self.name}"), f"ini option bgcheck_{self.name}"
            given = None if given == "" else given
        if given is None:
            return self.default
        try:
            return self.read(given)
        except ValueError as error:
            raise pytest.UsageError(f"{origin}: {error}") from None


def _number(kind: type[float] | type[int]) -> Callable[[str], float]:
    def read(given: str) -> float:
        try:
            number = kind(given)
        except ValueError:
            raise ValueError(f"must be a number, not {given!r}") from None
        if not 0 < number <= LONGEST_S:
            raise ValueError(f"must be more than 0 and at most {LONGEST_S:g}, not {given!r}")
        return number

    return read


def _choice(*choices: str) -> Callable[[str], str]:
    def read(given: str) -> str:
        if given not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {given!r}")
        return given

    return read


def _directory(given: str) -> str:
    if not given.startswith("/") or "\0" in given:
        raise ValueError(f"must be an absolute path, not {given!r}")
    return given


def _reports(given: Sequence[str]) -> tuple[Path, ...]:
    paths = tuple(Path(path) for path in given)
    for path in paths:
        if path.suffix not in (".json", ".html"):
            raise ValueError(f"must end in .json or .html, not {path.name!r}")
        if path.suffix == ".html" and importlib.util.find_spec("jinja2") is None:
            raise ValueError(f"{path.name} needs jinja2: pip install 'pytest-bgcheck[report]'")
    return paths


_FLAG = {"action": "store_true"}
_SWITCH = {"type": "bool", "default": True}

# name, field, default, what reads it, on the command line, in the ini file, help
OPTIONS = (
    Option("timeout", "timeout_s", 360.0, _number(float), {"metavar": "SECONDS"}, {},
           "the timeout of checks that declare none, in seconds (default: 360)"),
    Option("service_timeout", "service_timeout_s", 3600.0, _number(float), None, {},
           "how long services may live that declare no timeout, in seconds (default: 3600)"),
    Option("order", "order", "last", _choice("last", "keep"), {"metavar": "last|keep"}, {},
           "where tests that await checks run: 'last', behind the others (default), or 'keep',"
           " where they are"),
    Option("unawaited", "unawaited", UNAWAITED[0], _choice(*UNAWAITED),
           {"metavar": "|".join(UNAWAITED)}, {},
           "when the run fails for a check that no test judged, though a test that requests it has"
           " run: if it did not succeed ('warn', default), always ('fail') or never ('ignore')"),
    Option("dir", "dir", "", _directory, {"metavar": "DIR"}, {},
           "directory for the run's files on the targets (default: their TMPDIR or /tmp)"),
    Option("forks", "forks", 32, _number(int), {"metavar": "N"}, {},
           "how many hosts are started or cleaned up at the same time (default: 32)"),
    Option("plan", "plan", False, bool, _FLAG, None,
           "show which checks and services would start on which hosts, and the tests that await"
           " them; start nothing"),
    Option("report", "reports", (), _reports, {"action": "append", "metavar": "PATH"}, None,
           "write a report of the run, .json or .html by its ending; repeatable;"
           " .html needs pytest-bgcheck[report]"),
    Option("report_title", "report_title", "", str, {"metavar": "TEXT"}, {},
           "the title of the reports (default: the name of the root directory)"),
    Option("github_summary", "github_summary", True, bool, None, _SWITCH,
           "on GitHub, write a summary of the step, and annotate checks that failed their tests or"
           " the run"),
    Option("junit_properties", "junit_properties", True, bool, None, _SWITCH,
           "write what a test's checks did as properties of the test in the JUnit report"),
    Option("keep", "keep", False, bool, _FLAG, None, "leave the run's files on the targets"),
)  # fmt: skip


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("bgcheck", "background checks on the targets")
    for option in OPTIONS:
        dest = f"bgcheck_{option.name}"
        if option.command_line is not None:
            group.addoption(option.words, dest=dest, help=option.help, **option.command_line)
        if option.ini is not None:
            parser.addini(dest, option.help, **option.ini)


def from_config(config: pytest.Config) -> Settings:
    """Read the session's options. Raises pytest.UsageError that names the option."""
    values: dict[str, Any] = {option.field: option.value(config) for option in OPTIONS}
    directory = config.invocation_params.dir
    values["reports"] = tuple(directory / path for path in values["reports"])
    return Settings(**values)


def only_looks(config: pytest.Config) -> bool:
    """Return whether pytest was asked to show something, and runs no test."""
    modes = ("collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test")
    return any(config.getoption(mode, False) for mode in (*modes, "bgcheck_plan"))


def keeps_order(config: pytest.Config) -> bool:
    """Return whether pytest was asked for an order of its own, which may be remembered.

    ``--stepwise`` skips, in the next run, what stood before the test that failed: as collected.
    """
    return any(config.getoption(mode, False) for mode in ("stepwise", "failedfirst", "newfirst"))
