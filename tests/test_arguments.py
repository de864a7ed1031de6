"""The arguments of a declaration: each known in one place, shown by both callables."""

import datetime
import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from pytest_bgcheck import Bgcheck, WrongUse, background_check, background_service
from pytest_bgcheck.arguments import (
    CHECK_ROWS,
    SERVICE_ROWS,
    Argument,
    CheckArguments,
    ServiceArguments,
    make_check,
    make_service,
)
from pytest_bgcheck.marks import MARK_ROWS, Awaited, read_marks
from pytest_bgcheck.tasks import ANY_RC, Check, Script, Service, Task

CALLABLES: list[tuple[Callable[..., object], Sequence[Argument]]] = [
    (background_check, CHECK_ROWS),
    (Bgcheck.start, CHECK_ROWS),
    (background_service, SERVICE_ROWS),
]

SESSION: Any = SimpleNamespace(
    settings=SimpleNamespace(timeouts_s={"check": 360.0, "service": 3600.0}),
    config=SimpleNamespace(rootpath=Path(), pluginmanager=pytest.PytestPluginManager()),
)
"""As much of a run's session as a wrong call needs."""


@pytest.mark.parametrize(
    ("rows", "types", "task", "own"),
    [
        (CHECK_ROWS, CheckArguments, Check, set()),
        (SERVICE_ROWS, ServiceArguments, Service, {"ready"}),
    ],
)
def test_each_argument_has_a_type_and_a_field(
    rows: Sequence[Argument], types: type, task: type[Task], own: set[str]
) -> None:
    assert sorted(types.__annotations__) == sorted(row.name for row in rows)
    own = own | {"name", "command", "make_command", "host"}
    assert {row.field for row in rows} == {f.name for f in fields(task)} - own
    assert [row.field for row in MARK_ROWS] == [*(f.name for f in fields(Awaited)), "order"]


@pytest.mark.parametrize(("function", "rows"), CALLABLES)
def test_a_signature_lists_all_arguments(
    function: Callable[..., object], rows: Sequence[Argument]
) -> None:
    parameters = inspect.signature(function).parameters
    names = [row.name for row in rows]
    assert [name for name in parameters if name != "self"] == ["command", "name", "host", *names]
    defaults = {name: parameters[name].default for name in names}
    assert defaults == {name: 0 if name == "rc" else None for name in names}
    assert parameters["timeout"].annotation == "float | datetime.timedelta | None"
    assert get_type_hints(function)["timeout"] == (float | datetime.timedelta | None)


@pytest.mark.parametrize(("function", "rows"), CALLABLES)
def test_what_most_declarations_need_is_shown_first(
    function: Callable[..., object], rows: Sequence[Argument]
) -> None:
    parameters = list(inspect.signature(function).parameters)
    first = ["timeout", "rc", "retry_every"]
    if rows is SERVICE_ROWS:
        first = ["ready", "ready_output", "ready_timeout"]
    assert parameters[parameters.index("host") + 1 :][:3] == first


@pytest.mark.parametrize(("function", "rows"), CALLABLES)
def test_help_explains_each_argument(
    function: Callable[..., object], rows: Sequence[Argument]
) -> None:
    text = inspect.getdoc(function)
    assert text is not None
    for name in ["command", "name", "host", *(row.name for row in rows)]:
        assert text.count(f"\n:param {name}: ") == 1
    assert all(len(line) <= 96 for line in text.splitlines())


def ill_typed() -> None:
    """Never called. mypy complains of each "ignore" that it does not need."""
    background_check("true", tiemout=3)  # type: ignore[call-arg]
    background_check("true", "web")  # type: ignore[arg-type]
    background_check("true", timeout="3")  # type: ignore[arg-type]
    background_check("true", timeout=3, host="ssh://db1", env={"A": "b"}, rc={0, 2}, cwd=None)
    background_service("serve", rc=0)  # type: ignore[call-arg]
    background_service("serve", ready=["curl", "-fs", "localhost"], ready_timeout=3, after="db")


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
    assert read_marks([mark], {}) == {"c": Awaited(rc=ANY_RC)}
    with pytest.raises(WrongUse, match="retry_every contradicts rc=None"):
        made(rc=None, retry_every=1)


def service(**given: object) -> Service:
    return make_service("web", "serve", given, timeout_s=3600, directory=Path())


def test_a_service_is_declared_with_what_says_that_it_is_ready() -> None:
    assert service() == Service("web", ("/bin/sh", "-c", "serve"), "serve")
    ready = service(ready="curl -fs localhost", ready_timeout=datetime.timedelta(minutes=1))
    assert (ready.ready_argv, ready.ready) == (
        ("/bin/sh", "-c", "curl -fs localhost"),
        "curl -fs localhost",
    )
    assert ready.ready_timeout_s == 60
    words = service(ready=("test", "-e", "a b"), timeout=5, sudo_user="web", after="deployed")
    assert (words.ready_argv, words.ready) == (("test", "-e", "a b"), "test -e 'a b'")
    assert (words.timeout_s, words.sudo, words.after) == (5, True, "deployed")
    pattern = r"^listening on [[:digit:]]+ \\d \.$"
    assert service(ready_output=pattern).ready_output == pattern


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ready": "a", "ready_output": "b"}, "^ready and ready_output must not both be given: "),
        ({"ready": ""}, "^ready must not be empty|^ready must be"),
        ({"ready": []}, "^ready must name a program"),
        ({"ready": len}, "^ready must be a string or a sequence of strings, not builtin_function"),
        ({"ready_output": ""}, "^ready_output must"),
        ({"ready_output": b"up"}, "^ready_output must be a string, not bytes b'up'$"),
        ({"ready_output": "a\nb"}, "^ready_output must be of one line"),
        ({"ready_output": r"port \d+"}, r"as of grep -E, in which \\d has no .*: write \[0-9\]$"),
        ({"ready_output": "(?i)up"}, r"in which \(\? has no meaning"),
        ({"ready_timeout": 0}, "^ready_timeout must be more than 0 seconds"),
        ({"ready_timeout": 10, "timeout": 5}, "^ready_timeout=10 is longer than the 5 s that the"),
        ({"timeout": "1h"}, "^timeout must be a number of seconds or a timedelta, not str '1h'$"),
        ({"raedy": "a"}, "^a service has no argument 'raedy': did you mean 'ready'"),
        ({"retry_every": 1}, "^a service has no argument 'retry_every': it is one of background_c"),
    ],
)  # fmt: skip
def test_a_wrong_argument_of_a_service_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        service(**given)


SECRET = "topsecret"


@pytest.mark.parametrize(
    "value", [[SECRET], {SECRET}, {"A": SECRET.encode()}, {"A": SECRET + "\0"}]
)
def test_no_message_shows_what_env_was_given(value: object) -> None:
    with pytest.raises(WrongUse) as error:
        made(env=value)
    assert SECRET not in str(error.value)


TASKS: list[Task] = [
    Check("c", ("a",), "x.sh a", script=Script("x.sh", b"true")),
    Service("web", ("a",), "x.sh a", script=Script("x.sh", b"true")),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_a_difference_has_the_name_of_its_argument(task: Task) -> None:
    for row in CHECK_ROWS if isinstance(task, Check) else SERVICE_ROWS:
        other: Any = Script("other", b"") if row.name == "script" else ("other",)
        changed: dict[str, Any] = {row.field: other}
        assert task.differences(replace(task, **changed)) == [row.name]
