"""Whether a test's services still live when its body is over: if not, the test fails.

A service that has ended during the body may be why that failed, or be what it should have told. So
the targets are asked behind each body whose test awaits services by mark, whether it passed or
failed. What a test has read, or ended by itself, it has judged by itself.

If the body failed, that stays the test's failure, and its report tells of the services behind it
(`failed_uses`). Imported on first use.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from ..clocks import unix_s
from ..model import State
from ..report import text
from ..target.records import Record
from .session import Session
from .standing import ended_s, verdict
from .verdicts import AwaitedJobs

_DEATHS: pytest.StashKey[dict[str, text.Verdict]] = pytest.StashKey()


def fail_for_deaths(session: Session, item: pytest.Item, awaited: AwaitedJobs) -> None:
    """Fail a test whose body has passed, unless its services live."""
    __tracebackhide__ = True
    note_deaths(session, item, awaited)
    deaths = list(item.stash[_DEATHS].values())
    if deaths:
        pytest.fail(text.failure(deaths), pytrace=False)


def note_deaths(session: Session, item: pytest.Item, awaited: AwaitedJobs) -> None:
    """Note which of an item's services do not live, or may not, for its report."""
    deaths = item.stash[_DEATHS] = {}
    services = [r for r in awaited.services if r.key not in session.judging.verdicts_read]
    # One that the test is ending may take its time for that.
    not_proven = session.runner.prove([r for r in services if not _ended_by(r, awaited)])
    if session.runner.records.closing:
        return  # the run is being stopped, and nothing is known
    now, keep = unix_s(), session.settings.keep
    for record in services:
        stopped = record.state is State.STOPPED and _ended_by(record, awaited)
        ended = record.result is not None and not stopped
        if ended or record in not_proven:
            mark = awaited.marks.get(awaited.services[record])
            waited_s = awaited.waited_s.get(record.key, 0.0)
            heard_at = session.ended_at.get(record.key)
            deaths[record.key] = replace(
                verdict(record, mark, waited_s, now, keep),
                ended_s=ended_s(record, heard_at, awaited.began_s),
                not_proven=not_proven.get(record, ""),
            )


def _ended_by(record: Record, awaited: AwaitedJobs) -> bool:
    """Return whether a test has asked for the end of a service: this process has, since then."""
    return record.ending_s is not None and record.ending_s >= awaited.began_s


def take_deaths(item: pytest.Item) -> Mapping[str, text.Verdict]:
    """Return, once, how an item's services stood that its test fails for, by their keys."""
    deaths = item.stash.get(_DEATHS, {})
    item.stash[_DEATHS] = {}
    return deaths


def judges(error: BaseException) -> bool:
    """Return whether what a body has raised is a failure, and neither a skip nor the run's end."""
    unittest = sys.modules.get("unittest")
    skips = () if unittest is None else (unittest.SkipTest,)
    ends = KeyboardInterrupt, pytest.exit.Exception, pytest.skip.Exception
    return not isinstance(error, ends + skips)
