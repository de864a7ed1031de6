"""What probes have seen, in words, for all reports but the failures of tests.

Pure; imports only events, ledger, states, window_text, windows and words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from ..events import WindowClosed
from ..ledger import JobEntry
from ..windows import Outage, Window
from .states import Seen
from .window_text import allowed, window_headline
from .words import count, duration, named, printable

MOST_LINES = 10
"""About probes in the summary."""


def verdict(closed: WindowClosed) -> Seen:
    if closed.exceeded:
        return Seen.BEYOND
    if closed.not_proven or closed.window is None:
        return Seen.NOT_PROVEN
    return Seen.NO_LIMITS if closed.limits is None else Seen.WITHIN


def life(job: JobEntry) -> Window | None:
    """Return what a probe has seen from its start on, None if nobody knows."""
    return job.result.window if job.is_probe and job.result is not None else None


def percent(value: float) -> str:
    """Return percent for people: at most two digits behind the point, and never rounded up: what
    was not always there is not 100 %."""
    return f"{floored(value, 2):g} %"


def floored(value: float, digits: int) -> float:
    """Return a number with so many digits behind its point, rounded down."""
    # What a float stores may lie just below what was meant.
    return math.floor(value * 10.0**digits + 1e-6) / 10.0**digits


def seen(window: Window) -> str:
    """Return what was seen in a window: how often it was looked, and what was found."""
    samples = count(window.samples, "sample")
    if not window.samples:
        return f"{samples} in {duration(window.length)}"
    if not window.bad:
        facts = f"no outage in {samples}"
    elif window.outage_count == 1:
        facts = f"1 outage of {duration(window.longest_outage_s)} in {samples}"
    else:
        longest = duration(window.longest_outage_s)
        facts = f"{window.outage_count} outages in {samples}, the longest {longest}"
    if window.bad and not window.gap_count:
        facts += f", available {percent(window.available)}"
    if window.gap_count:
        facts += f"; {duration(window.unproven_s)} not proven"
    return facts


def closed_facts(closed: WindowClosed) -> str:
    """Return what became of a window, and what the mark allowed: it stands behind the verdict."""
    if verdict(closed) is Seen.NOT_PROVEN or closed.window is None:
        return closed.not_proven or "nobody knows what was seen"
    if closed.limits is None:
        return seen(closed.window)
    if closed.exceeded:
        worse = window_headline(closed.window, closed.limits)
        outages, samples = closed.window.outage_count, closed.window.samples
        return f"{worse}; {count(outages, 'outage')} in {count(samples, 'sample')}"
    return f"{seen(closed.window)} ({allowed(closed.limits)})"


def closed_line(job: JobEntry, closed: WindowClosed) -> str:
    """Return the line that tells of a window that was closed."""
    about = verdict(closed)
    said = f"{about}: " if not about.good else ""
    where = f"{named(job.kind, job.name, job.host)}, during {closed.test}"
    return f"{where}: {said}{closed_facts(closed)}"


def limit_used(closed: WindowClosed) -> float:
    """Return how much was used of what a test's mark allows a probe to see; 1 is all of it.

    0.0 where nothing was allowed, or more was seen than that, or it is not known.
    """
    window, limits = closed.window, closed.limits
    if window is None or limits is None or verdict(closed) is not Seen.WITHIN:
        return 0.0
    used = 0.0
    if limits.max_outage_s:
        used = window.longest_outage_s / limits.max_outage_s
    if limits.min_available is not None and limits.min_available < 100:
        down = 100 - window.available_at_most
        used = max(used, down / (100 - limits.min_available))
    return used


def near_limit_line(job: JobEntry, closed: WindowClosed) -> str:
    """Return the line that names a window in which nearly all was seen that is allowed."""
    where = f"{named(job.kind, job.name, job.host)}, during {closed.test}"
    return f"{where}: {limit_used(closed):.0%} of what is allowed: {closed_facts(closed)}"


def ended_with(outage: Outage) -> str:
    """Return how the first bad sample of an outage ended: its rc, and its last line."""
    how = "killed, as it took too long" if outage.rc is None else f"rc {outage.rc}"
    return f"{how}: {printable(outage.last_line)}" if outage.last_line else how


def verdicts(windows: Iterable[WindowClosed]) -> str:
    """Return how many windows had each verdict: 3 windows within limits, 1 not proven."""
    found = Counter(map(verdict, windows))
    there = [word for word in Seen if found[word]]
    parts = [f"{count(found[word], 'window')} {word}" for word in there[:1]]
    return ", ".join([*parts, *(f"{found[word]} {word}" for word in there[1:])])


def remarkable(job: JobEntry) -> bool:
    """Return whether a probe that was started has anything to tell but that all was well."""
    if not job.is_probe or job.started_at is None:
        return False
    window = life(job)
    well = window is not None and window.samples and not (window.bad or window.gap_count)
    return not well or any(not verdict(closed).good for closed in job.windows)


def probe_line(job: JobEntry) -> str:
    """Return the line that says what a probe has seen, and how its windows were."""
    window = life(job)
    facts = "nobody knows what it saw" if window is None else seen(window)
    windows = f"; {verdicts(job.windows)}" if job.windows else ""
    return f"{named(job.kind, job.name, job.host)} in the whole run: {facts}{windows}"


def probe_lines(jobs: Iterable[JobEntry]) -> list[str]:
    """Return a line for each of the probes that are `remarkable`; of many the first."""
    told = [job for job in jobs if remarkable(job)]
    lines = [probe_line(job) for job in told[:MOST_LINES]]
    more = len(told) - MOST_LINES
    return [*lines, f"and more of {count(more, 'other probe')}"] if more > 0 else lines


def all_saw(jobs: Iterable[JobEntry]) -> str:
    """Return what all probes of a run have seen; empty if there were none that was started."""
    lives = [life(job) for job in jobs if job.is_probe and job.started_at is not None]
    known = [window for window in lives if window is not None]
    if not lives:
        return ""
    unknown = len(lives) - len(known)
    if not known:
        return f"what {_probes(unknown)} saw in the whole run is not known"
    outages = sum(window.outage_count for window in known)
    longest = duration(max(window.longest_outage_s for window in known))
    if not sum(window.samples for window in known):
        facts = "took no sample"
    elif not outages:
        facts = "saw no outage"
    elif outages == 1:
        facts = f"saw 1 outage of {longest}"
    else:
        facts = f"saw {outages} outages, the longest {longest}"
    gaps_s = sum(window.unproven_s for window in known)
    if gaps_s:
        facts += f" ({duration(gaps_s)} not proven)"
    return f"{_probes(len(known))} {facts}" + (
        f", of {unknown} more nobody knows" if unknown else ""
    )


def _probes(number: int) -> str:
    return "the probe" if number == 1 else f"{number} probes"
