"""How a run stands, in a line, while it lasts. Pure; imports only ledger, model,
probe_text, tasks, words."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from ..ledger import JobEntry, Wait
from ..model import State
from ..tasks import not_started_yet
from .probe_text import life, seen
from .words import count, duration, named, printable, run_title

LONG_S = 1000.0
"""From this limit on, times are told in minutes and hours."""

LEAST_PART = 10
"""Columns for a part of the line that is cut; with less, it is left out."""

LEAST_PLACE = 16
"""Columns for a job's name and its host; with less, only the name is shown."""


def status_line(jobs: Sequence[JobEntry], now: float, columns: int | None = None) -> str:
    """Return what the tests wait for now; empty if none waits.

    First, and whole if that is possible in so many columns (None: no limit), comes one job, with
    its host and how far it is: of those that the test awaits which waits longest, one whose target
    does not answer, else the one that may take longest. Then how many other jobs are awaited, who
    waits for how long, and how all jobs stand.
    """
    waits = open_waits(jobs)
    if not waits:
        return ""
    longest = min((wait for wait, _ in waits), key=lambda wait: wait.began_at)
    own = [job for wait, job in waits if _waiting(wait) == _waiting(longest)]
    job = max(own, key=lambda job: (job.unanswered is not None, _may_end_at(job, now)))
    status, *trouble = _progress(job, now)
    awaited = len({job.key for _, job in waits}) - 1
    tests = len({_waiting(wait) for wait, _ in waits}) - 1
    first = _named(printable(job.name), printable(job.host), status, columns)
    rest = [f", {part}" for part in trouble]
    rest += [f", +{awaited} more"] if awaited else []
    rest += [f"; {_short(longest.test)} waits {clock(now - longest.began_at)}"]
    rest += [f", +{count(tests, 'more test')}"] if tests else []
    return _as_fits([first, *rest, f"; {_counts(jobs)}"], columns)


def log_line(jobs: Sequence[JobEntry], now: float) -> str:
    """Return the status line as it stands in a log."""
    about = run_title(Counter(job.kind for job in jobs))
    return f"{about}: {status_line(jobs, now)}"


def open_waits(jobs: Iterable[JobEntry]) -> list[tuple[Wait, JobEntry]]:
    """Return the waits that last, for jobs that have not ended.

    Of a test that waits for others too, those are left out that are ready, or take samples.
    """
    waits = [
        (wait, job)
        for job in jobs
        if not job.state.final
        for wait in tuple(job.waits)
        if wait.waited_s is None
    ]
    undecided = {_waiting(wait) for wait, job in waits if not job.is_ready}
    return [
        (wait, job) for wait, job in waits if not job.is_ready or _waiting(wait) not in undecided
    ]


def _waiting(wait: Wait) -> tuple[str, str]:
    """Return which test waits."""
    return wait.test, wait.worker


def _may_end_at(job: JobEntry, now: float) -> float:
    return (job.started_at or now) + job.limit_s


def _progress(job: JobEntry, now: float) -> list[str]:
    """Return how far a job is, and behind that what is the matter with its target, if anything."""
    tries = job.unanswered
    if job.held_back:
        return [not_started_yet(job.after)]
    if job.started_at is None:
        if tries is None:
            if job.after:  # it was planned long before
                return ["connecting"]
            return [f"connecting for {clock(now - (job.planned_at or now))}"]
        since = clock(now - tries.began_at)
        return ["connecting", f"{_brief(tries.cause)} ({tries.number} in {since})"]
    status = _elapsed(job, now)
    if tries is None:
        return [status]
    silent = f"no answer for {clock(now - tries.began_at)}"
    return [status, silent, f"{_brief(tries.cause)} ({tries.number})"]


def _elapsed(job: JobEntry, now: float) -> str:
    """Return how long a job that was started has run, and of how much."""
    if job.is_service and job.ready_at is not None:
        return f"ready for {clock(now - job.ready_at)}"
    if job.is_probe and job.ready_at is not None:
        return f"taking samples for {clock(now - (job.started_at or now))}"
    took_s, limit_s = max(0.0, now - (job.started_at or now)), job.limit_s
    if limit_s < LONG_S:
        status = f"{took_s:.1f} of {limit_s:g} s"
    else:
        status = f"{clock(took_s)} of {clock(limit_s)}"
    return f"{State.STARTING}, {status}" if job.ends_with_run else status


def _brief(cause: str) -> str:
    """Return the end of an error, without the names that others' programs put ahead of it."""
    return printable(cause.rsplit("; ", 1)[-1].rsplit(": ", 1)[-1])


