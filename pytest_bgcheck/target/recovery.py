"""What to do when a target did not answer: when to ask again, and for how long. Pure.

Asking again is always safe, because the target's directory decides: a job that is there is attached
to, not started again. Imports nothing of the package.
"""

from __future__ import annotations

import math

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0

START_PATIENCE_S = 60.0
"""How long a host that never answered is asked to start its jobs."""

MARGIN_S = 10.0
"""How long after a job's last possible second its host is still asked what became of it."""

FOREIGN_ANSWERS = 5
"""After so many answers in a row that are not ours a target is refused: its login runs no shell."""

CLEAN_TRIES = 3
"""How often a host that has never answered a start is asked to clean up."""

START_CALL_S = 60.0
"""How long one call that starts jobs may take at the most."""

EACH_START_S = 0.2
"""What each job of a call adds to the least time that it may take."""

AWAIT_CALL_S = 45
"""How long one call waits on the target: NAT tables and exec streams forget the silent."""

AWAIT_SLACK_S = 20.0
"""How long a call may take beyond the time that it waits on the target."""

LEAST_SLACK_S = 5.0
"""The same, where a job's deadline is near."""


def pause_s(failures: int, now_s: float, deadline_s: float, jitter: float) -> float | None:
    """Return how long to pause before asking again, after ``failures`` (1 or more) in a row.

    None: ask no more, the time is over. The pause doubles, with jitter (a random number from 0 to
    1): when many connections at once made sshd drop some at random (MaxStartups), they must not
    come back all at once.
    """
    if now_s >= deadline_s:
        return None
    pause: float = min(FIRST_PAUSE_S * 2 ** (min(failures, 16) - 1), LONGEST_PAUSE_S)
    return min(pause * (0.5 + jitter), deadline_s - now_s)


def start_deadline(now_s: float, longest_timeout_s: float) -> float:
    """Return until when a host is asked to start jobs: about as long as the longest may run."""
    return now_s + min(longest_timeout_s + MARGIN_S, START_PATIENCE_S)


def start_patience(now_s: float, deadline_s: float, jobs: int) -> float:
    """Return how long one call that starts jobs may take. A slow target is not a dead one."""
    return min(START_CALL_S, max(deadline_s - now_s, MARGIN_S + EACH_START_S * jobs))


def await_patience(now_s: float, soonest_s: float) -> tuple[int, float]:
    """Return how long a call waits on the target, and how long it may take in all, in seconds.

    ``soonest_s`` is the soonest of the jobs' deadlines. At that job's last possible second, which
    is MARGIN_S before it, the target is asked anew; and if nothing comes any more, that is known
    when its deadline is over.
    """
    expire = min(AWAIT_CALL_S, max(1, math.ceil(soonest_s - MARGIN_S + 1 - now_s)))
    return expire, min(expire + AWAIT_SLACK_S, max(soonest_s - now_s, expire + LEAST_SLACK_S))


def job_deadline(ends_s: float, grace_s: float) -> float:
    """Return until when a host is asked for a job's result; ``ends_s``: when that is to be ended at
    the latest."""
    return ends_s + grace_s + MARGIN_S
