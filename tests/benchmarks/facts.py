"""What a reader must know of the computer and the programs: no names of hosts, no paths."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, version

from support.machines.machine import run

_PACKAGES = ("pytest", "pytest-testinfra", "pytest-xdist", "pytest-bgcheck", "ansible-core")


def facts() -> dict[str, str]:
    found = {
        "CPUs": str(len(os.sched_getaffinity(0))),
        "kernel": f"{platform.system()} {_kernel()} {platform.machine()}",
        "Python": platform.python_version(),
        "/bin/sh": os.path.basename(os.path.realpath("/bin/sh")),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    if shutil.which("ssh"):
        found["OpenSSH"] = run("ssh", "-V").stderr.partition(",")[0].removeprefix("OpenSSH_")
    if shutil.which("docker"):
        found["Docker"] = _first(r"\d+[\d.]*", run("docker", "--version").stdout)
    return found


def _kernel() -> str:
    return _first(r"\d+\.\d+(\.\d+)?", platform.release())


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else "unknown"
