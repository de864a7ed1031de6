"""Callers that ask for the same job in the same moment, as workers and forked children do."""

import threading
from pathlib import Path

from support.bench import Bench, target

from pytest_bgcheck.target.records import Record
from pytest_bgcheck.target.runner import Runner

ROUNDS = 12
"""Where a late guard ended the first caller's check, one in about ten went wrong."""


def test_callers_of_one_moment_get_the_checks_own_verdict(tmp_path: Path) -> None:
    seen = [rc for _ in range(ROUNDS) for rc in together(tmp_path)]
    assert seen == [5] * 3 * ROUNDS


def together(base: Path) -> list[int | None]:
    """Have three callers start one job at once; return what each of them is told."""
    benches = [Bench() for _ in range(3)]
    gate = threading.Barrier(len(benches))
    records: dict[Bench, Record] = {}

    def submit(bench: Bench) -> None:
        bench.run = benches[0].run
        bench.runner = Runner(bench.run, base=str(base))
        place = target("local://")
        gate.wait()
        records[bench] = bench.submit(place, "sleep 0.2; exit 5")

    threads = [threading.Thread(target=submit, args=(bench,)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        return [bench.result(records[bench]).rc for bench in benches]
    finally:
        for bench in benches[1:]:
            bench.runner.stop(bench.targets)
        benches[0].close()
