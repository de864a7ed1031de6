"""``background_check``: a check's declaration, which is a pytest fixture of the check's name."""

from __future__ import annotations

import keyword
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import pytest

from ..arguments import (
    CHECK_ROWS,
    CheckArguments,
    Command,
    CommandMaker,
    make_check,
    place_of,
    show_arguments,
)
from ..compat.pytest import is_of_pytest, runs_test
from ..errors import WrongUse
from ..tasks import Task
from . import DECLARED_JOB
from .stand_in import StandIn

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..target.job import Job, JobsOnHosts

_KEY = "_pytest_bgcheck"
_FIXTURE = type(pytest.fixture(lambda: None))

NOT_LOADED = (
    "the plugin pytest-bgcheck is not loaded, so nothing was started and no mark waits: run without"
    " -p no:bgcheck, and with PYTEST_DISABLE_PLUGIN_AUTOLOAD add -p pytest_bgcheck.plugin"
)

RESERVED = frozenset({"bgcheck", "host", "request", "_testinfra_host"})


@dataclass(frozen=True, eq=False)
class Declaration:
    """What a ``background_check`` call was given, not validated yet, and where the call stands."""

    given_name: str | None  # by name=; else the check has the name of its variable
    command: object
    surplus: tuple[object, ...]  # what was given by position behind the command
    host: object
    arguments: CheckArguments = field(repr=False)
    file: str
    line: int

    def place(self, name: str | None) -> str:
        """Return where the check stands and its name, if it has one, for messages."""
        named = isinstance(name, str)  # else a wrong value, of which more is said
        what = f"background check {name!r}" if named else "background check without a name"
        return f"{self.file}:{self.line}: {what}"

    def in_class(self, name: str | None, cls: str) -> str:
        """Return the message for a declaration in a class."""
        return f"{self.place(name)}: it must be declared at module level, not in the class {cls}"

    def to_check(self, name: str, timeout_s: float, root: Path) -> Task:
        """Return the check that is declared under a fixture's name. Raises WrongUse."""
        try:
            if self.surplus:
                raise WrongUse(
                    f"only the command is given by position, and {len(self.surplus)} more"
                    f" {'was' if len(self.surplus) == 1 else 'were'}: write another name than the"
                    " variable's as name=..., and the words of one command as a list"
                )
            given = {"command": self.command, "name": name, "host": self.host, **self.arguments}
            for argument, value in given.items():
                if declaration_in_variable(value) is not None:
                    raise WrongUse(
                        f"{argument} must not be the declaration of a check: where its name is"
                        " meant, write that as a string"
                    )
            if name in RESERVED:
                raise WrongUse(f"name must not be {name!r}: checks need the fixture of that name")
            if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
                raise WrongUse(
                    f"name must be an identifier, since a test takes the fixture of that name as a"
                    f" parameter, not {name!r}"
                )
            return make_check(
                name,
                self.command,
                self.arguments,
                host=self.host,
                timeout_s=timeout_s,
                directory=Path(self.file).parent,
                root=root,
            )
        except WrongUse as error:
            raise WrongUse(f"{self.place(name)}: {error}") from None


