"""What people read: results turned into text by pure functions. Imports hints, model,
tasks, windows, window_text and words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..model import Output, Result, State
from ..tasks import Check, Probe, Service, Task, not_started_yet
from ..windows import Limits, Window, exceeded, unproven
from .hints import hints
from .window_text import window_headline, window_hints, window_lines
from .words import bytes_of, duration, named, one_line, one_word, printable, rc_codes

TAIL_LINES = 20
TAIL_CHARACTERS = 4000


@dataclass(frozen=True)
class Verdict:
    """How a job stands for one test that awaits it.

    ``accepted``: the exit codes that this test takes. ``waited_s``: how long the test
    has waited for it; where ``result`` is None its patience was over, or it is a service that is
    ready, or a probe that has taken a sample. ``kept``: where the job's files were left on the
    target, empty if they were not. ``unanswered``: what its target said last and how often it was
    tried; empty if it answers. ``held_back``: its start point was not reached. ``ended_s``: when a
    service or a probe ended, in seconds after this test began, negative: before; None: not to be
    told. ``window``: what a probe has seen during the test's body, and ``limits``: what it may see;
    None before that is known. ``not_proven``: why nobody knows whether a service still lives, or
    what a probe has seen; empty if that is known.
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
    ended_s: float | None = None
    not_proven: str = ""
    window: Window | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def exceeded(self) -> bool:
        """True if it is proven that a probe has seen more than its limits allow."""
        return self.window is not None and exceeded(self.window, self.limits)

    @property
    def why_not_proven(self) -> str:
        """Why it is not known that a service lives, or that a probe has seen no more than its
        limits allow; empty if that is known."""
        if self.not_proven or self.window is None or not isinstance(self.task, Probe):
            return self.not_proven
        return unproven(self.window, self.limits, self.task.every_s)

    @property
    def good(self) -> bool:
        """True if a check's exit code is accepted, if a service is ready and runs, and if a probe
        has seen no more than its limits allow; before that is known: if it has taken a sample."""
        result = self.result
        if self.window is not None:
            return not (self.exceeded or self.why_not_proven)
        if self.task.ends_with_run:
            in_time = self.state is self.task.ready_state
            return result is None and in_time and not self.not_proven
        if result is None or result.state not in (State.SUCCEEDED, State.FAILED):
            return False
        return result.rc in self.accepted

    @property
    def state_shown(self) -> State:
        """The state as people read it: a service, or a probe, that is asked for is starting."""
        pending = self.state is State.PENDING and not self.held_back
        return self.task.begun if pending and self.task.ends_with_run else self.state


def failure(verdicts: Sequence[Verdict], others: Sequence[Verdict] = ()) -> str:
    """Return the failure of a test whose jobs did not succeed; ``others``: its other jobs."""
    blocks = ["\n".join(_block(verdict)) for verdict in verdicts]
    if others:
        jobs = one_word([verdict.task for verdict in (*verdicts, *others)])
        blocks.append("\n".join([f"the other {jobs}s of this test:", *map(_other_line, others)]))
    return "\n\n".join(blocks)


def cut_short(by: str | None, still: str) -> str:
    """Return the failure of a test whose wait another plugin has ended; ``by``: what that said."""
    return f"{(by or 'the wait was ended').rstrip('.')}: {still}"


def headline(verdict: Verdict) -> str:
    """Return the line that names a job's kind, name, host and state."""
    result, task = verdict.result, verdict.task
    start = named(task.kind, task.name, verdict.host)
    if verdict.exceeded and verdict.window is not None:
        return f"{start}: {window_headline(verdict.window, verdict.limits)}"
    if verdict.why_not_proven:
        what = ": not proven" if isinstance(task, Probe) else " not proven to be alive"
        return f"{start}{what}: {verdict.why_not_proven}"
    if result is None:
        said = f": {verdict.unanswered}" if verdict.unanswered else ""
        waited = duration(verdict.waited_s)
        return f"{start} still {verdict.state_shown} after {waited} of waiting{said}"
    took = f" after {duration(result.duration)}" if result.duration is not None else ""
    took += _relative(verdict)
    if result.rc is not None:
        # Of a check that succeeded, this test's mark does not accept the rc.
        became = State.FAILED if isinstance(task, Check) else result.state
        return f"{start} {became}: rc {result.rc}{took}{_accepted_note(verdict)}"
    detail = f": {result.detail}" if result.detail else ""
    return f"{start} {result.state}{took}{detail}"


