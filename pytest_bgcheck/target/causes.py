"""Why a call gave no whole reply: from its exit code, and from the transport's own whole lines.

What a check writes, a login prints or an sshd greets with must decide nothing. So stdout is never
looked at, and stderr only where the exit code is one that the backend's own program ends with.
ssh's client writes its messages to a file of its own (``-E``), apart from the stderr of the other
side. A line counts only if it is one of those known, from its first to its last letter.

Even so it is no proof. After a Refused or Gone the target is asked a second time, by a request in
which no check has a part. Pure; imports only errors and log.
"""

from __future__ import annotations

import re

from ..errors import BadReply, Gone, Refused, TargetError, Unreachable
from ..log import without_request

SSH = frozenset({"ssh", "safe-ssh"})

SSH_FAILED = 255
"""ssh's exit code for an error of its own, or whatever else ended the connection."""

KEPT = 4000
"""Bytes kept of what a call said, for its error."""

_SSH_REFUSED = (
    r"ssh: Could not resolve hostname .*: (Name or service not known"
    r"|No address associated with hostname|nodename nor servname provided, or not known)",
    r"(\S+@\S+: )?Permission denied \(.*\)\.",
    r"Host key verification failed\.",
    r"Bad owner or permissions on .*",
    r"Unable to negotiate with .*: no matching .* found\. Their offer: .*",
    r"Received disconnect from .*: Too many authentication failures",
    r".*: terminating, \d+ bad configuration options",
    r"Can't open user config file .*: .*",
    r"ControlPath too long \(.*\)",
    r"unix_listener: path .* too long for Unix domain socket",
)

_NO_DAEMON = (
    r"(ERROR: )?Cannot connect to the Docker daemon at \S+ Is the docker daemon running\?",
    r"failed to connect to the docker API at \S+; check if the path is correct .*",
    r"(ERROR: )?([Gg]ot )?[Pp]ermission denied while trying to connect to the [Dd]ocker .*",
)

_CLUSTER = (
    frozenset({1}),
    (
        r'Error from server \(NotFound\): (pods|namespaces) ".*" not found',
        r"error: cannot exec into a container in a completed pod; current phase is .*",
    ),
    (
        r"Error from server \(Forbidden\): .*",
        r"error: context \".*\" does not exist",
        r"error: stat \S+: no such file or directory",
        r"error: error loading config file .*",
        r"Unable to connect to the server: (tls: failed to verify certificate: )?x509: .*",
        r"error: You must be logged in to the server \(.*\)",
        r"Error from server \(BadRequest\): container .* is not valid for pod .*",
    ),
)

_BACKENDS: dict[str, tuple[frozenset[int], tuple[str, ...], tuple[str, ...]]] = {
    "docker": (
        frozenset({1, 125}),
        (
            r"(Error response from daemon|Error): No such (container|exec instance): \S+",
            r"Error response from daemon: [Cc]ontainer \S+ is not running",
        ),
        _NO_DAEMON,
    ),
    "podman": (
        frozenset({125, 255}),
        (
            r"Error: no container with (name or ID .* found|ID .* found in database).*",
            r"Error: can only create exec sessions on running containers: container state improper",
        ),
        (),
    ),
    "kubectl": _CLUSTER,
    "openshift": _CLUSTER,
    "lxc": (
        frozenset({1}),
        (r"Error: (Instance is not running|Instance not found|not found)",),
        (),
    ),
    "chroot": (
        frozenset({125}),
        (),
        (r"chroot: cannot change root directory to .*", r"chroot: cannot chroot to .*"),
    ),
}
"""By backend: the exit codes of its program's own errors; its lines for a target that is gone, with
all that ran on it; and its lines after which asking again cannot help."""

_SIGNALLED = 128
"""Exit codes above it, and below 0, are those of programs that a signal has ended."""

_SUDO_CODE = 1
_SUDO_REFUSED = (
    r"sudo: a password is required",
    r"sudo: a terminal is required to read the password; .*",
    r"sudo: no tty present and no askpass program specified",
    r"sudo: sorry, you must have a tty to run sudo",
    r"sudo: unknown user:? .*",
    r"sudo: (PAM )?account (validation failure|management error).*",
    r"\S+ is not in the sudoers file\..*",
    r"Sorry, user \S+ (is not allowed to execute|may not run sudo) .*",
)

