"""The end of a run: who cleans what, in which order, and what is told.

1. `pytest_sessionfinish`: the fixtures of the session have ended. The xdist controller tells its
   workers to stop waiting (`Controller.stop_workers`), and xdist lets them end.
2. Each process ends its own session (`_end_own_session`): first it takes over the targets that its
   forked children have used, then it cleans.
   - The only process cleans all its targets.
   - An xdist worker waits until its starts are done, since other workers may rely on them, and
     cleans nothing: the controller does, once for all workers. Only hosts that the controller
     cannot reach (the local host of another computer) are cleaned by the last worker there.
   - A forked child that gets here cleans nothing: its parent does.
3. The controller cleans all targets that a worker has named, by one call each, whatever became of
   the workers (`_clean_for_workers`).
4. The ledger is closed. What it says may make the run red; durations are kept for the next run
   (`_close`).
5. pytest writes its summary, and ours is a part of it (`summary`).
6. `pytest_unconfigure`: the reports are written (`_report`). Only now the exit status is final,
   since other plugins may change it.

If xdist cannot start all its workers, pytest skips 1 to 5. The workers that did start may have
started jobs, so they are ended and the targets cleaned in the place of 6.

A signal in 2 to 4 makes them shorter, but they still come to their end (`signals.held`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

from .. import log
from ..clocks import monotonic_s, unix_s
from ..compat.pytest import own_reporter
from ..events import JobEnded
from ..ledger import RUN_ENDED
from ..plan import duration_key
from ..report import files, github
from ..report.figures import Run, figures
from ..suite.companions import annotates_failed_tests
from . import durations, signals, summary
from .messages import CleanTargets, InternalError, UnfinishedJob
from .whole_run import WholeRun

if TYPE_CHECKING:
    from ..target.records import Record, Target
    from ..target.runner import Runner
    from .session import Session


LATE_S = 1.0
"""When the end has taken so long, it says what it does, unless it has said so at once."""


class Workers(Protocol):
    """What the end needs of the xdist controller.

    ``idle_since_s``: since when no worker has had a test left, by the monotonic clock, else None.
    ``session_ended``: pytest has come to the end of its session.
    """

    run_id: str
    whole_run: WholeRun
    idle_since_s: float | None
    session_ended: bool

    def shut_down(self) -> None:
        """End the workers that xdist has started."""

    def reachable_targets(self) -> list[Target]:
        """Return the workers' targets that can be reached from here."""


def finish(
    session: pytest.Session,
    ours: Session | None,
    whole_run: WholeRun | None,
    workers: Workers | None,
) -> None:
    """Steps 2 to 4, when all fixtures have ended and no worker is left. Signals are `held`."""
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    if whole_run is not None:
        whole_run.tell_end(at_once=True)
    if ours is not None:
        _end_own_session(ours, whole_run, ask=not interrupted)
    if whole_run is not None and workers is not None:
        _clean_for_workers(workers, whole_run, ask=not interrupted)
    if signals.interrupted():
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    if whole_run is not None:
        _close(whole_run, session)


def report(config: pytest.Config, whole_run: WholeRun) -> None:
    """Step 6."""
    if whole_run.ended_session is not None:
        _report(config, whole_run, int(whole_run.ended_session.exitstatus or 0))


def end_workers(workers: Workers) -> None:
    """What takes the place of step 6 where xdist could not start all workers."""
    workers.shut_down()
    _clean_for_workers(workers, workers.whole_run, ask=False)
    for line in workers.whole_run.not_cleaned_up:
        print(f"pytest-bgcheck: not cleaned up: {line}", file=sys.stderr)


def _end_own_session(ours: Session, whole_run: WholeRun | None, *, ask: bool) -> None:
    from . import forked
    from .unfinished import unfinished

    if forked.is_child(ours):
        ours.stop()
        return
    forked.take_over_from_children(ours)
    link, runner = ours.link, ours.runner
    given = link.what_to_clean()
    own = ours.targets() if given is None else _take_over(ours, given)
    if given is None and whole_run is not None:
        # Those too that forked children alone have started.
        _take_on(ours, unfinished(whole_run.ledger, {target.key for target in own}), own)
    others = set(ours.targets()).difference(own)
    if not ask:
        runner.no_test_waits()
    runner.settle_starts(others)
    runner.stop(others)
    asked = [r for r in runner.records.values() if r.result is None] if ask else []
    kept, not_cleaned_up = _clean(runner, own, whole_run, keep=ours.settings.keep, ask_about=asked)
    ours.restore_log()
    link.leave([target.key for target in own] if given is not None else [], not_cleaned_up)
    if whole_run is not None:
        whole_run.kept += kept
        whole_run.not_cleaned_up += not_cleaned_up


def _take_over(ours: Session, given: CleanTargets) -> list[Target]:
    """Return the targets that are given to a worker to clean, and take on what still runs there.

    Perhaps other workers have used them, which have ended, and no test of this one.
    """
    for address in given.targets:
        try:
            ours.used_elsewhere(address)
        except Exception as error:  # the others are to be cleaned all the same
            line = log.internal_error(f"cleaning up {address.label}", error)
            ours.link.tell(InternalError(line))
    keys = {address.key for address in given.targets}
    own = [target for target in ours.targets() if target.key in keys]
    _take_on(ours, given.unfinished, own)
    return own


