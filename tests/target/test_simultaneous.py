"""Callers that speak to a target in the same moment, as workers and forked children do."""

import threading
from pathlib import Path

from support.machines.machine import wait_until
from support.real_targets import Counting, RealRun, target

from pytest_bgcheck import Result
from pytest_bgcheck.target.records import Record
from pytest_bgcheck.target.runner import Runner

ROUNDS = 12
"""Where a late guard ended the first caller's check, one in about ten went wrong."""


def test_callers_of_one_moment_get_the_checks_own_verdict(tmp_path: Path) -> None:
    seen = [rc for _ in range(ROUNDS) for rc in together(tmp_path)]
    assert seen == [5] * 3 * ROUNDS


def together(base: Path) -> list[int | None]:
    """Have three callers start one job at once; return what each of them is told."""
    real_runs = [RealRun() for _ in range(3)]
    gate = threading.Barrier(len(real_runs))
    records: dict[RealRun, Record] = {}

    def submit(real_run: RealRun) -> None:
        real_run.run = real_runs[0].run
        real_run.runner = Runner(real_run.run, base=str(base))
        place = target("local://")
        gate.wait()
        records[real_run] = real_run.submit(place, "sleep 0.2; exit 5")

    threads = [threading.Thread(target=submit, args=(real_run,)) for real_run in real_runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        return [real_run.result(records[real_run]).rc for real_run in real_runs]
    finally:
        for real_run in real_runs[1:]:
            real_run.runner.stop(real_run.targets)
        real_runs[0].close()


def test_jobs_of_which_one_caller_alone_knows_wake_no_other_caller(tmp_path: Path) -> None:
    ours, theirs = RealRun(tmp_path), RealRun()
    theirs.run, theirs.runner = ours.run, Runner(ours.run, base=str(tmp_path))
    place, place_of_theirs = target("local://"), target("local://")
    place.transport = counted = Counting(place.transport)

    def result_of(command: str, name: str) -> Result:
        (record,) = theirs.submit_all([(place_of_theirs, command, name, {})], theirs.runner.owner)
        return theirs.result(record)

    try:
        ours.running(place, "sleep 61.8")
        assert wait_until(lambda: any(tmp_path.glob("*/*/bell.*")), 60)
        for n in range(3):
            result_of("exit 0", f"theirs{n}")
        assert counted.calls == ["start", "await"]
        # Their own call hears a job that it does not name, since it was started later.
        theirs.submit_all([(place_of_theirs, "sleep 61.9", "first", {})], theirs.runner.owner)
        assert wait_until(lambda: len([*tmp_path.glob("*/*/bell.*")]) == 2, 60)
        result = result_of("sleep 0.5; exit 7", "later")
        assert result.rc == 7
        assert counted.calls == ["start", "await"]
    finally:
        theirs.runner.stop(theirs.targets)
        assert ours.close() == []
