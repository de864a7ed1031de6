"""How a job stands for a test: what its record says, as the reports read it."""

from __future__ import annotations

from ..clocks import monotonic_s, unix_s
from ..marks import Awaited
from ..report import text
from ..target.records import Record

BEING_ENDED = "it is being ended, by stop() or cancel()"
"""Why nobody counts on a service, or a probe, that has not ended yet."""


def verdict(
    record: Record, awaited: Awaited | None, waited_s: float | None, now: float, keep: bool
) -> text.Verdict:
    """Return how a job stands for a test that has waited so long for it.

    ``awaited``: what the test's marks say of it, if they do. ``now``: in seconds since the epoch.
    ``keep``: the targets' files are left there.
    """
    task, accepted = record.spec.task, record.spec.task.accepted
    if awaited is not None and awaited.rc is not None:
        accepted = awaited.rc
    host, kept = record.target.label, ""
    if keep and record.target.directory:
        kept = f"{record.target.path}/{record.spec.id}/ on {host}"
    ending = record.ends_with_run and record.result is None and record.ending_s is not None
    unanswered = record.tries.text(now) if record.tries is not None else ""
    return text.Verdict(
        task, host, record.state, record.result, accepted, waited_s, kept, unanswered,
        held_back=record.waits_for_start, not_proven=BEING_ENDED if ending else "",
    )  # fmt: skip


def ended_s(record: Record, heard_at: float | None, since_s: float) -> float | None:
    """Return when a service or a probe has ended, in seconds after ``since_s`` by the monotonic
    clock; None if nobody can tell.

    ``heard_at``: when this process has heard of it, in seconds since the epoch. Another one may
    have heard of it long before.
    """
    result = record.result
    if not record.ends_with_run or result is None:
        return None
    ends_s = [] if heard_at is None else [monotonic_s() - (unix_s() - heard_at)]
    if record.started_s is not None and result.duration is not None:
        ends_s.append(record.started_s + result.duration)
    return min(ends_s) - since_s if ends_s else None
