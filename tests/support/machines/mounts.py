"""Folders with file systems mounted in them, removed without harm to what is mounted there."""

import os
import re
import shutil
from pathlib import Path

from .machine import run, run_checked


def mounts_below(directory: Path) -> list[str]:
    """Return the mount points in the directory (or at it), the deepest first."""
    top = str(directory.resolve())
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # The kernel writes space, tab, newline and backslash as \\ooo.
        escaped = line.split()[4]
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), escaped)
        if point == top or point.startswith(top + "/"):
            points.append(point)
    return points[::-1]  # mountinfo has them in the order they were mounted


def remove_tree(directory: Path) -> None:
    """Unmount what is mounted in the directory, then remove it; RuntimeError if a mount stays."""
    if not os.path.lexists(directory):
        return
    for point in mounts_below(directory):
        if run("umount", point).returncode != 0:
            run_checked("umount", "--lazy", point)  # something is busy in it
    # rmtree would walk into a mount and delete what is not ours.
    if left := mounts_below(directory):
        raise RuntimeError(f"cannot remove {directory}, still mounted: {left}")
    shutil.rmtree(directory)
