"""A root file system with nothing but a static busybox: for containers and for chroots.

Leaving a link out of /bin does not take an applet away: Debian's busybox finds its applets
before it looks at PATH and starts them through /proc/self/exe. So the names of those that are
not wanted are also overwritten in the binary's own table.
"""

import os
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

from .machine import run_checked
from .requirements import require, tool

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:app:/home/app:/bin/sh
"""
GROUP = """\
root:x:0:
app:x:1000:
"""
APP_ID = 1000  # uid and gid of `app`, and the owner of its home
APP_HOME = "home/app"


def applets() -> frozenset[str]:
    """Return the names of all applets of this computer's busybox."""
    return frozenset(_table(_program()))


def make_root(root: Path, wanted: AbstractSet[str] | None = None) -> None:
    """Fill a directory with busybox, its applets as links in /bin, and the least of an /etc.

    ``wanted``: the applets to have, all if None. The shell's own built-ins (echo, kill, test,
    ...) stay in any case. Raise ValueError for a name that this busybox has not, or cannot lose.
    """
    program = _program()
    names = _table(program)
    keep = set(names) if wanted is None else {*wanted, "busybox"}
    if unknown := keep - set(names):
        raise ValueError(f"{program} has no applet {', '.join(sorted(unknown))}")

    for folder in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", APP_HOME):
        (root / folder).mkdir(parents=True)
        (root / folder).chmod(0o755)
    (root / "root").chmod(0o700)
    (root / "tmp").chmod(0o1777)
    if os.geteuid() == 0:
        os.chown(root / APP_HOME, APP_ID, APP_ID)
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)

    binary = root / "bin/busybox"
    binary.write_bytes(_without(Path(program).read_bytes(), names, keep))
    binary.chmod(0o755)
    for name in keep - {"busybox"}:
        (root / "bin" / name).symlink_to("busybox")


@cache
def _program() -> str:
    program = tool("busybox", "busybox-static")
    # A dynamic program names its loader (/lib64/ld-linux..., /lib/ld-musl-...) near the start.
    static = b"/ld-" not in Path(program).read_bytes()[:4096]
    require(static, "a static busybox", "apt-get install busybox-static")
    return program


@cache
def _table(program: str) -> tuple[str, ...]:
    return tuple(run_checked(program, "--list").split())


def _without(binary: bytes, names: tuple[str, ...], keep: AbstractSet[str]) -> bytes:
    """Return the binary with the names that are not kept replaced by unused ones."""
    if keep >= set(names):
        return binary
    table = b"".join(name.encode() + b"\0" for name in names)
    require(
        binary.count(table) == 1,
        "a busybox whose table of applets is one block of sorted names",
        "apt-get install busybox-static",
    )
    # The look-up stops at the first name beyond the one it wants: the table must stay sorted.
    written: list[str] = []
    for index, name in enumerate(names):
        if name in keep:
            written.append(name)
            continue
        before = written[-1] if written else ""
        after = next((later for later in names[index:] if later in keep), "\x7f")
        written.append(_unused(name, before, after, names))
    return binary.replace(table, b"".join(name.encode() + b"\0" for name in written))


def _unused(name: str, before: str, after: str, names: tuple[str, ...]) -> str:
    """Return a string as long as the name which sorts between two others and is no applet."""
    for index in reversed(range(len(name))):
        for code in range(ord("!"), ord("~") + 1):
            candidate = (name[:index] + chr(code)).ljust(len(name), "!")
            if before < candidate < after and candidate not in names:
                return candidate
    raise ValueError(f"busybox cannot lose {name}: no other string fits in its place in the table")
