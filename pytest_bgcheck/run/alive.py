"""Whether a test's services still live when its body is over.

What a test has read, or ended by itself, it has judged by itself. Imported on first use.
"""

from __future__ import annotations

from dataclasses import replace

from ..clocks import unix_s
from ..model import State
from ..report import text
from ..target.records import Record
from .session import Session
from .standing import ended_s, verdict
from .verdicts import AwaitedJobs


def ends(session: Session, awaited: AwaitedJobs) -> dict[str, text.Verdict]:
    """Return how those of a test's services stand that do not live, or may not, by their keys."""
    services = [
        record
        for record in awaited.running
        if record.service is not None and record.key not in session.judging.verdicts_read
    ]
    # One that the test is ending may take its time for that.
    not_proven = session.runner.prove([r for r in services if not _ended_by(r, awaited)])
    now, keep = unix_s(), session.settings.keep
    found = {}
    for record in services:
        stopped = record.state is State.STOPPED and _ended_by(record, awaited)
        ended = record.result is not None and not stopped
        if ended or record in not_proven:
            mark = awaited.marks.get(awaited.running[record])
            waited_s = awaited.waited_s.get(record.key, 0.0)
            heard_at = session.ended_at.get(record.key)
            found[record.key] = replace(
                verdict(record, mark, waited_s, now, keep),
                ended_s=ended_s(record, heard_at, awaited.began_s),
                not_proven=not_proven.get(record, ""),
            )
    return found


def _ended_by(record: Record, awaited: AwaitedJobs) -> bool:
    """Return whether a test has asked for the end of a service: this process has, since then."""
    return record.ending_s is not None and record.ending_s >= awaited.began_s
