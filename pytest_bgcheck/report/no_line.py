"""The failure of a wait for a line of a job's output."""

from __future__ import annotations

from ..model import Result
from ..target.output import NoLine
from ..tasks import Task, not_started_yet
from . import text, words
from .hints import BUFFERED, whole_blocks


def no_line(task: Task, host: str, found: NoLine) -> str:
    """Return what people read of a wait for a line that did not come."""
    head = f"{words.named(task.kind, task.name, host)} wrote no line that matches {found.pattern!r}"
    if found.result is not None:
        head += f": it ended before: {_became(found.result)}"
    else:
        head += "" if found.limit_s is None else f" within {found.limit_s:g} s"
        head += f": {found.unanswered}" if found.unanswered else ""
        head += f"; {not_started_yet(task.after)}" if found.held_back else ""
    lines = [head]
    if found.unseen:
        lines.append(
            f"  {words.bytes_of(found.unseen)} of its output were cut out before they could be"
            " searched: a larger output_limit= keeps more"
        )
    since = ", since this wait began" if found.since_now and found.result is None else ""
    lines += text.stream_lines(f"stdout{since}", found.stdout)
    lines += text.stream_lines(f"stderr{since}", found.stderr)
    if found.result is None and whole_blocks(found.stdout.size):
        lines.append(f"  hint: {BUFFERED}")
    return "\n".join(lines)


def _became(result: Result) -> str:
    took = "" if result.duration is None else f" after {words.duration(result.duration)}"
    rc = "" if result.rc is None else f": rc {result.rc}"
    return f"{result.state}{rc}{took}" + (f": {result.detail}" if result.detail else "")
