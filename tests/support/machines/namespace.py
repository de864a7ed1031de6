"""A network namespace with one link to here, which can be cut without a word to anybody."""

import secrets
from collections.abc import Callable

from .machine import Machine, run, run_checked
from .requirements import require, require_root, tool


class Namespace(Machine):
    """A network of its own, at ``address`` from here; root only.

    ``enter``: what to put before a command to run it there. Whatever runs in it must be ended
    before `stop`.
    """

    def __init__(self) -> None:
        token = secrets.token_hex(3)
        self._name, self._here, self._there = f"bgc{token}", f"bgch{token}", f"bgct{token}"
        # From the network that is set aside for benchmarks of such devices.
        net = f"198.18.{secrets.randbelow(256)}.{4 * secrets.randbelow(64)}"
        base, _, last = net.rpartition(".")
        self._gateway, self.address = f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}"
        self._made = False

    @property
    def enter(self) -> tuple[str, ...]:
        return (self._ip, "netns", "exec", self._name)

    def start(self) -> None:
        require_root("network namespaces")
        self._ip = tool("ip", "iproute2")
        done = run(self._ip, "netns", "add", self._name)
        require(done.returncode == 0, f"namespaces ({done.stderr.strip()})", "run privileged")
        self._made = True
        for command in (
            ("link", "add", self._here, "type", "veth", "peer", self._there, "netns", self._name),
            ("addr", "add", f"{self._gateway}/30", "dev", self._here),
            ("link", "set", self._here, "up"),
            ("-n", self._name, "addr", "add", f"{self.address}/30", "dev", self._there),
            ("-n", self._name, "link", "set", self._there, "up"),
            ("-n", self._name, "link", "set", "lo", "up"),
        ):
            run_checked(self._ip, *command)

    def cut(self) -> None:
        """From now on packets vanish, both ways: nobody is told, nothing is refused."""
        # To a neighbour that never answers: the link itself stays up, or sends would fail.
        for end in self._ends:
            run_checked(*end("replace"), "lladdr", "02:00:00:00:00:01", "nud", "permanent")

    def mend(self) -> None:
        for end in self._ends:
            run_checked(*end("del"))

    @property
    def _ends(self) -> "tuple[Callable[[str], tuple[str, ...]], ...]":
        """Return the commands, by their verbs, for what each end knows of the other."""
        return (
            lambda verb: (self._ip, "neigh", verb, self.address, "dev", self._here),
            lambda verb: (
                *(self._ip, "-n", self._name, "neigh", verb),
                *(self._gateway, "dev", self._there),
            ),
        )

    def stop(self) -> None:
        if self._made:
            run_checked(self._ip, "netns", "del", self._name)
            run(self._ip, "link", "del", self._here)
            self._made = False