def _relative(verdict: Verdict) -> str:
    """Return when a service or a probe ended that had been ready, as this test has seen it."""
    ended_s, result = verdict.ended_s, verdict.result
    if ended_s is None or result is None or result.ready_s is None:
        return ""
    if ended_s < 0:
        return f", {duration(-ended_s)} before this test"
    return f", {duration(ended_s)} into this test"


def _accepted_note(verdict: Verdict) -> str:
    accepted, own = verdict.accepted, verdict.task.accepted
    if not own:
        return ""
    if accepted != own:
        return (
            f" (accepted by this test's mark: {rc_codes(accepted)}; by the check: {rc_codes(own)})"
        )
    return "" if accepted == {0} else f" (accepted: {rc_codes(accepted)})"


def used_and_failed(when: str, verdicts: Sequence[Verdict]) -> str:
    """Return what leads from the failures of some jobs to that of the test that used them.

    ``when``: the phase of the test that failed, as pytest calls it.
    """
    noun = one_word([verdict.task for verdict in verdicts])
    used = f"that {noun}" if len(verdicts) == 1 else f"these {noun}s"
    if noun == Check.kind:
        used = "that check's result" if len(verdicts) == 1 else "the results of these checks"
    what = {"setup": "the set-up of this test", "teardown": "the teardown of this test"}
    return f"{what.get(when, 'this test')} used {used}, and failed:"


