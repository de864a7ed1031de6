"""What people read: results turned into text by pure functions. Imports only model and tasks."""

from __future__ import annotations

import difflib
import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..model import Output, Result, State
from ..tasks import ANY_RC, Task, not_started_yet

TAIL_LINES = 20
TAIL_CHARACTERS = 4000

HINTS = {
    126: "126: the command was found but could not be executed; look at its mode, its #! line"
    " and whether its file system is mounted noexec",
    127: "127: a command was not found on the target; look at its PATH and at the #! line",
    137: "137: killed by SIGKILL, perhaps because the target ran out of memory",
    139: "139: killed by SIGSEGV: it crashed",
    143: "143: ended by SIGTERM, but not by this plugin",
    255: "255: often ssh's own exit code, if the check itself uses ssh",
}


def hint_for(rc: int) -> str:
    """Return what an exit code says by convention; empty if nothing."""
    if rc in HINTS:
        return HINTS[rc]
    try:
        name = signal.Signals(rc - 128).name
    except ValueError:
        return ""
    return f"{rc}: 128 + {rc - 128}, probably ended by the signal {name}"


@dataclass(frozen=True)
class Verdict:
    """How a job stands for one test that awaits it.

    ``accepted``: the exit codes that this test takes. ``waited_s``: how long the test
    has waited for it; where ``result`` is None its patience was over. ``kept``: where the job's
    files were left on the target, empty if they were not. ``unanswered``: what its target said last
    and how often it was tried; empty if it answers. ``held_back``: its start point was not reached.
    """

    task: Task
    host: str
    state: State
    result: Result | None = None
    accepted: frozenset[int] = frozenset({0})
    waited_s: float | None = None
    kept: str = ""
    unanswered: str = ""
    held_back: bool = False

    @property
    def good(self) -> bool:
        result = self.result
        if result is None or result.state not in (State.SUCCEEDED, State.FAILED):
            return False
        return result.rc in self.accepted


def failure(verdicts: Sequence[Verdict], others: Sequence[Verdict] = ()) -> str:
    """Return the failure of a test whose jobs did not succeed; ``others``: its other jobs."""
    blocks = ["\n".join(_block(verdict)) for verdict in verdicts]
    if others:
        blocks.append("\n".join(["the other checks of this test:", *map(_other_line, others)]))
    return "\n\n".join(blocks)


def cut_short(by: str | None, still: str) -> str:
    """Return the failure of a test whose wait another plugin has ended; ``by``: what that said."""
    return f"{(by or 'the wait was ended').rstrip('.')}: {still}"


def headline(verdict: Verdict) -> str:
    """Return the line that names a job's check, host and state."""
    result = verdict.result
    start = f"background check {verdict.task.name!r} on {verdict.host}"
    if result is None:
        said = f": {verdict.unanswered}" if verdict.unanswered else ""
        return f"{start} still {verdict.state} after {duration(verdict.waited_s)} of waiting{said}"
    took = f" after {duration(result.duration)}" if result.duration is not None else ""
    if result.rc is not None:
        return f"{start} failed: rc {result.rc}{took}{_accepted_note(verdict)}"
    detail = f": {result.detail}" if result.detail else ""
    return f"{start} {result.state}{took}{detail}"


def _accepted_note(verdict: Verdict) -> str:
    accepted, own = verdict.accepted, verdict.task.accepted
    if accepted != own:
        return (
            f" (accepted by this test's mark: {rc_codes(accepted)}; by the check: {rc_codes(own)})"
        )
    return "" if accepted == {0} else f" (accepted: {rc_codes(accepted)})"


def rc_codes(codes: Iterable[int]) -> str:
    """Return accepted exit codes for people."""
    return "any" if ANY_RC.issubset(codes) else ", ".join(map(str, sorted(codes)))


def duration(seconds: float | None) -> str:
    """Return seconds for people: 0.25 s, 12.4 s, 6 min 5 s, 2 h 3 min."""
    if seconds is None:
        return "an unknown time"
    if seconds < 0.005:
        return "0 s"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def bytes_of(size: int) -> str:
    return "1 byte" if size == 1 else f"{size:,} bytes"


def used_and_failed(when: str, checks: int) -> str:
    """Return what leads from the failures of so many checks to that of the test that used them.

    ``when``: the phase of the test that failed, as pytest calls it.
    """
    whose = "that check's result" if checks == 1 else "the results of these checks"
    what = {"setup": "the set-up of this test", "teardown": "the teardown of this test"}
    return f"{what.get(when, 'this test')} used {whose}, and failed:"


