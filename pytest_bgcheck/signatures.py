"""What ``help()`` and ``inspect.signature`` show of the arguments. Imports only arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import ForwardRef, TypeVar

from .arguments import Argument

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def show_arguments(rows: Sequence[Argument], types: type) -> Callable[[FunctionT], FunctionT]:
    """Let ``help()`` and ``inspect.signature`` show the rows in place of ``**arguments``.

    A type checker reads the same from ``**arguments: Unpack[...]``, of which nothing is left when
    the program runs: on Python 3.10, ``Unpack`` comes with a package that we do not need otherwise.
    The types stay texts, as all annotations are here: to evaluate them takes time at each start.
    """
    hints: dict[str, ForwardRef] = types.__annotations__

    def show(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.name not in ("surplus", "arguments")]
        shown = [
            inspect.Parameter(
                row.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=row.default,
                annotation=hints[row.name].__forward_arg__,
            )
            for row in rows
        ]
        vars(function)["__signature__"] = signature.replace(parameters=[*own, *shown])
        annotations = {**function.__annotations__, **hints}
        for name in ("surplus", "arguments"):
            annotations.pop(name, None)
        function.__annotations__ = annotations
        if function.__doc__:  # not with python -OO
            docs = [f":param {row.name}: {row.doc}".replace("\n", "\n    ") for row in rows]
            function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__), *docs])
        return function

    return show
