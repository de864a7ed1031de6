"""For tests of private APIs of others: a failure names what is gone, and who leans on it."""

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def needs(project: str, api: str, function: Callable[..., Any]) -> Iterator[None]:
    """Fail, with a sentence that names the API and the function that needs it, if anything does."""
    try:
        yield
    except Exception as error:
        version = importlib.metadata.version(project)
        room = function.__module__.removeprefix("pytest_bgcheck.")
        pytest.fail(
            f"{project} {version} no longer has {api}: see {room}.{function.__qualname__}"
            f" ({type(error).__name__}: {error})"
        )
