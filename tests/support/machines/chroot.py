"""A chroot with nothing but busybox."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Set as AbstractSet
from pathlib import Path

from .busybox import make_root
from .machine import Machine, run
from .mounts import remove_tree
from .processes import kill_tree, with_root
from .requirements import require, require_proc, require_root

_DEVICES = {"null": 3, "zero": 5}  # minor numbers of the memory devices, whose major is 1


class ChrootDir(Machine):
    """A directory (``path``, known once started) to chroot into; root only.

    ``applets``: see `busybox.make_root`. ``proc``: mount /proc in it. Stopping it kills what
    still runs chrooted there.
    """

    path: Path

    def __init__(self, *, applets: AbstractSet[str] | None = None, proc: bool = True) -> None:
        self._applets = applets
        self._proc = proc

    def start(self) -> None:
        require_root("chroot and mount")
        require_proc()
        self.path = Path(tempfile.mkdtemp(prefix="bgc-", dir=_folder_for_programs_and_devices()))
        self.path.chmod(0o755)  # mkdtemp's 0700 would shut `app` out of its own root
        make_root(self.path, self._applets)
        try:
            for name, minor in _DEVICES.items():
                device = self.path / "dev" / name
                os.mknod(device, stat.S_IFCHR, os.makedev(1, minor))
                device.chmod(0o666)
        except PermissionError as error:
            require(False, f"the right to make devices ({error})", "run with CAP_MKNOD")
        if self._proc:
            done = run("mount", "-t", "proc", "proc", str(self.path / "proc"))
            error_text = done.stderr.strip()
            require(
                done.returncode == 0,
                f"the right to mount ({error_text})",
                "run with CAP_SYS_ADMIN (docker run --privileged)",
            )

    def exec(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the chroot, as root."""
        return run("chroot", str(self.path), *argv)

    def stop(self) -> None:
        if not hasattr(self, "path"):
            return
        while processes := with_root(self.path):
            kill_tree(*(process.pid for process in processes))
        remove_tree(self.path)
        del self.path


def _folder_for_programs_and_devices() -> str:
    """Return a temporary folder where both work: /tmp is often a tmpfs mounted nodev."""
    for folder in (tempfile.gettempdir(), "/var/tmp", "/root"):
        if not os.statvfs(folder).f_flag & (os.ST_NODEV | os.ST_NOEXEC):
            return folder
    require(False, "a folder that is not mounted nodev or noexec", "set TMPDIR to one")
    raise AssertionError("unreachable")
