"""The tables of the reference, and what help shows, say what the code does."""

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import pytest_bgcheck
from pytest_bgcheck import background_check, background_probe, background_service, plugin
from pytest_bgcheck.arguments import CHECK_ROWS, PROBE_ROWS, SERVICE_ROWS, Argument
from pytest_bgcheck.marks import MARK_ROWS
from pytest_bgcheck.options import OPTIONS, UNAWAITED, Option
from pytest_bgcheck.tasks import Check, Probe, Service

TEXT = Path(__file__).parents[1].joinpath("docs/reference.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading."""
    found = re.search(rf"^\| {heading} \|.*\n\|---.*\n((?:\|.*\n)+)", TEXT, re.M)
    assert found is not None
    lines = found[1].replace(r"\|", "/").splitlines()
    return [[cell.strip().replace("/", "|") for cell in line.split("|")[1:-1]] for line in lines]


def default_in(text: str) -> int | None:
    """Return the number that a text calls a default, in bytes if it is a size."""
    found = re.search(r"default[^;.]*? (\d+)( MiB)?", text)
    return found and int(found[1]) << (20 if found[2] else 0)


TABLES = [
    ("argument", background_check, CHECK_ROWS),
    ("argument of a service", background_service, SERVICE_ROWS),
    ("argument of a probe", background_probe, PROBE_ROWS),
]


@pytest.mark.parametrize(("heading", "function", "rows"), TABLES)
def test_the_reference_has_each_argument_of_a_declaration(
    heading: str, function: Callable[..., object], rows: Sequence[Argument]
) -> None:
    named = [name for cell, _ in table(heading) for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(inspect.signature(function).parameters)


def test_each_default_of_an_argument_is_that_of_its_field() -> None:
    check, service = Check("c", ("true",), "true"), Service("s", ("true",), "true")
    probe = Probe("p", ("true",), "true")
    assert check.rc == probe.rc == {0}
    of_all = {"grace": check.grace_s, "output_limit": check.output_limit}
    of_check = {"timeout": check.timeout_s, "rc": 0}
    of_service = {"timeout": service.timeout_s, "ready_timeout": service.ready_timeout_s}
    of_probe = {"timeout": probe.sample_timeout_s, "every": probe.every_s, "rc": 0}
    assert of_all == {"grace": service.grace_s, "output_limit": service.output_limit}
    assert of_all == {"grace": probe.grace_s, "output_limit": probe.output_limit}
    checks, services, probes = [
        {cell.strip("`"): default_in(text) for cell, text in table(heading)}
        for heading, _, _ in TABLES
    ]
    shown, of_services, of_probes = [
        {row.name: default_in(row.doc) for row in rows} for _, _, rows in TABLES
    ]
    for told, defaults in [
        (checks, of_check | of_all),
        (shown, of_check | of_all),
        (services, of_service),
        (of_services, of_service | of_all),
        (probes, of_probe),
        (of_probes, of_probe | of_all),
    ]:
        assert {name: default for name, default in told.items() if default is not None} == defaults


def test_the_reference_has_each_option() -> None:
    def cells(option: Option) -> tuple[str, str]:
        command_line = ini = ""
        if option.command_line is not None:
            metavar = option.command_line.get("metavar")
            command_line = f"`{option.words}{f'={metavar}' if metavar else ''}`"
        if option.ini is not None:
            ini = f"`bgcheck_{option.name}`"
        return command_line, ini

    assert {(line, ini) for line, ini, _ in table("command line")} == set(map(cells, OPTIONS))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_each_default_of_an_option_is_told(option: Option) -> None:
    name = re.compile(rf"{option.words}[=`]|`bgcheck_{option.name}`")
    (shown,) = [text for line, ini, text in table("command line") if name.search(line + ini)]
    if isinstance(option.default, bool):
        assert shown.startswith("true") == option.default
    elif isinstance(option.default, (int, float)):
        assert shown.split()[0] == f"{option.default:g}"
        assert default_in(option.help) == option.default
    elif option.default and isinstance(option.default, str):
        assert shown == f"`{option.default}`"
        assert re.search(rf"'{option.default}'[^']*\bdefault\)", option.help)


def test_the_default_timeout_of_a_declaration_is_the_options() -> None:
    default = {option.name: option.default for option in OPTIONS}
    assert Check("c", ("true",), "true").timeout_s == default["timeout"]
    assert Service("s", ("true",), "true").timeout_s == default["service_timeout"]
    assert Probe("p", ("true",), "true").timeout_s == default["service_timeout"]


def test_the_reference_has_each_way_to_treat_an_unawaited_job() -> None:
    (text,) = [text for cell, text in table("argument") if cell == "`unawaited`"]
    assert set(re.findall(r'`"(\w+)"`', text)) == set(UNAWAITED)
    assert set(re.findall(r"^\| `(\w+)`(?:, the default)? \| ", TEXT, re.M)) >= set(UNAWAITED)
    assert f"| `{UNAWAITED[0]}`, the default |" in TEXT


@pytest.mark.parametrize("row", MARK_ROWS, ids=lambda row: row.name)
def test_what_the_mark_takes_is_explained(row: Argument) -> None:
    assert f"`{row.name}=" in TEXT
    assert f"{row.name}=..." in plugin.MARK
    assert f" {row.name}: " in plugin.MARK


@pytest.mark.parametrize("name", pytest_bgcheck.__all__)
def test_help_has_something_to_say_of_all_that_is_public(name: str) -> None:
    public = getattr(pytest_bgcheck, name)
    members = vars(public) if isinstance(public, type) else {}
    said = {
        member: inspect.getdoc(value)
        for member, value in members.items()
        if not member.startswith("_") and (callable(value) or isinstance(value, property))
    }
    assert [
        member for member, doc in {**said, name: inspect.getdoc(public)}.items() if not doc
    ] == []