@show_arguments(CHECK_ROWS, CheckArguments)
def background_check(
    command: Command | CommandMaker | None = None,
    *surplus: NoReturn,
    name: str | None = None,
    host: str | Sequence[str] | None = None,
    **arguments: Unpack[CheckArguments],
) -> Any:
    """Declare a check that runs in the background on its target, and a fixture of its name.

    Assign it at module level of a conftest or a test module; the check has the variable's name
    unless ``name`` is given. The fixture's value is the :class:`Job` on the test's host; with a
    sequence of hosts, a mapping from each hostspec to the job there. A wrong value is a
    ``pytest.UsageError`` at collection, before anything is started.

    :param command: a string for the target's ``/bin/sh -c``, or a sequence: one argv, quoted; or a
        function that returns one of these: it is called with testinfra's Host when the job starts.
    :param name: another name than the variable's.
    :param host: a testinfra hostspec such as ``"ssh://db1"``, or a sequence of them for a job on
        each; default: the awaiting test's host.
    """
    __tracebackhide__ = True  # pytest would show the arguments, and ``env`` may be secret
    caller = sys._getframe(1)
    place = caller.f_code.co_filename, caller.f_lineno
    declaration = Declaration(name, command, surplus, host, arguments, *place)

    # An unpinned check requests host, so that testinfra parametrizes the test as usual. The scopes
    # are the widest possible: testinfra's host is a fixture of the module.
    def pinned(request: pytest.FixtureRequest) -> Job | JobsOnHosts:
        return _job_of(request, declaration, None)

    def unpinned(request: pytest.FixtureRequest, host: object) -> Job | JobsOnHosts:
        return _job_of(request, declaration, host)

    function = unpinned if host is None else pinned
    script = arguments.get("script")
    shown = repr(command if script is None else script)
    if callable(command):
        shown = f"<{place_of(command, Path(declaration.file).parent)}>"
    function.__doc__ = f"The background check {shown}."
    fixture = pytest.fixture(
        scope="module" if host is None else "session",
        name=None if name == "request" else name,  # pytest's own message has no place
    )(function)
    # ``mark.bgcheck(webapp)`` would mark the fixture, as a decorator does a function that has a
    # name. This makes it a mark with an argument, which is told at collection.
    fixture.__name__ = "<lambda>"
    # On the function for whoever finds it by name, on the fixture for whoever reads the module.
    vars(function)[_KEY] = vars(fixture)[_KEY] = declaration
    _record_site(declaration, function, caller)
    return fixture


@dataclass(frozen=True, eq=False)
class DeclarationSite:
    """Where in the code of a module a declaration was made, while the module was imported.

    The fixture may have gone anywhere since, or nowhere.
    """

    declaration: Declaration
    function: weakref.ref[Callable[..., object]]  # the fixture's; gone if nothing holds it any more
    namespace: dict[str, Any]  # of the module
    code: CodeType  # of the module, or of a class in it
    instruction: int  # the offset in that code
    in_class: str | None


IN_TEST = (
    "a test or a fixture runs here, which is too late to declare a check: do it at module level, or"
    " start a check here by bgcheck.start(..., name=...), with the fixture bgcheck"
)

SITES: list[DeclarationSite] = []
"""All of this process: so that those which nothing can reach can be told."""


def _record_site(
    declaration: Declaration, function: Callable[..., object], caller: FrameType
) -> None:
    """Record where a declaration was made. Raises WrongUse if a test or a fixture runs there."""
    __tracebackhide__ = True
    # The call may be in a function or a class that the module runs while it is imported, or in a
    # hook. A doctest is a test, though its code has the name of a module's.
    called = frame = caller
    while frame.f_code.co_name != "<module>" or frame.f_code.co_filename.startswith("<doctest "):
        if is_of_pytest(frame):
            if runs_test(frame, called):
                raise WrongUse(IN_TEST)
            frame = caller
            break
        if frame.f_back is None:
            return  # of a thread
        called, frame = frame, frame.f_back
    in_class = caller.f_code.co_name if "__qualname__" in caller.f_locals else None
    at = frame if in_class is None else caller
    SITES.append(
        DeclarationSite(
            declaration=declaration,
            function=weakref.ref(function),
            namespace=frame.f_globals,
            code=at.f_code,
            instruction=at.f_lasti,
            in_class=in_class,
        )
    )


def _job_of(
    request: pytest.FixtureRequest, declaration: Declaration, host: object
) -> Job | JobsOnHosts:
    name = request.fixturename
    assert name is not None
    declared_job = request.config.stash.get(DECLARED_JOB, None)
    if declared_job is None:
        pytest.fail(f"background check {name!r}: {NOT_LOADED}", pytrace=False)
    try:
        return declared_job(declaration, name, host)
    except WrongUse as error:
        wrong = f"background check {name!r}: {error}"
    pytest.fail(wrong, pytrace=False)  # outside, or pytest would tell it twice


def declaration_of_fixture(fixture_function: object) -> Declaration | None:
    """Return the declaration behind a fixture's function, None for any other fixture."""
    found = getattr(fixture_function, _KEY, None)
    return found if isinstance(found, Declaration) else None


def declaration_in_variable(value: object) -> Declaration | None:
    """Return the declaration that a variable's value is, None if it is none."""
    # By type first: a look at an attribute may do anything in a stranger's object.
    return vars(value).get(_KEY) if type(value) in (_FIXTURE, StandIn) else None


