"""Another user of this computer, for tests of sudo and of a foreign uid."""

import os
import pwd
import secrets
import subprocess
import tempfile
from pathlib import Path

from .machine import Machine, run, run_checked
from .processes import kill_tree, with_uid
from .requirements import require_proc, require_root, tool

_SUDOERS = Path("/etc/sudoers.d")


class TestUser(Machine):
    """A user with a random ``name``, a ``home``, ``uid`` and ``gid`` of its own, and /bin/sh.

    It has no password, yet is not locked: sshd lets it in with a key. Root only. Stopping it
    kills its processes, and removes it with its home and its sudo rule.
    """

    __test__ = False  # the name is no test class for pytest

    uid: int
    gid: int

    def __init__(self) -> None:
        self.name = f"bgc{secrets.token_hex(4)}"
        self.home = Path(tempfile.gettempdir(), self.name)

    @property
    def _rule(self) -> Path:
        return _SUDOERS / self.name

    def start(self) -> None:
        require_root("useradd")
        require_proc()
        useradd = tool("useradd", "passwd")
        # '*' is no valid hash, so no password fits; the default '!' would be a locked account.
        options = ("-m", "-d", str(self.home), "-s", "/bin/sh", "-U", "-p", "*")
        run_checked(useradd, *options, self.name)
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    def exec(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, in its home, with a small environment."""
        return subprocess.run(
            argv,
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=(),
            cwd=self.home,
            env={"HOME": str(self.home), "USER": self.name, "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )

    def sudoers(self, rule: str) -> None:
        """Let this user do ``rule``, as in ``ALL=(ALL:ALL) NOPASSWD: ALL``, until it is stopped.

        A second call replaces the first rule. RuntimeError if sudo does not understand it.
        """
        tool("sudo", "sudo")
        visudo = tool("visudo", "sudo")
        # sudo ignores names with a dot: a wrong rule never counts, not even for a moment.
        draft = self._rule.with_name(f"{self.name}.draft")
        try:
            draft.touch(mode=0o440)
            draft.write_text(f"{self.name} {rule}\n")
            run_checked(visudo, "-c", "-f", str(draft))
            draft.replace(self._rule)
        finally:
            draft.unlink(missing_ok=True)

    def stop(self) -> None:
        if not hasattr(self, "uid"):
            return
        self._rule.unlink(missing_ok=True)
        while processes := with_uid(self.uid):
            kill_tree(*(process.pid for process in processes))
        done = run("userdel", "-r", self.name)
        if done.returncode != 0 or self.home.exists():
            raise RuntimeError(f"cannot remove the user {self.name}: {done.stderr}")
        del self.uid, self.gid
