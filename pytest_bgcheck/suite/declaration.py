"""What a suite has declared: each declaration, and where it is found.

A declaration is a pytest fixture: see `declaring`, which makes them.
"""

from __future__ import annotations

import keyword
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from ..arguments import make_task
from ..errors import WrongUse
from ..tasks import Task, title
from .stand_in import StandIn

KEY = "_pytest_bgcheck"
"""The attribute of a fixture, and of its function, that holds the declaration."""

FIXTURE = type(pytest.fixture(lambda: None))

RESERVED = frozenset({"bgcheck", "host", "request", "_testinfra_host"})


@dataclass(frozen=True, eq=False)
class Declaration:
    """What ``background_check`` or its like was given, not validated yet, and where that stands."""

    makes: type[Task]
    given_name: str | None  # by name=; else it has the name of its variable
    command: object
    surplus: tuple[object, ...]  # what was given by position behind the command
    host: object
    arguments: Mapping[str, object] = field(repr=False)
    file: str
    line: int

    @property
    def kind(self) -> str:
        """What people read of it: check, service or probe."""
        return self.makes.kind

    @property
    def function(self) -> str:
        """The name of the function by which it was declared."""
        return f"background_{self.kind}"

    def title(self, name: str | None) -> str:
        """Return its kind and its name, if it has one, for messages."""
        if not isinstance(name, str):  # none, or a wrong value, of which more is said
            return f"background {self.kind} without a name"
        return title(self.kind, name)

    def place(self, name: str | None) -> str:
        """Return where it stands, its kind and its name, for messages."""
        return f"{self.file}:{self.line}: {self.title(name)}"

    def in_class(self, name: str | None, cls: str) -> str:
        """Return the message for a declaration in a class."""
        return f"{self.place(name)}: it must be declared at module level, not in the class {cls}"

    def to_task(self, name: str, timeouts_s: Mapping[str, float], root: Path) -> Task:
        """Return what is declared under a fixture's name. Raises WrongUse.

        ``timeouts_s``: those of declarations that have none, by kind.
        """
        try:
            if self.surplus:
                raise WrongUse(
                    f"only the command is given by position, and {len(self.surplus)} more"
                    f" {'was' if len(self.surplus) == 1 else 'were'}: write another name than the"
                    " variable's as name=..., and the words of one command as a list"
                )
            given = {"command": self.command, "name": name, "host": self.host, **self.arguments}
            for argument, value in given.items():
                other = declaration_in_variable(value)
                if other is not None:
                    raise WrongUse(
                        f"{argument} must not be the declaration of a {other.kind}: where its"
                        " name is meant, write that as a string"
                    )
            if name in RESERVED:
                raise WrongUse(
                    f"name must not be {name!r}: {self.kind}s need the fixture of that name"
                )
            if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
                raise WrongUse(
                    f"name must be an identifier, since a test takes the fixture of that name as a"
                    f" parameter, not {name!r}"
                )
            return make_task(
                self.makes,
                name,
                self.command,
                self.arguments,
                host=self.host,
                timeout_s=timeouts_s[self.kind],
                directory=Path(self.file).parent,
                root=root,
            )
        except WrongUse as error:
            raise WrongUse(f"{self.place(name)}: {error}") from None


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


SITES: list[DeclarationSite] = []
"""All of this process: so that those which nothing can reach can be told."""


def declaration_of_fixture(fixture_function: object) -> Declaration | None:
    """Return the declaration behind a fixture's function, None for any other fixture."""
    found = getattr(fixture_function, KEY, None)
    return found if isinstance(found, Declaration) else None


def declaration_in_variable(value: object) -> Declaration | None:
    """Return the declaration that a variable's value is, None if it is none."""
    # By type first: a look at an attribute may do anything in a stranger's object.
    return vars(value).get(KEY) if type(value) in (FIXTURE, StandIn) else None


def declarations_in(namespace: object) -> Iterator[tuple[str, Declaration]]:
    """Yield what a module or a class declares, by name."""
    for attribute, value in list(vars(namespace).items()):
        declaration = declaration_in_variable(value)
        if declaration is not None:
            yield declaration.given_name or attribute, declaration


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
    """Yield (module or class, name, declaration) for all that the items could see."""
    spaces: list[object] = [*fixture_modules(config, items)]
    for cls in dict.fromkeys(getattr(item, "cls", None) for item in items):
        spaces += getattr(cls, "__mro__", ())
    for space in dict.fromkeys(spaces):
        for name, declaration in declarations_in(space):
            yield space, name, declaration
