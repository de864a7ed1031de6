"""Which computer this is."""

from __future__ import annotations

import functools
import socket

from ..originals import io, os


@functools.cache
def here() -> str:
    """Return which computer this is, and which user: whose the local host is."""
    try:
        with io.open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        boot = ""
    return f"{os.getuid()}@{socket.gethostname()}/{boot}"