AWAITS_NOTHING = (
    "this test awaits nothing: its mark 'bgcheck' has no names, and it requests no fixture of a"
    " check, a service or a probe; name one in the mark, or request its fixture"
)


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the failure of a test that awaits a job which nobody declared or started."""
    names = sorted(set(known))
    text = f"no background check, service or probe {name!r} was declared or started for this test"
    if not names:
        return f"{text}; none is known"
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"{text}{guess}\nknown: {', '.join(names)}"


def not_visible(name: str, places: Iterable[str]) -> str:
    """Return the failure of a test that awaits a job which is declared, but not for this test."""
    return (
        f"background check, service or probe {name!r} is not visible to this test; it is"
        f" declared in {', '.join(places)}\n"
        "a test sees those of its own module, of its conftests and of plugins; of several with one"
        " name it sees the nearest"
    )


def _block(verdict: Verdict) -> list[str]:
    task, result = verdict.task, verdict.result
    lines = [headline(verdict), f"  command: {one_line(task.command)}"]
    if task.cwd is not None:
        lines.append(f"  cwd: {one_line(task.cwd)}")
    if isinstance(task, Service):
        lines += [f"  {line}" for line in ready_lines(task.ready, task.ready_output or "")]
    if isinstance(task, Probe):
        lines.append(f"  every={task.every_s:g}, timeout={task.sample_timeout_s:g}")
        if verdict.window is not None:
            lines += window_lines(task, verdict.window)
            return lines + [f"  hint: {hint}" for hint in window_hints(task, verdict.window)]
    if result is None:
        return lines if verdict.not_proven else [*lines, f"  {_goes_on(verdict)}"]
    if isinstance(task, Check) and result.state is State.SUCCEEDED:
        lines.append("  the check itself succeeded: only this test's mark does not accept that rc")
    if result.ready_s is not None:
        was = "its first sample was taken" if isinstance(task, Probe) else "it was ready"
        lines.append(f"  {was} after {duration(result.ready_s)}")
    elif verdict.waited_s is not None:
        lines.append(f"  this test waited {duration(verdict.waited_s)} for it")
    if result.state is State.TIMED_OUT:
        given = "bgcheck_service_timeout" if isinstance(task, Probe) else "timeout"
        lines.append(f"  its limit on the target: {given}={task.timeout_s:g}")
    if isinstance(task, Service) and result.state is State.NOT_READY and result.rc is None:
        lines.append(f"  its limit on the target: ready_timeout={task.ready_timeout_s:g}")
    if result.attempts > 1:
        lines.append(f"  attempts: {result.attempts}; this is the output of the last one")
    if isinstance(task, Probe) and result.window is not None:
        lines += window_lines(task, result.window, " until it ended")
    lines += output_lines(result)
    if result.rc is not None and result.detail:
        lines.append(f"  note: {result.detail}")
    lines += [f"  hint: {hint}" for hint in hints(task, result)]
    if verdict.kept:
        lines.append(f"  its files were kept: {verdict.kept}")
    elif result.stdout_kept.cut or result.stderr_kept.cut:
        lines.append(f"  a larger output_limit= of the {task.kind} keeps more of its output")
    elif not (shown_whole(result.stdout_kept) and shown_whole(result.stderr_kept)):
        lines.append("  --bgcheck-keep leaves the whole output on the target")
    return lines


def ready_lines(ready: str, ready_output: str) -> list[str]:
    """Return the lines that say when a service is ready: its arguments, empty if not given."""
    lines = [f"ready: {one_line(ready)}"] if ready else []
    return [*lines, f"ready_output: {one_line(ready_output)}"] if ready_output else lines


def _goes_on(verdict: Verdict) -> str:
    """Return what becomes of a job that a test waits for no longer."""
    task = verdict.task
    if verdict.held_back:
        return not_started_yet(task.after)
    if isinstance(task, Service) and verdict.state is not State.READY:
        limit = f"it has to be ready within {duration(task.ready_timeout_s)} of its start"
    elif isinstance(task, Probe) and verdict.state is not State.RUNNING:
        limit = f"its first sample may take {duration(task.sample_timeout_s)}"
    else:
        limit = f"its limit is {duration(task.timeout_s)}"
    return f"{limit}; it goes on"


def output_lines(result: Result) -> list[str]:
    """Return what a job wrote, and what its last ready command did."""
    ran = result.attempts or result.state in (
        State.TIMED_OUT, State.CANCELLED, State.LOST, State.STOPPED, State.DIED, State.NOT_READY
    )  # fmt: skip
    lines = []
    if ran:
        lines += stream_lines("stdout", result.stdout_kept)
    if ran or result.stderr_kept.size:
        lines += stream_lines("stderr", result.stderr_kept)
    if result.look_kept.size:
        lines += stream_lines("the last output of its ready command", result.look_kept)
    return lines


def shown_whole(output: Output) -> bool:
    """Return whether a failure shows all that was written."""
    text, shown = _tail(output)
    return not output.cut and len("\n".join(shown)) == len(text)


def _tail(output: Output) -> tuple[str, list[str]]:
    text = printable(output.text()).rstrip("\n")
    return text, text[-TAIL_CHARACTERS:].split("\n")[-TAIL_LINES:]


def stream_lines(name: str, output: Output) -> list[str]:
    """Return the end of a stream as a failure shows it."""
    if not output.size:
        return [f"  {name}: empty"]
    text, shown = _tail(output)
    tail = "" if len("\n".join(shown)) == len(text) else f", the last {len(shown)} lines"
    if len(shown) == 1 and tail:
        tail = f", the last {len(shown[0]):,} characters"
    return [f"  {name} ({bytes_of(output.size)}{tail}):", *(f"    {line}" for line in shown)]


def _other_line(verdict: Verdict) -> str:
    result = verdict.result
    facts = [str(verdict.state_shown)]
    if result is None and verdict.unanswered:
        facts.append(verdict.unanswered)
    if result is not None and result.rc is not None:
        facts.append(f"rc {result.rc}")
    if result is not None and result.duration is not None:
        facts.append(f"after {duration(result.duration)}")
    return f"  {verdict.task.name!r} on {verdict.host}: {', '.join(facts)}"
