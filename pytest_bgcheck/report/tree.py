"""What a run would start, as a tree like that of ``--collect-only``.

Pure; imports only tasks, plan and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ..plan import Durations, HostT, PlannedJob, past_s
from ..tasks import Check, Probe, Service, Task
from .words import count, count_jobs, duration, one_line, rc_codes


def tree(
    planned: Sequence[PlannedJob[HostT]],
    declared: Iterable[Task],
    durations: Durations,
    label: Callable[[HostT], str],
) -> list[str]:
    """Return the lines: hosts, their jobs with the limits, the tests that await or request each;
    the declarations that no selected test uses; and when, by earlier runs, the last one is ready.
    """
    lines: list[str] = []
    for host in dict.fromkeys(label(job.host) for job in planned):
        lines.append(f"<Host {host}>")
        for job in (job for job in planned if label(job.host) == host):
            lines += _task(job.task)
            lines += [f"    awaited by {test}" for test in job.awaited_by]
            lines += [f"    requested by {test}" for test in job.requested_by]
    wanted = {job.task for job in planned}
    idle = [task for task in dict.fromkeys(declared) if task not in wanted]
    if idle:
        lines += [
            "<Declared, but no selected test uses it>",
            *(line for task in idle for line in _task(task)),
        ]
    return [*lines, "", _expected(planned, durations, label)] if lines else ["no background checks"]


def _task(task: Task) -> list[str]:
    limits = f"timeout={task.timeout_s:g}"
    if isinstance(task, Probe):
        limits = f"every={task.every_s:g} timeout={task.sample_timeout_s:g}"
    if isinstance(task, (Check, Probe)) and task.rc != {0}:
        limits += f" rc={rc_codes(task.rc).replace(' ', '')}"
    if isinstance(task, Check) and task.retry_every_s is not None:
        limits += f" retry_every={task.retry_every_s:g}"
    if task.after is not None:
        limits += f" after {task.after}"
    lines = [f"  <{task.kind.capitalize()} {task.name}> {limits}: {one_line(task.command)}"]
    if isinstance(task, Service):
        lines.append(f"    {_ready(task)}")
    return lines


def _ready(service: Service) -> str:
    """Return when it is ready, and within which time."""
    within = f"ready_timeout={service.ready_timeout_s:g}"
    if service.ready:
        return f"{within} ready: {one_line(service.ready)}"
    if service.ready_output:
        return f"{within} ready_output: {one_line(service.ready_output)}"
    return f"{within}: ready as soon as it runs"


def _expected(
    planned: Sequence[PlannedJob[HostT]], durations: Durations, label: Callable[[HostT], str]
) -> str:
    jobs = [(past_s(durations, job.task.name, label(job.host)), job) for job in planned]
    hosts = {label(job.host) for job in planned}
    tests = {test for job in planned for test in job.awaited_by}
    line = (
        f"{count_jobs(Counter(job.task.kind for job in planned))} on {count(len(hosts), 'host')}"
        f" would be started, awaited by {count(len(tests), 'test')}"
    )
    known = [(seconds, job) for seconds, job in jobs if seconds is not None]
    if known:
        longest, job = max(known, key=lambda pair: pair[0])
        line += (
            f"; by earlier runs, the last would be ready after {duration(longest)}"
            f" ({job.task.name} on {label(job.host)})"
        )
    new = [job.task.longest_wait_s for seconds, job in jobs if seconds is None]
    if new:
        line += f"; {len(new)} have never run here, with limits of up to {duration(max(new))}"
    return line
