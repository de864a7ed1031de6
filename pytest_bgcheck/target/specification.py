"""The program, in the shell's language, that becomes a job's command on the target: it calls
`enter` and `become` of `supervisor/check.sh`. Pure; imports only tasks.
"""

from __future__ import annotations

import re

from ..tasks import Service, Task


def quote(text: str) -> str:
    """Quote for a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def specification(task: Task) -> str:
    """Return the program that becomes the job's command: its directory, its variables, its argv."""
    if task.script is None:
        return _becoming(task, list(map(quote, task.argv)))
    interpreter = _interpreter(task.script.content)
    words = [*map(quote, interpreter), '"$_job/script"', *map(quote, task.argv)]
    # Without one a shell has to find out what it is, which may be a script of its own.
    return _becoming(task, words, by_shell=not interpreter)


def look_specification(task: Service) -> str:
    """Return the program that becomes the service's ready command; empty if it has none."""
    return _becoming(task, list(map(quote, task.ready_argv))) if task.ready_argv else ""


def _becoming(task: Task, words: list[str], by_shell: bool = False) -> str:
    if by_shell or (words and "=" in words[0]):
        # env would take such a program for one more variable, print all of them, and succeed.
        words = ["/bin/sh", "-c", quote('exec "$@"; exit 127'), "sh", *words]
    variables = [quote(f"{name}={value}") for name, value in task.env]
    lines = [] if task.cwd is None else [f"enter {quote(task.cwd)}"]
    return "\n".join([*lines, " ".join(["become", *variables, *words])]) + "\n"


def _interpreter(content: bytes) -> list[str]:
    """Return the words of a script's ``#!`` line, as Linux splits them: at most two.

    The interpreter is called by name, so that a script runs from a noexec directory too. Without
    such a line the file itself is executed.
    """
    match = re.match(rb"#!\s*(\S+)[ \t]*([^\r\n]*)", content)
    if not match:
        return []
    words = [match[1], match[2].rstrip()]
    return [word.decode("utf-8", "surrogateescape") for word in words if word]
