"""Virtual environments: one without the plugin, one with it, and one for each neighbour on top.

One environment for all neighbours cannot be had, since they want different versions of the same
packages, and some change each run. An environment on top has only what the one below lacks.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PYTEST = ("pytest", "pytest-xdist", "pytest-testinfra")


class CannotInstall(Exception):
    """pip could not install something; with its last words."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and those below it."""

    directory: Path
    below: tuple[Path, ...] = ()

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def packages(self) -> Path:
        paths = sysconfig.get_paths("venv", vars={"base": str(self.directory)})
        return Path(paths["purelib"])

    def install(self, *requirements: str) -> None:
        """Have pip install what is not there yet. Raises CannotInstall."""
        words = ["--python", str(self.python), "install", "-q", *requirements]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise CannotInstall((errors or done.stderr.splitlines() or ["pip failed"])[-1])

    def version(self, package: str) -> str:
        code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        done = subprocess.run(
            [self.python, "-c", code, package], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or "?"


def make(directory: Path, *below: Environment) -> Environment:
    """Make an empty environment, or one that sees the packages of others behind its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    paths = [path for other in below for path in (other.packages, *other.below)]
    made = Environment(directory, tuple(dict.fromkeys(paths)))
    made.packages.joinpath("below.pth").write_text("".join(f"{path}\n" for path in made.below))
    return made


def bases(work: Path, package: Path, extras: Sequence[str] = ()) -> tuple[Environment, Environment]:
    """Return the environment without the plugin, and the one with it."""
    without = make(work / "without")
    without.install(*PYTEST, *extras)
    beside = make(work / "with", without)
    beside.install("--no-deps", str(package))
    return without, beside
