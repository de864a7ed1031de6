"""A test's wait for a job through its handle, in its body or in a fixture: for its end, or for what
comes before that.

It counts as a wait in all that is told of the run. `verdicts` waits for what a mark awaits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest

from ..clocks import monotonic_s, unix_s
from ..events import WaitBegan, WaitEnded
from ..report.figures import LEAST_WAIT_S
from ..report.text import cut_short
from ..report.words import duration
from ..target.records import Record
from ..target.runner import Runner
from .judging import Judging
from .link import Link


def wait_until(
    happened: Callable[[], bool], record: Record, limit_s: float | None,
    runner: Runner, link: Link, judging: Judging,
) -> bool:  # fmt: skip
    """Wait until something has happened to a job; return False if the limit (seconds, None: the
    job's own) was over.

    ``happened`` is called under the records' condition, and true once the job has ended. A wait of
    less than `LEAST_WAIT_S` is none: it is told to nobody.
    """
    __tracebackhide__ = True
    if happened():
        return True
    begun_s = monotonic_s()
    try:
        return _wait_until(happened, record, limit_s, runner, link, judging)
    except pytest.fail.Exception as error:
        # pytest-timeout's, by a signal: it knows nothing of the job, and shows where it came.
        still = (
            f"{record.spec.task.title} on {record.target.label}"
            f" still {record.state_shown} after {duration(monotonic_s() - begun_s)} of waiting;"
            " it goes on"
        )
        said = cut_short(error.msg, still)
        raise pytest.fail.Exception(said, pytrace=error.pytrace) from None


def _wait_until(
    happened: Callable[[], bool], record: Record, limit_s: float | None,
    runner: Runner, link: Link, judging: Judging,
) -> bool:  # fmt: skip
    began_at, begun_s = unix_s(), monotonic_s()

    def happened_within(patience_s: float) -> bool:
        limited_s = None if patience_s == math.inf else max(0.0, patience_s)
        return runner.wait_for(happened, [record], limited_s)

    until_s = math.inf if limit_s is None else begun_s + limit_s
    if happened_within(min(LEAST_WAIT_S, until_s - begun_s)):
        return True
    test, worker = judging.test, link.worker
    if not test:
        return happened_within(until_s - monotonic_s())
    link.tell(WaitBegan(worker, test, (record.key,), began_at, judges=False))
    # What is done meanwhile writes to the terminal and calls hooks.
    idles = threading.current_thread() is threading.main_thread()
    try:
        while True:
            pause_s = link.idle() if idles else math.inf
            left_s = until_s - monotonic_s()
            if happened_within(min(pause_s, left_s)):
                return True
            if left_s <= pause_s:
                return False
    finally:
        waited_s = monotonic_s() - begun_s
        judging.note_wait(record.key, waited_s)
        link.tell(WaitEnded(worker, test, unix_s(), {record.key: waited_s}))
        if idles:
            link.wait_is_over()