def _counts(jobs: Sequence[JobEntry]) -> str:
    """Return how many jobs run, are to be started, have ended and have failed."""
    ended = [job for job in jobs if job.state.final]
    held_back = sum(job.held_back and not job.state.final for job in jobs)
    begun = {
        str(state): sum(job.state is state and not (job.is_probe and job.is_ready) for job in jobs)
        for state in (State.RUNNING, State.STARTING, State.READY)
    }
    begun["probing"] = sum(job.is_probe and job.is_ready for job in jobs)
    numbers = {
        **begun,
        "connecting": len(jobs) - len(ended) - sum(begun.values()) - held_back,
        "not started yet": held_back,
        "done": len(ended),
        "failed": sum(job.bad for job in ended),
    }
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


def _short(test: str) -> str:
    return printable(test.rsplit("::", 1)[-1])


def clock(seconds: float) -> str:
    """Return whole seconds for people: 0 s, 12 s, 2 min 3 s, 1 h 5 min."""
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 60 else duration(whole)


def standing(job: JobEntry, at: float) -> str:
    """Return how far a job was that had not ended, and what was the matter with its target."""
    return ", ".join(_progress(job, at))


def ending(jobs: Iterable[JobEntry], again: bool) -> str:
    """Return what the end of a run does that has just begun, and how it is cut short.

    ``again``: it began by Ctrl-C.
    """
    jobs = list(jobs)
    left = [job for job in jobs if job.may_run]
    hosts = len({job.host for job in left or jobs})
    where = count(hosts, "host")
    doing = f"ending {count(len(left), 'job')} on {where}" if left else f"cleaning up {where}"
    press = "Ctrl-C again" if again else "Ctrl-C"
    return f"{doing} ({press} leaves {'it' if (len(left) or hosts) == 1 else 'them'})"


def started(job: JobEntry) -> str:
    return f"{named(job.kind, job.name, job.host)} started"


def ready(job: JobEntry) -> str:
    what = "has taken its first sample" if job.is_probe else "ready"
    return f"{named(job.kind, job.name, job.host)} {what} after {duration(job.ready_s)}"


def ended(job: JobEntry) -> str:
    result = job.result
    facts = str(job.state)
    if result is not None and result.rc is not None and job.state is not State.SUCCEEDED:
        facts += f", rc {result.rc}"
    took = f" after {duration(job.duration_s)}" if job.duration_s is not None else ""
    window = life(job)
    saw = f"; {seen(window)}" if window is not None else ""
    return f"{named(job.kind, job.name, job.host)} ended: {facts}{took}{saw}"


# --- columns --------------------------------------------------------------------------------------


def _named(name: str, host: str, status: str, columns: int | None) -> str:
    """Return a job's name, its host and how far it is, in so many columns if that is possible.

    What is too long loses its middle: first the host, for as long as it has half of the room. That
    first loses the kind of its connection.
    """
    if columns is None:
        return f"{name} on {host}: {status}"
    room = columns - width(f" on : {status}")
    if room < LEAST_PLACE:
        return f"{fit_middle(name, columns - width(f': {status}'))}: {status}"
    if width(name) + width(host) > room:
        host = host.rpartition("://")[2]
    host = fit_middle(host, max(room - width(name), min(width(host), room // 2)))
    return f"{fit_middle(name, room - width(host))} on {host}: {status}"


def _as_fits(parts: Sequence[str], columns: int | None) -> str:
    """Return as many parts as there is room for; of the next one its beginning, if that is worth
    it."""
    line = ""
    for part in parts:
        room = math.inf if columns is None else columns - width(line)
        if width(part) > room:
            return line + (fit(part, int(room)) if room >= LEAST_PART else "")
        line += part
    return line


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(_widths(text))


def _widths(text: str) -> list[int]:
    return [
        0
        if unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    ]


def fit(text: str, columns: int) -> str:
    """Return a text that takes no more than so many columns of a terminal: its beginning."""
    if width(text) <= columns:
        return text
    return f"{_beginning(text, columns - 3)}..."[: max(0, columns)]


def fit_middle(text: str, columns: int) -> str:
    """Return a text that takes no more than so many columns: its beginning and its end."""
    if width(text) <= columns:
        return text
    if columns <= 3:
        return fit(text, columns)
    end = _beginning(text[::-1], (columns - 3) // 2)[::-1]
    return f"{_beginning(text, columns - 3 - width(end))}...{end}"


def _beginning(text: str, columns: int) -> str:
    ends = itertools.accumulate(_widths(text))
    return text[: sum(end <= columns for end in ends)]