def _take_on(ours: Session, jobs: Iterable[UnfinishedJob], targets: Iterable[Target]) -> None:
    """Take on those of some jobs on these targets that this session does not know."""
    from .unfinished import records_of

    known = {record.key for record in ours.runner.records.values()}
    records = records_of(jobs, {target.key: target for target in targets})
    ours.runner.records.adopt(record for record in records if record.key not in known)


def _clean(
    runner: Runner,
    targets: Sequence[Target],
    whole_run: WholeRun | None,
    *,
    keep: bool,
    ask_about: Iterable[Record],
    within_s: float | None = None,
) -> tuple[list[str], list[str]]:
    """End all jobs on some targets and remove the files there. First ask how some jobs stand.

    Returns where files were kept, and what was not cleaned up: a line for each target.
    """
    late_s = monotonic_s() + LATE_S

    def interrupted() -> bool:
        if whole_run is not None and monotonic_s() >= late_s:
            whole_run.tell_end(at_once=False)
        return signals.interrupted()

    not_cleaned_up = runner.close(
        targets,
        keep=keep,
        within_s=within_s,
        ask_about=ask_about,
        interrupted=interrupted,
    )
    kept = [f"{t.label}: {t.path}" for t in targets if t.directory] if keep else []
    return kept, not_cleaned_up


def _clean_for_workers(workers: Workers, whole_run: WholeRun, *, ask: bool) -> None:
    """Clean the targets of all workers. ``ask``: first ask how unfinished jobs stand."""
    targets = workers.reachable_targets()
    if not targets:
        return
    from ..target import connection
    from ..target.cleaner import CLEAN_S
    from ..target.runner import Runner
    from .unfinished import records_of, unfinished

    def on_end(record: Record) -> None:
        assert record.result is not None
        if record.result.detail != RUN_ENDED:
            limit = record.spec.task.output_limit
            whole_run.ledger.tell(JobEnded.of(record.key, record.result, unix_s(), limit))

    settings = whole_run.settings
    runner = Runner(workers.run_id, base=settings.dir, forks=settings.forks, on_end=on_end)
    by_key = {target.key: target for target in targets}
    asked = records_of(unfinished(whole_run.ledger, by_key), by_key)
    runner.records.adopt(asked)
    # The workers have spent time on their end already, and one limit holds for both.
    spent_s = 0.0 if workers.idle_since_s is None else monotonic_s() - workers.idle_since_s
    restore_log = connection.silence()
    kept, not_cleaned_up = _clean(
        runner,
        targets,
        whole_run,
        keep=settings.keep,
        ask_about=asked if ask else [],
        within_s=max(CLEAN_S - spent_s, CLEAN_S / 2),
    )
    restore_log()
    whole_run.kept += kept
    whole_run.not_cleaned_up += not_cleaned_up


def _close(whole_run: WholeRun, session: pytest.Session) -> None:
    whole_run.ended_session = session
    now = unix_s()
    whole_run.termination.restore()
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    whole_run.ledger.close(now, interrupted)
    if whole_run.progress is not None:
        whole_run.progress.close()
    whole_run.announcer.call_hooks()
    if not whole_run.runs_tests:
        return
    facts = whole_run.facts = Run(
        whole_run.started_at,
        now,
        int(session.exitstatus),
        whole_run.settings.unawaited,
        tuple(whole_run.unexpected),
        interrupted=whole_run.stopped_by is not None and bool(session.exitstatus),
    )
    result = whole_run.figures = figures(whole_run.ledger, facts)
    # What nobody could be told of might have made it red.
    red = result.red_lines or whole_run.unexpected
    if red and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    took = [
        (duration_key(job.name, job.host), job.decided_after_s)
        for job in whole_run.ledger.known_jobs()
        if job.decided_after_s is not None
    ]
    durations.write(whole_run.cache, durations.remember(whole_run.durations(), took))


def _collection_errors(config: pytest.Config) -> tuple[str, ...]:
    """Return the node ids of what could not be collected, as far as the terminal has heard."""
    reporter = own_reporter(config)
    reports = [] if reporter is None else reporter.stats.get("error", [])
    failed = (report.nodeid for report in reports if isinstance(report, pytest.CollectReport))
    return tuple(dict.fromkeys(failed))


def _report(config: pytest.Config, whole_run: WholeRun, exit_status: int) -> None:
    if whole_run.facts is None:
        return
    settings, left = whole_run.settings, whole_run.not_cleaned_up
    facts = replace(
        whole_run.facts, exit_status=exit_status, collection_errors=_collection_errors(config)
    )
    if settings.reports:
        from .invocation import invocation

        facts = replace(facts, invocation=invocation(config, settings))
    final = figures(whole_run.ledger, facts)
    unwritten = files.write_all(settings, whole_run.ledger, facts, final, left)
    lines = [f"report not written: {line}" for line in unwritten]
    if not whole_run.summary_written:  # --no-summary; but why the run is red must be said
        lines += [*final.red_lines, *summary.errors(whole_run)]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    for line in lines:
        if reporter is None:
            print(f"pytest-bgcheck: {line}", file=sys.stderr)
        else:
            reporter.write_line(line, red=True)
    if reporter is not None and settings.github_summary and files.on_github():
        tests = whole_run.ledger.tests.values() if annotates_failed_tests(config) else ()
        annotated = frozenset(t.test for t in tests if t.ran and t.outcome == "failed")
        for line in github.commands(final, annotated):
            reporter.write_line(line)
