"""What a run would start, as a tree like that of ``--collect-only``.

Pure; imports only model, plan and text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..model import Check
from ..plan import Durations, HostT, PlannedJob, past_s
from .text import count, duration, one_line, rc_codes


def tree(
    planned: Sequence[PlannedJob[HostT]],
    declared: Iterable[Check],
    durations: Durations,
    label: Callable[[HostT], str],
) -> list[str]:
    """Return the lines: hosts, their checks with the limits, the tests that await or request each;
    the checks that no selected test uses; and when, by earlier runs, the last one is ready.
    """
    lines: list[str] = []
    for host in dict.fromkeys(label(job.host) for job in planned):
        lines.append(f"<Host {host}>")
        for job in (job for job in planned if label(job.host) == host):
            lines.append(f"  {_check(job.check)}")
            lines += [f"    awaited by {test}" for test in job.awaited_by]
            lines += [f"    requested by {test}" for test in job.requested_by]
    wanted = {job.check for job in planned}
    idle = [check for check in dict.fromkeys(declared) if check not in wanted]
    if idle:
        lines += [
            "<Declared, but no selected test uses it>",
            *(f"  {_check(check)}" for check in idle),
        ]
    return [*lines, "", _expected(planned, durations, label)] if lines else ["no background checks"]


def _check(check: Check) -> str:
    limits = f"timeout={check.timeout_s:g}"
    if check.rc != {0}:
        limits += f" rc={rc_codes(check.rc).replace(' ', '')}"
    if check.retry_every_s is not None:
        limits += f" retry_every={check.retry_every_s:g}"
    if check.after is not None:
        limits += f" after {check.after}"
    return f"<Check {check.name}> {limits}: {one_line(check.command)}"


def _expected(
    planned: Sequence[PlannedJob[HostT]], durations: Durations, label: Callable[[HostT], str]
) -> str:
    jobs = [(past_s(durations, job.check.name, label(job.host)), job) for job in planned]
    hosts = {label(job.host) for job in planned}
    tests = {test for job in planned for test in job.awaited_by}
    line = (
        f"{count(len(jobs), 'background check')} on {count(len(hosts), 'host')}"
        f" would be started, awaited by {count(len(tests), 'test')}"
    )
    known = [(seconds, job) for seconds, job in jobs if seconds is not None]
    if known:
        longest, job = max(known, key=lambda pair: pair[0])
        line += (
            f"; by earlier runs, the last would be ready after {duration(longest)}"
            f" ({job.check.name} on {label(job.host)})"
        )
    new = [job.check.timeout_s for seconds, job in jobs if seconds is None]
    if new:
        line += f"; {len(new)} have never run here, with limits of up to {duration(max(new))}"
    return line