_NO_PROGRAM = frozenset({126, 127})
"""Exit codes of what was to run a shell: there is none, or it may not be executed."""


def cause(
    backend: str, rc: int, stdout: bytes, stderr: bytes, log: bytes, error: BadReply, begun: bool
) -> TargetError:
    """Return the error for a call that gave no whole reply.

    ``backend`` is testinfra's name for the kind, ``log`` what ssh's client wrote to a file of its
    own, ``error`` what is wrong with the reply, and ``begun`` says that one began.
    """
    if begun:
        # A shell of ours was there, whatever came after it.
        return Unreachable(readable(log) or f"the reply broke off (rc {rc})")
    if backend in SSH and rc == SSH_FAILED:
        return _by_lines(log, (), _SSH_REFUSED) or Unreachable(
            readable(log) or readable(stderr) or "the connection ended"
        )
    codes, gone, refused = _BACKENDS.get(backend, (frozenset(), (), ()))
    known = None
    if rc in codes:
        known = _by_lines(stderr, gone, refused)
    if known is None and rc == _SUDO_CODE:
        known = _by_lines(stderr, (), _SUDO_REFUSED)
    if known is not None:
        return known
    if rc < 0 or rc > _SIGNALLED:
        return Unreachable(readable(stderr) or f"the call was ended (rc {rc})")
    said = readable(stderr) or readable(stdout)
    if rc == 0:
        return BadReply(f"{error}; it said: {said}" if said else str(error))
    if rc in _NO_PROGRAM:
        return Refused(said or f"/bin/sh cannot be run there (rc {rc})")
    return BadReply(f"{error}, rc {rc}" + (f"; it said: {said}" if said else ""))


def _by_lines(
    data: bytes, gone: tuple[str, ...], refused: tuple[str, ...]
) -> Gone | Refused | None:
    """Return the error that some whole line stands for."""
    for line in lines(data):
        if any(re.fullmatch(pattern, line) for pattern in gone):
            return Gone(readable(data))
        if any(re.fullmatch(pattern, line) for pattern in refused):
            return Refused(readable(data))
    return None


_HOPELESS = frozenset(
    {"AuthenticationException", "BadHostKeyException", "IncompatiblePeer", "ConfigParseError"}
)
"""paramiko's exceptions after which asking again cannot help, and those made from them."""

_UNKNOWN_NAME = -2
"""EAI_NONAME of `socket.gaierror`, here and on the BSDs' descendants 8."""


def of_exception(error: Exception, backend: str = "") -> TargetError:
    """Return the error for what a backend without a program raised, by its kind."""
    said = readable(str(error).encode("utf-8", "replace"))
    if isinstance(error, KeyError):
        said = f"the answer has no {said}"
    name = type(error).__name__
    said = f"{name}: {said}" if said else name
    kinds = {kind.__name__ for kind in type(error).__mro__}
    unknown = "gaierror" in kinds and error.args[:1] in ((_UNKNOWN_NAME,), (8,))
    # paramiko reads files of the user's only: an ssh_config, and keys.
    missing = backend == "paramiko" and isinstance(error, FileNotFoundError)
    return Refused(said) if unknown or missing or kinds & _HOPELESS else Unreachable(said)


# --- what people read -----------------------------------------------------------------------------

_CHATTER = re.compile(
    r"debug\d: |Transferred: sent |Bytes per second: |Warning: Permanently added "
)
"""What ssh's client says, if it is asked to, beside what went wrong."""


def lines(data: bytes) -> list[str]:
    """Return the lines of some output, printable."""
    text = data.decode("utf-8", "replace")
    found = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
    # The beginning of what was kept may be in the middle of a line.
    return found[1:] if len(data) >= KEPT else found


def readable(data: bytes) -> str:
    """Return what there is to read in some output: its last lines, in one.

    Some shells and tools quote what they could not run; but in our requests are others' secrets.
    """
    said = [without_request(line) for line in lines(data) if not _CHATTER.match(line)]
    said = [line if len(line) < 1000 else "(a very long line)" for line in said]
    return "; ".join([line for line in said if line][-3:])[-400:]
