"""Real targets for the tests: an OpenSSH server, a Docker engine, a chroot, shells, a user.

Everything listens on loopback or on a socket of its own, needs no internet, and is gone when
the session ends. A tool that is missing is a skip which says what to install; with
``BGCHECK_REQUIRE_ALL=1`` (as in CI) it is a failure. May not import pytest_bgcheck.
"""

from .busybox import applets
from .chroot import ChrootDir
from .docker import Container, DockerEngine
from .namespace import Namespace
from .requirements import require, tool
from .shells import SHELLS, shell_as_sh
from .sshd import SSHServer
from .users import TestUser

__all__ = [
    "SHELLS",
    "ChrootDir",
    "Container",
    "DockerEngine",
    "Namespace",
    "SSHServer",
    "TestUser",
    "applets",
    "require",
    "shell_as_sh",
    "tool",
]
