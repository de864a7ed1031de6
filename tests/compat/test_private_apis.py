"""Private APIs of others are needed in `compat` only.

And in `workers.scheduling`, which derives from classes of xdist: see `test_compat_xdist`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.private import needs

import pytest_bgcheck

PACKAGE = Path(pytest_bgcheck.__file__).parent
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text())
    for path in PACKAGE.rglob("*.py")
}
OF_PYTHON = {"sys._getframe", "subprocess._time"}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def foreign(tree: ast.AST) -> Iterator[str]:
    """Yield what a room takes from an object or a module of others by a name with an underscore."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from filter(private, names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if private(alias.name))
        elif isinstance(node, ast.Attribute) and private(node.attr):
            if ast.unparse(node.value) not in ("self", "cls") and node.attr not in OURS:
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and private(str(name.value)):
                yield str(name.value)


def own_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value) == "self":
                yield node.attr
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name


OURS = {name for tree in TREES.values() for name in own_names(tree)}


@pytest.mark.parametrize("room", sorted(room for room in TREES if not room.startswith("compat/")))
def test_a_room_needs_no_private_api_of_others(room: str) -> None:
    found = set(foreign(TREES[room])) - OF_PYTHON
    assert not found, f"{room} needs {', '.join(found)}: put it behind a function in compat"


def test_private_apis_are_found() -> None:
    found = {name for room, tree in TREES.items() for name in foreign(tree) if "compat/" in room}
    assert {"_pytest", "item._request._fixture_defs", "backend._build_ssh_command"} <= found


def test_what_is_gone_is_named() -> None:
    said = r"^pytest [\d.]+ no longer has x: see .*test_private_apis\.private \(LookupError: y\)$"
    with pytest.raises(pytest.fail.Exception, match=said), needs("pytest", "x", private):
        raise LookupError("y")