AWAITS_NOTHING = (
    "this test awaits nothing: its mark 'bgcheck' has no names, and it requests no check's fixture;"
    " name a check in the mark, or request its fixture"
)


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the failure of a test that awaits a check which nobody declared or started."""
    names = sorted(set(known))
    text = f"no background check {name!r} was declared or started for this test"
    if not names:
        return f"{text}; no checks are known"
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"{text}{guess}\nknown checks: {', '.join(names)}"


def not_visible(name: str, places: Iterable[str]) -> str:
    """Return the failure of a test that awaits a check which is declared, but not for this test."""
    return (
        f"background check {name!r} is not visible to this test; it is declared in"
        f" {', '.join(places)}\n"
        "a test sees the checks of its own module, of its conftests and of plugins; of several with"
        " one name it sees the nearest"
    )


def printable(text: str) -> str:
    """Return text that cannot command a terminal: controls and escapes made visible."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c in "\n\t" or c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def _block(verdict: Verdict) -> list[str]:
    task, result = verdict.task, verdict.result
    lines = [headline(verdict), f"  command: {one_line(task.command)}"]
    if task.cwd is not None:
        lines.append(f"  cwd: {one_line(task.cwd)}")
    if result is None:
        goes_on = f"its limit is {duration(task.timeout_s)}; it goes on"
        lines.append(f"  {not_started_yet(task.after) if verdict.held_back else goes_on}")
        return lines
    if result.state is State.SUCCEEDED:
        lines.append("  the check itself succeeded: only this test's mark does not accept that rc")
    if verdict.waited_s is not None:
        lines.append(f"  this test waited {duration(verdict.waited_s)} for it")
    if result.state is State.TIMED_OUT:
        lines.append(f"  its limit on the target: timeout={task.timeout_s:g}")
    if result.attempts > 1:
        lines.append(f"  attempts: {result.attempts}; this is the output of the last one")
    if result.attempts or result.state in (State.TIMED_OUT, State.CANCELLED, State.LOST):
        lines += _stream("stdout", result.stdout_kept)
        lines += _stream("stderr", result.stderr_kept)
    elif result.stderr_kept.size:
        lines += _stream("stderr", result.stderr_kept)
    if result.rc is not None and result.detail:
        lines.append(f"  note: {result.detail}")
    hint = "" if result.rc is None else hint_for(result.rc)
    if hint:
        lines.append(f"  hint: {hint}")
    if verdict.kept:
        lines.append(f"  its files were kept: {verdict.kept}")
    elif result.stdout_kept.cut or result.stderr_kept.cut:
        lines.append("  a larger output_limit= of the check keeps more of its output")
    elif not (shown_whole(result.stdout_kept) and shown_whole(result.stderr_kept)):
        lines.append("  --bgcheck-keep leaves the whole output on the target")
    return lines


def one_line(command: str) -> str:
    text = re.sub(r"\s*\n\s*", " ⏎ ", command.strip())
    text = printable(text)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(command):,} characters)"


def shown_whole(output: Output) -> bool:
    """Return whether a failure shows all that was written."""
    text, shown = _tail(output)
    return not output.cut and len("\n".join(shown)) == len(text)


def _tail(output: Output) -> tuple[str, list[str]]:
    text = printable(output.text()).rstrip("\n")
    return text, text[-TAIL_CHARACTERS:].split("\n")[-TAIL_LINES:]


def _stream(name: str, output: Output) -> list[str]:
    if not output.size:
        return [f"  {name}: empty"]
    text, shown = _tail(output)
    tail = "" if len("\n".join(shown)) == len(text) else f", the last {len(shown)} lines"
    if len(shown) == 1 and tail:
        tail = f", the last {len(shown[0]):,} characters"
    return [f"  {name} ({bytes_of(output.size)}{tail}):", *(f"    {line}" for line in shown)]


def _other_line(verdict: Verdict) -> str:
    result = verdict.result
    facts = [str(verdict.state)]
    if result is None and verdict.unanswered:
        facts.append(verdict.unanswered)
    if result is not None and result.rc is not None:
        facts.append(f"rc {result.rc}")
    if result is not None and result.duration is not None:
        facts.append(f"after {duration(result.duration)}")
    return f"  {verdict.task.name!r} on {verdict.host}: {', '.join(facts)}"
