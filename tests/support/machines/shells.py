"""The shells that a target may have as its /bin/sh."""

from pathlib import Path

from .requirements import tool

SHELLS: tuple[str, ...] = ("dash", "bash", "busybox", "mksh", "ksh93", "zsh", "yash")

_PACKAGES = {"busybox": "busybox-static", "ksh93": "ksh93u+m"}


def shell_as_sh(name: str, directory: Path) -> Path:
    """Return ``directory/name/sh``, a link to this shell: it runs as a sh when it is called sh."""
    if name not in SHELLS:
        raise ValueError(f"unknown shell {name!r}, not one of {', '.join(SHELLS)}")
    program = tool(name, _PACKAGES.get(name, name))
    link = directory / name / "sh"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(program)
    return link
