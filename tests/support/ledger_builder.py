"""Ledgers of runs that never were."""

import random

from pytest_bgcheck.events import (
    JobEnded,
    JobPlanned,
    JobReady,
    JobStarted,
    WaitBegan,
    WaitEnded,
    WindowClosed,
    job_key,
)
from pytest_bgcheck.ledger import Ledger
from pytest_bgcheck.model import Output, Result, State
from pytest_bgcheck.tasks import Check, Probe, Service
from pytest_bgcheck.windows import LISTED, Gap, Limits, Outage, Window, exceeded, unproven

ZERO = 1_700_000_000.0
"""When all of them begin."""

HOSTILE = (
    "</pre></dialog><script>document.title='pwned'</script>"
    "<img src=x onerror=\"document.title='pwned'\"> {{ 7*7 }} \x1b[31mred\x1b[0m \x00\x07 \u202e\n"
)


NO_OUTAGE = Limits()


def seen(
    length: float, outages: list[Outage] | None = None, gaps: list[Gap] | None = None,
    every: float = 1.0,
) -> Window:  # fmt: skip
    """Return what a probe has seen in a time, by a sample after every so many seconds."""
    outages, gaps = outages or [], gaps or []
    down, unproven_s = sum(o.length for o in outages), sum(g.length for g in gaps)
    samples = round((length - unproven_s) / every)
    bad = min(samples, max(len(outages), round(down / every)))
    listed = outages[:LISTED]
    if outages and (longest := max(outages, key=lambda o: o.length)) not in listed:
        listed.append(longest)
    return Window(
        length, samples, samples - bad, bad, tuple(listed), tuple(gaps), len(outages), len(gaps),
        down, unproven_s, every + 0.02,
    )  # fmt: skip


class LedgerBuilder:
    """A ledger that is told of jobs and tests in few words; times are seconds from `ZERO`."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def job(
        self, name: str, host: str, start: float, took: float, state: State = State.SUCCEEDED,
        rc: int | None = 0, limit: float = 360, out: bytes = b"", worker: str = "",
        kept: Output | None = None, unawaited: str | None = None,
    ) -> str:  # fmt: skip
        check = Check(name, ("x",), f"/opt/{name} --all", timeout_s=limit, unawaited=unawaited)
        id = f"run-{name}-{host}"
        key = job_key(id, host)
        output = kept or Output(len(out), out)
        result = Result(state, rc, took, 1, stdout_kept=output)
        at = ZERO + start
        self.ledger.tell(JobPlanned.of(id, host, check, host, at - 0.1))
        self.ledger.tell(JobStarted(key, worker, at))
        self.ledger.tell(JobEnded.of(key, result, at + took))
        return key

    def service(
        self, name: str, host: str, start: float, ready: float | None, took: float | None = None,
        state: State = State.STOPPED, rc: int | None = None, worker: str = "",
        out: bytes = b"", look: bytes = b"", detail: str = "",
    ) -> str:  # fmt: skip
        """A service that is ready after so many seconds, None: never; ``took`` None: it goes on."""
        service = Service(
            name, ("x",), f"/opt/{name} --serve", ready=f"curl -fs {name}", ready_output="listening"
        )
        id = f"run-{name}-{host}"
        key, at = job_key(id, host), ZERO + start
        self.ledger.tell(JobPlanned.of(id, host, service, host, at - 0.1))
        self.ledger.tell(JobStarted(key, worker, at))
        if ready is not None:
            self.ledger.tell(JobReady(key, ready, at + ready))
        if took is not None:
            result = Result(
                state, rc, took, 1, detail, Output(len(out), out), ready_s=ready,
                look_kept=Output(len(look), look),
            )  # fmt: skip
            self.ledger.tell(JobEnded.of(key, result, at + took))
        return key

    def probe(
        self, name: str, host: str, start: float, first: float | None = 0.1,
        took: float | None = None, state: State = State.STOPPED, detail: str = "",
        window: Window | None = None, every: float = 1.0,
    ) -> str:  # fmt: skip
        """A probe whose first sample has ended after so many seconds, None: never; ``took`` None:
        it goes on. ``window``: what it has seen in its whole life."""
        probe = Probe(name, ("x",), f"curl -fsS http://{name}/", every_s=every)
        id = f"run-{name}-{host}"
        key, at = job_key(id, host), ZERO + start
        self.ledger.tell(JobPlanned.of(id, host, probe, host, at - 0.1))
        self.ledger.tell(JobStarted(key, "", at))
        if first is not None:
            self.ledger.tell(JobReady(key, first, at + first))
        if took is not None:
            result = Result(state, None, took, 0, detail, ready_s=first, window=window)
            self.ledger.tell(JobEnded.of(key, result, at + took))
        return key

    def window(
        self, key: str, test: str, start: float, stop: float, seen: Window | None = None,
        limits: Limits | None = NO_OUTAGE, worker: str = "", not_proven: str = "",
    ) -> None:  # fmt: skip
        """A window of a test; ``limits`` None: asked for through the probe's handle."""
        worse = seen is not None and limits is not None and exceeded(seen, limits)
        if seen is not None and limits is not None and not worse:
            not_proven = not_proven or unproven(seen, limits, 1.0)
        self.ledger.tell(
            WindowClosed(
                key, test, worker, ZERO + start, ZERO + stop, seen, limits, worse, not_proven
            )
        )

    def test(
        self, test: str, start: float, stop: float, awaits: list[str] | None = None,
        worker: str = "", outcome: str = "passed", message: str = "",
    ) -> None:  # fmt: skip
        """A test that waits, from its start on, until its jobs have ended, or are ready."""
        if awaits:
            jobs = [self.ledger.jobs[key] for key in awaits]
            ends = {job.key: job.ready_at or job.ended_at or ZERO for job in jobs}
            self.ledger.tell(WaitBegan(worker, test, tuple(awaits), ZERO + start))
            over = max([ZERO + start, *ends.values()])
            waited = {key: max(0.0, end - ZERO - start) for key, end in ends.items()}
            self.ledger.tell(WaitEnded(worker, test, over, waited))
        self.ledger.add_phase(test, worker, "setup", ZERO + start, ZERO + start, "passed")
        self.ledger.add_phase(
            test, worker, "call", ZERO + start, ZERO + stop, outcome, message=message
        )


def large(jobs: int, hosts: int = 20, workers: int = 4) -> Ledger:
    """Return a run of many jobs with hostile output, each awaited by a test."""
    dice = random.Random(jobs)
    told = LedgerBuilder()
    ends = []
    for n in range(jobs):
        state, rc = dice.choice([(State.SUCCEEDED, 0)] * 20 + [(State.FAILED, 3)])
        took = dice.uniform(5, 300)
        host = f"ssh://web{n % hosts}.example.org"
        out = (HOSTILE * dice.choice([1, 30, 400])).encode() + dice.randbytes(500)
        key = told.job(f"check_of_the_subsystem_{n}", host, 1.0, took, state, rc, out=out)
        ends.append((1.0 + took, key))
    free = [0.0] * workers
    for n in range(2 * jobs):
        worker = n % workers
        told.test(f"tests/test_web.py::test_ordinary[{n}]", free[worker], free[worker] + 0.1,
                  worker=f"gw{worker}")  # fmt: skip
        free[worker] += 0.1
    for end, key in sorted(ends):
        worker = free.index(min(free))
        stop = max(free[worker], end) + 0.05
        told.test(f"tests/test_web.py::test_{key}", free[worker], stop, [key], f"gw{worker}")
        free[worker] = stop
    return told.ledger
