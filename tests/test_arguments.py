"""The arguments of a declaration: each known in one place, shown by both callables."""

import datetime
import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_type_hints

import pytest

from pytest_bgcheck import Bgcheck, background_check
from pytest_bgcheck.arguments import CHECK_ROWS, MARK_ROWS, Argument, Awaited, CheckArguments
from pytest_bgcheck.model import Check, Script

CALLABLES = [background_check, Bgcheck.start]
NAMES = [row.name for row in CHECK_ROWS]

SCRIPT = Check("c", ("a",), "x.sh a", script=Script("x.sh", b"true"))


def test_each_argument_has_a_type_and_a_field() -> None:
    assert sorted(CheckArguments.__annotations__) == sorted(NAMES)
    own = {"name", "command", "host"}
    assert {row.field for row in CHECK_ROWS} == {f.name for f in fields(Check)} - own
    assert [row.field for row in MARK_ROWS] == [f.name for f in fields(Awaited)]


@pytest.mark.parametrize("function", CALLABLES)
def test_a_signature_lists_all_arguments(function: Callable[..., object]) -> None:
    parameters = inspect.signature(function).parameters
    assert [name for name in parameters if name != "self"] == ["command", "name", "host", *NAMES]
    assert all(parameters[name].default is None for name in NAMES)
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


def test_an_unknown_or_ill_typed_argument_is_an_error_for_python_and_for_mypy() -> None:
    # mypy complains of each "ignore" below that it does not need.
    with pytest.raises(TypeError, match=r"background_check\(\) got .* keyword argument 'tiemout'"):
        background_check("true", tiemout=3)  # type: ignore[call-arg]
    background_check("true", timeout="3")  # type: ignore[arg-type]
    background_check("true", timeout=3, host="ssh://db1", env={"A": "b"}, rc={0, 2}, cwd=None)


def test_start_too_refuses_an_unknown_or_ill_typed_argument() -> None:
    bgcheck = Bgcheck(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Bgcheck.start\(\) got .* keyword argument 'retires'"):
        bgcheck.start("true", name="c", retires=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="name"):
        bgcheck.start("true", rc="0")  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("row", CHECK_ROWS, ids=NAMES)
def test_a_difference_has_the_name_of_its_argument(row: Argument) -> None:
    other: Any = Script("other", b"") if row.name == "script" else ("other",)
    assert SCRIPT.differences(replace(SCRIPT, **{row.field: other})) == [row.name]
