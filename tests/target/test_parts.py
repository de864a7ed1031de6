"""The program for the target, read from its parts."""

from pathlib import Path

from pytest_bgcheck.target import requests

BEFORE = Path(__file__).with_name("supervisor_before.sh").read_text("ascii")


def stripped(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(x for x in lines if x and not x.startswith("#")) + "\n"


def test_the_program_is_what_it_was_in_one_file() -> None:
    assert requests.supervisor() == stripped(BEFORE)


def test_the_way_in_is_what_it_was_in_one_file() -> None:
    part = BEFORE.partition("# --- the way in")[2].partition("# --- ")[0]
    assert requests._way_in() == stripped(part.partition("\n")[2]) + 'enter_run "$@"\n'