def declarations_in(namespace: object) -> Iterator[tuple[str, Declaration]]:
    """Yield the checks that a module or a class declares, by name."""
    for attribute, value in list(vars(namespace).items()):
        declaration = declaration_in_variable(value)
        if declaration is not None:
            yield declaration.given_name or attribute, declaration


MOST_PARTS = 1000
"""How large a list or a dict may be in which declarations are looked for."""

Container: TypeAlias = dict[Any, Any] | list[Any]


class _StandIns:
    """The stand-ins of a session that runs tests, and what they stand for."""

    def __init__(self) -> None:
        self._fixtures: dict[StandIn, object] = {}
        self._containers: list[Container] = []

    def put(self) -> None:
        found: list[tuple[Container, Any, object, str]] = []
        names: dict[object, str] = {}
        for namespace in [*_own_namespaces(), *(site.namespace for site in SITES)]:
            for variable, value in list(namespace.items()):
                if _is_declaration(value):
                    found.append((namespace, variable, value, variable))
                    names.setdefault(vars(value)[_KEY], variable)
                elif type(value) in (list, dict) and len(value) <= MOST_PARTS:
                    parts = [(key, part) for key, part in _parts(value) if _is_declaration(part)]
                    found += [(value, key, part, f"{variable}[{key!r}]") for key, part in parts]
        for container, key, fixture, shown in found:
            declaration = vars(fixture)[_KEY]
            name = declaration.given_name or names.get(declaration, "webapp")
            container[key] = stand_in = StandIn(fixture, shown, name)
            self._fixtures[stand_in] = fixture
            self._containers.append(container)

    def take_back(self) -> None:
        for container in {id(container): container for container in self._containers}.values():
            for key, part in _parts(container):
                if type(part) is StandIn and part in self._fixtures:
                    container[key] = self._fixtures[part]
        self._fixtures.clear()
        self._containers.clear()


_standing: list[_StandIns] = []


@contextmanager
def standing_in() -> Iterator[None]:
    """Have a `StandIn` in all modules wherever a variable's value is a declaration, or a part of a
    list or of a dict that is the value."""
    stand_ins = _StandIns()
    stand_ins.put()
    _standing.append(stand_ins)
    try:
        yield
    finally:
        _standing.remove(stand_ins)
        stand_ins.take_back()


def stand_down() -> None:
    """Take the stand-ins back while a test runs a pytest session of its own in this process: that
    may collect what the suite has imported."""
    for stand_ins in reversed(_standing):
        stand_ins.take_back()


def stand_again() -> None:
    """Put them back where that session is over."""
    for stand_ins in _standing:
        stand_ins.put()


def _is_declaration(value: object) -> bool:
    return type(value) is _FIXTURE and isinstance(vars(value).get(_KEY), Declaration)


def _parts(container: Container) -> list[tuple[Any, object]]:
    return list(container.items() if isinstance(container, dict) else enumerate(container))


def _own_namespaces() -> Iterator[dict[str, Any]]:
    """Yield the variables of each module that may be a suite's own. To look into all others takes
    milliseconds."""
    installed = (os.path.dirname(os.__file__), "site-packages", "dist-packages")
    # Past what a module that loads its parts late does when it is asked, even for its class.
    variables_of = vars(ModuleType)["__dict__"].__get__
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):
            namespace = variables_of(module)
            file = namespace.get("__file__")
            if isinstance(file, str) and not any(place in file for place in installed):
                yield namespace


def fixture_modules(config: pytest.Config, items: Iterable[pytest.Item]) -> list[ModuleType]:
    """Return the modules in which pytest looks for the items' fixtures."""
    found = [
        *config.pluginmanager.get_plugins(),
        *(getattr(item, "module", None) for item in items),
    ]
    return [module for module in dict.fromkeys(found) if isinstance(module, ModuleType)]


def visible_declarations(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> Iterator[tuple[object, str, Declaration]]:
    """Yield (module or class, name, declaration) for all checks that the items could see."""
    spaces: list[object] = [*fixture_modules(config, items)]
    for cls in dict.fromkeys(getattr(item, "cls", None) for item in items):
        spaces += getattr(cls, "__mro__", ())
    for space in dict.fromkeys(spaces):
        for name, declaration in declarations_in(space):
            yield space, name, declaration
