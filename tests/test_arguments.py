"""The arguments of a declaration: each known in one place, shown by both callables."""

import datetime
import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from pytest_bgcheck import Bgcheck, WrongUse, background_check
from pytest_bgcheck.arguments import (
    CHECK_ROWS,
    MARK_ROWS,
    Argument,
    Awaited,
    CheckArguments,
    make_check,
    read_marks,
)
from pytest_bgcheck.tasks import ANY_RC, Check, Script

CALLABLES = [background_check, Bgcheck.start]
NAMES = [row.name for row in CHECK_ROWS]

SESSION: Any = SimpleNamespace(
    settings=SimpleNamespace(timeout_s=360), config=SimpleNamespace(rootpath=Path())
)
"""As much of a run's session as a wrong call needs."""

SCRIPT = Check("c", ("a",), "x.sh a", script=Script("x.sh", b"true"))


def test_each_argument_has_a_type_and_a_field() -> None:
    assert sorted(CheckArguments.__annotations__) == sorted(NAMES)
    own = {"name", "command", "make_command", "host"}
    assert {row.field for row in CHECK_ROWS} == {f.name for f in fields(Check)} - own
    assert [row.field for row in MARK_ROWS] == [*(f.name for f in fields(Awaited)), "order"]


@pytest.mark.parametrize("function", CALLABLES)
def test_a_signature_lists_all_arguments(function: Callable[..., object]) -> None:
    parameters = inspect.signature(function).parameters
    assert [name for name in parameters if name != "self"] == ["command", "name", "host", *NAMES]
    defaults = {name: parameters[name].default for name in NAMES}
    assert defaults == {**dict.fromkeys(NAMES), "rc": 0}
    assert parameters["timeout"].annotation == "float | datetime.timedelta | None"
    assert get_type_hints(function)["timeout"] == (float | datetime.timedelta | None)


@pytest.mark.parametrize("function", CALLABLES)
def test_what_most_checks_need_is_shown_first(function: Callable[..., object]) -> None:
    parameters = list(inspect.signature(function).parameters)
    assert parameters[parameters.index("host") + 1 :][:3] == ["timeout", "rc", "retry_every"]


@pytest.mark.parametrize("function", CALLABLES)
def test_help_explains_each_argument(function: Callable[..., object]) -> None:
    text = inspect.getdoc(function)
    assert text is not None
    for name in ["command", "name", "host", *NAMES]:
        assert text.count(f"\n:param {name}: ") == 1
    assert all(len(line) <= 96 for line in text.splitlines())


def ill_typed() -> None:
    """Never called. mypy complains of each "ignore" that it does not need."""
    background_check("true", tiemout=3)  # type: ignore[call-arg]
    background_check("true", "web")  # type: ignore[arg-type]
    background_check("true", timeout="3")  # type: ignore[arg-type]
    background_check("true", timeout=3, host="ssh://db1", env={"A": "b"}, rc={0, 2}, cwd=None)


def test_start_refuses_an_unknown_or_ill_typed_argument() -> None:
    bgcheck = Bgcheck(SESSION)
    with pytest.raises(WrongUse, match="'c': a check has no argument 'tiemout': did you mean 'tim"):
        bgcheck.start("true", name="c", tiemout=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="name"):
        bgcheck.start("true", rc="0")  # type: ignore[call-arg, arg-type]


def made(**given: object) -> Check:
    return make_check("c", "true", given, timeout_s=360, directory=Path())


def test_rc_none_accepts_any_code_in_a_declaration_as_in_a_mark() -> None:
    assert made().rc == {0}
    assert made(rc=None).rc == set(range(256))
    mark = pytest.mark.bgcheck("c", rc=None).mark
    assert read_marks([mark], []) == {"c": Awaited(rc=ANY_RC)}
    with pytest.raises(WrongUse, match="retry_every contradicts rc=None"):
        made(rc=None, retry_every=1)


SECRET = "topsecret"


@pytest.mark.parametrize(
    "value", [[SECRET], {SECRET}, {"A": SECRET.encode()}, {"A": SECRET + "\0"}]
)
def test_no_message_shows_what_env_was_given(value: object) -> None:
    with pytest.raises(WrongUse) as error:
        made(env=value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("row", CHECK_ROWS, ids=NAMES)
def test_a_difference_has_the_name_of_its_argument(row: Argument) -> None:
    other: Any = Script("other", b"") if row.name == "script" else ("other",)
    assert SCRIPT.differences(replace(SCRIPT, **{row.field: other})) == [row.name]
