"""What another process needs to reach the same target. Pure; imports nothing of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Login:
    """A machine, and the user there: what testinfra makes of the host in a hostspec."""

    name: str
    port: str | None
    user: str | None
    password: str | None = field(repr=False)


Setting: TypeAlias = str | int | float | bool | Login | None


@dataclass(frozen=True)
class TargetAddress:
    """How to reach a target.

    ``key`` is a word for it, the same in every process that reaches the same one; ``label`` is what
    people read. ``connection`` is testinfra's name of its backend, and ``settings`` is all that the
    backend is made of. ``place``: the only computer, and user, from which it is the same target
    (`pytest_bgcheck.target.place.here`); empty if it is the same from everywhere.
    """

    key: str
    label: str
    connection: str
    settings: Mapping[str, Setting] = field(repr=False)
    place: str
    sudo: bool | None
    sudo_user: str | None
