"""A request as one command line, for the target's login shell, whatever shell that is; and the
program that goes with it. Pure; imports nothing of the package but how a word is quoted.

Everybody on the target can read a command line in the list of processes. So its words are joined
and their letters replaced: not to hide them from people, but from checks that look for a process by
words of their own, and would find ours. Each value is encoded for ``printf %b``, in printable ASCII
without a quote, a lone backslash, an exclamation mark or a newline: fish and csh leave that as it
is, and no level of quoting makes it longer.
"""

from __future__ import annotations

import importlib.resources
import re
import string
from collections.abc import Iterable

from .specification import quote

_UNSET = (
    "IFS CDPATH ENV BASH_ENV BASH_COMPAT TMOUT PS4 FUNCNEST GLOBIGNORE EXECIGNORE _POSIX2_VERSION"
    " GREP_OPTIONS GREP_COLOR GREP_COLORS BLOCK_SIZE BLOCKSIZE LS_BLOCK_SIZE TIME_STYLE"
    " QUOTING_STYLE LS_COLORS TABSIZE COLUMNS"
)
HEAD = (
    "set +aCefmuvx; case ${BASH_VERSION-} in"
    # bash leaves POSIX mode with the variable, and closes the descriptor with its number.
    " ?*) set +k; unset -f $(compgen -A function); shopt -u failglob nullglob dotglob globstar"
    " nocasematch nocaseglob xpg_echo lastpipe; export -n SHELLOPTS BASHOPTS POSIXLY_CORRECT"
    " BASH_XTRACEFD;; *) unset SHELLOPTS BASHOPTS POSIXLY_CORRECT BASH_XTRACEFD;; esac;"
    f" FUNCNEST=700; unset {_UNSET}; "
)
"""What each request begins with: no option, function or variable of a login may change what the
program means, nor reach the shells and tools that it starts. The check gets them back: see
set_aside in `supervisor/start.sh`."""

_READ_WORDS = (
    '_text=$(printf %s "$2" | LC_ALL=C tr F-Z0-9a-zA-E a-zA-Z0-9);'
    ' case $_text in "")'
    ' for _tool in tr printf; do command -v "$_tool" >/dev/null 2>&1 || break; done;'
    ' echo; echo "$1 begin hex"; echo "refused * the target has no $_tool";'
    ' echo "$1 end 1"; exit 0 ;;'
    " esac;"
    " IFS=^; set -f; set -- $_text; unset IFS; set +f;"
    ' _source=$(printf %b "$1"); shift; eval "$_source"'
)
"""What comes next: it makes the words of what was joined, and runs the first as a program."""

_PLAIN = string.ascii_lowercase + string.ascii_uppercase + string.digits
_HIDDEN = str.maketrans(_PLAIN, _PLAIN[31:] + _PLAIN[:31])


def encode(data: bytes | str) -> str:
    """Encode bytes for ``printf %b``, in printable ASCII that every login shell leaves alone."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return _JINJA.sub("\\\\0173", "".join(_CODES[byte] for byte in data))


_CODES = [
    chr(byte) if 32 <= byte < 127 and chr(byte) not in "'\\!^" else f"\\0{byte:03o}"
    for byte in range(256)
]
_CODES[ord("\n")] = "\\n"
_JINJA = re.compile(r"\{(?=[{%#])")
"""What Ansible's ad-hoc command would take for a template."""


def _source() -> str:
    """Return the whole program: the main part, with each other part in the place of its line."""
    return _PART.sub(lambda line: _part(line[1]), _part("main"))


_PART = re.compile(r"^\. \./(\w+)\.sh\n", re.M)


def _part(name: str) -> str:
    folder = importlib.resources.files(__package__) / "supervisor"
    return (folder / f"{name}.sh").read_text("ascii")


def _stripped(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(x for x in lines if x and not x.startswith("#")) + "\n"


# Read here, and not by the thread that first makes a request: to read a package's data may import
# something, and in a child that is forked meanwhile that import never ends.

SUPERVISOR = _stripped(_source())
"""The supervisor's program, without comments and indentation."""

WAY_IN = _stripped(_part("way_in")) + 'enter_run "$@"\n'
"""What a request runs before the program that lies on the target."""


def in_run(directory: bytes, verb: str, nonce: str, shell: str, *words: str) -> str:
    """Return the command line that has the program on the target do what a verb says.

    ``directory`` is the run's there.
    """
    run_id = directory.rpartition(b"/")[2].decode("ascii")
    enter = ["in", encode(directory), verb, shell, nonce, run_id]
    return command(shell, nonce, WAY_IN, [*enter, *words])


def command(shell: str, nonce: str, program: str, words: Iterable[str]) -> str:
    """Return the command line that runs a program of the shell with these words."""
    text = "^".join([encode(program), *words]).translate(_HIDDEN)
    return f"{shell} -c {quote(HEAD + _READ_WORDS)} pytest-bgcheck {nonce} {quote(text)}"
