"""Starts, waits, cancels, cleans up: the only room with threads.

Each target (a host, as one user) has at most one waiter: a thread with one call that blocks on the
target until any of its jobs ends. Starts run in threads of their own, so nobody ever waits for one
who does not ask for a result. All threads are daemons: one that is stuck in a call is left behind.

All state changes happen under one condition, and every change notifies it. Results come from the
target only; what a target did not prove is not known.
"""

from __future__ import annotations

import itertools
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from .. import unexpected
from ..errors import BadReply, Gone, Refused, TargetError, Unreachable
from ..ledger import RUN_ENDED as RUN_ENDED
from ..model import Check, Result, State
from ..signals import in_a_hurry
from . import recovery, replies, requests
from .transport import Transport, ask, ask_stream

QUESTION_CALL_S = 20.0
CLEAN_S = 9.0
SETTLE_S = 3.0
"""How long the end waits for starts that are under way, when nobody needs them."""

START_TURN_S = 10.0
CLEAN_TURN_S = 2.0
"""How long a host waits for its turn among ``forks``: those that do not answer delay no others."""

INTERNAL_ERRORS = 3
"""So many errors of ours in a row, in waiting for some jobs, and these are given up."""

HURRY_S = 0.1
"""How soon the end is cut short for a user who is in a hurry."""

HANG_UP_S = 3.0
"""How long connections may take to end then."""

CHILD_CALL_S = 4
"""How long one call of a forked child waits on the target: it stays there if the child ends."""

IDLE_S = 1.0
"""The least time between two waiting calls of which the first had nothing to tell."""

OTHER_TERMS = "it was started already in this run, with other arguments"
BATCH_S = 1.0
"""How long ended jobs gather while nobody waits for one, where a call has but one reply."""


@dataclass(eq=False)
class Record:
    """What is known of a job. Changed by the runner only, under its condition."""

    spec: requests.Spec
    target: Target
    state: State = State.PENDING
    result: Result | None = None
    started_s: float | None = None
    wanted: bool = False


@dataclass(eq=False)
class Target:
    """A host, as one user: a transport and the jobs there.

    ``key`` is a word for it that is the same in all processes of the run.
    ``asked``: a start was asked for, so that there may be something to clean. ``elsewhere``: jobs
    that other processes of the run have started there, with their terms and when.
    """

    label: str
    identity: str
    transport: Transport
    key: str = ""
    directory: bytes | None = None
    asked: bool = False
    elsewhere: dict[str, tuple[str, float]] = field(default_factory=dict)
    starting: int = 0
    running: dict[str, Record] = field(default_factory=dict)
    waiter: bool = False
    wanted: int = 0
    trouble: str = ""

    @property
    def path(self) -> str:
        return (self.directory or b"").decode("utf-8", "replace")


class Runner:
    """The jobs of one run, on all its targets. The methods may be called from any thread.

    ``run`` is the run's id (letters and digits), ``base`` the directory for files on the targets
    (empty: theirs to say), ``forks`` the number of hosts started or cleaned at once. ``on_start``,
    ``on_end`` and ``on_want`` (somebody has asked for its result) are called once for each job,
    under the condition: they must not wait. ``on_unexpected`` gets a line where one of them raised.
    """

    def __init__(
        self,
        run: str,
        *,
        base: str = "",
        forks: int = 32,
        shell: str = "/bin/sh",
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        on_start: Callable[[Record], None] = lambda record: None,
        on_end: Callable[[Record], None] = lambda record: None,
        on_want: Callable[[Record], None] = lambda record: None,
        on_unexpected: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.run = run
        self.records: dict[tuple[Target, str], Record] = {}
        self._on_start = on_start
        self._on_end = on_end
        self._on_want = on_want
        self._on_unexpected = on_unexpected
        self._base = base
        self._shell = shell
        self._clock = clock
        self._jitter = jitter
        self._at_once = forks
        self._forks = threading.Semaphore(forks)
        self._in_child = False
        self._unattended: dict[Target, list[Record]] = {}
        self._dead: dict[str, str] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._hurried = False
        # Not a generator: those must not be advanced by two threads at once.
        self._nonces: Iterator[str] = iter(lambda: secrets.token_hex(8), "")

    # --- starting -----------------------------------------------------------------------------

    def submit(self, wanted: Iterable[tuple[requests.Spec, Target]]) -> list[Record]:
        """Start jobs in the background; one that is known already is returned as it is."""
        batches: dict[Target, list[Record]] = {}
        adopted: dict[Target, list[Record]] = {}
        result = []
        with self._changed:
            for spec, target in wanted:
                record = self.records.get((target, spec.id))
                if record is None:
                    record = Record(spec, target)
                    self.records[target, spec.id] = record
                    if self._closing:
                        self._settle(record, Result(State.CANCELLED, detail=RUN_ENDED))
                    elif target.elsewhere.get(spec.id, ("", 0))[0] == spec.terms:
                        self._run(record, target.elsewhere[spec.id][1])
                        adopted.setdefault(target, []).append(record)
                    else:
                        batches.setdefault(target, []).append(record)
                result.append(record)
            for target in batches:
                target.starting += 1
                target.asked = True
        for target, records in batches.items():
            self._thread(self._start, target, records)
        for target, records in adopted.items():
            self._ensure_waiter(target, records)
        return result

    def started_elsewhere(self, target: Target, directory: bytes, terms: Mapping[str, str]) -> None:
        """Take note that another process of the run has started jobs on a target.

        They are waited for as soon as they are submitted, without asking for their start again;
        but not if they are submitted with other terms, for the target to refuse.
        """
        with self._changed:
            target.directory = target.directory or directory
            now = self._clock()
            for id, digest in terms.items():
                target.elsewhere.setdefault(id, (digest, now))

    def _run(self, record: Record, started_s: float) -> None:
        record.state, record.started_s = State.RUNNING, started_s
        record.target.running[record.spec.id] = record
        self._tell(self._on_start, record)

    def _ensure_waiter(self, target: Target, attached: Sequence[Record]) -> None:
        """Have a waiter for a target with running jobs.

        One that is waiting already is woken by each end from now on; but it has not been told of
        ``attached`` jobs, which may have ended before: these are asked about once.
        """
        with self._changed:
            needed = bool(target.running) and not target.waiter and not self._closing
            target.waiter = target.waiter or needed
            self._changed.notify_all()
        if needed:
            self._thread(self._wait, target, ())
        elif attached:
            self._thread(self._peek, target, attached)

    def _peek(self, target: Target, records: Sequence[Record]) -> None:
        """Take the results of those jobs that have ended already."""
        try:
            nonce, request = self._wait_request(target, records, 0, False)
            reply = ask(target.transport, nonce, request, QUESTION_CALL_S)
        except TargetError as error:
            target.trouble = str(error)  # the waiter asks again
            return
        with self._changed:
            if not self._closing:
                self._take(target, records, reply)

    def _thread(self, work: Callable[..., None], target: Target, records: Sequence[Record]) -> None:
        """Do some work for jobs of a target in a thread, which must not leave them unsettled."""

        def guarded() -> None:
            try:
                work(target, records)
            except Exception as error:
                failed(error)
            finally:
                over()

        def failed(error: Exception) -> None:
            with self._changed:
                concerned = records or list(target.running.values())
                detail = self._internal(target, error, concerned)
                for record in concerned:
                    self._settle(record, Result(State.UNREACHABLE, detail=detail))
                if work == self._wait:
                    target.waiter = False  # the next job that runs here gets another

        def over() -> None:
            if work == self._start:
                with self._changed:
                    target.starting -= 1
                    self._changed.notify_all()

        try:
            threading.Thread(target=guarded, name=f"bgcheck {target.label}", daemon=True).start()
        except RuntimeError as error:  # no more threads
            failed(error)
            over()

    def _internal(self, target: Target, error: Exception, records: Iterable[Record]) -> str:
        """Log an error of ours; return the line that tells it."""
        secrets = [value for record in records for _, value in record.spec.check.env]
        return unexpected.tell(f"background checks on {target.label}", error, secrets)

    def _start(self, target: Target, records: Sequence[Record]) -> None:
        by_id = {record.spec.id: record for record in records}
        batches = requests.start_requests(
            self.run, self._base, [r.spec for r in records], self._nonces, self._shell
        )
        for nonce, request, specs in batches:
            batch = [by_id[spec.id] for spec in specs]
            if not self._start_batch(target, nonce, request, batch):
                rest = [r for r in records if r.state is State.PENDING]
                self._give_up(rest, target.trouble)
                break

    def _start_batch(
        self, target: Target, nonce: str, request: str, records: Sequence[Record]
    ) -> bool:
        """Make one start request come true, or return False."""
        if target.identity in self._dead:
            target.trouble = f"{self._dead[target.identity]} (it was given up before)"
            self._give_up(records, target.trouble)
            return False
        longest = max([r.spec.check.timeout_s for r in records], default=recovery.START_PATIENCE_S)
        deadline = recovery.start_deadline(self._clock(), longest)

        def start() -> replies.Reply:
            with self._turn(START_TURN_S):
                patience = recovery.start_patience(self._clock(), deadline, len(records))
                reply = ask(target.transport, nonce, request, patience)
            told = {*reply.started, *reply.refused}
            if "*" not in told and not all(r.spec.id in told for r in records):
                raise BadReply("a reply that leaves out jobs")
            if not (reply.directory or b"/" + self.run.encode()).endswith(f"/{self.run}".encode()):
                raise BadReply("a reply with a strange directory")
            if reply.started and reply.directory is None and target.directory is None:
                raise BadReply("a reply without its directory")
            return reply

        try:
            reply = self._insist(start, lambda: deadline)
        except Refused as error:
            target.trouble = str(error)
            self._settle_all(records, State.NOT_STARTED, str(error))
            return True
        except TargetError as error:
            target.trouble = str(error)
            if not self._closing and target.directory is None:
                # Tried once for all its checks, those to come and those as another user too.
                self._dead.setdefault(target.identity, str(error))
            self._give_up(records, str(error))
            return False
        with self._changed:
            if reply.directory is not None:
                target.directory = reply.directory
            now = self._clock()
            for record in records:
                reason = reply.refused.get("*", reply.refused.get(record.spec.id))
                if reason is not None:
                    reason = OTHER_TERMS if reason == "terms" else reason
                    self._settle(record, Result(State.NOT_STARTED, detail=reason))
                elif record.state is State.PENDING:
                    self._run(record, now)
        self._ensure_waiter(target, [r for r in records if r.spec.id in reply.attached])
        return True

    def _insist(
        self, call: Callable[[], replies.Reply], deadline: Callable[[], float]
    ) -> replies.Reply:
        """Repeat a call until it gives a reply. Raises the last TargetError at the deadline."""
        foreign = 0
        for failures in itertools.count(1):
            try:
                return call()
            except Refused:
                raise
            except TargetError as error:
                foreign = foreign + 1 if isinstance(error, BadReply) else 0
                if foreign >= recovery.FOREIGN_ANSWERS:
                    raise Refused(f"what answers does not run /bin/sh: {error}") from None
                decision = recovery.after_failure(
                    failures, self._clock(), deadline(), self._jitter()
                )
                if self._closing or isinstance(decision, recovery.GiveUp):
                    raise
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, decision.after_s)
                del error
        raise AssertionError  # pragma: no cover

    @contextmanager
    def _turn(self, patience_s: float) -> Iterator[None]:
        """Be one of ``forks``; but do not wait for long for those that do not answer."""
        mine = self._forks.acquire(timeout=patience_s)
        try:
            yield
        finally:
            if mine:
                self._forks.release()

    # --- waiting ------------------------------------------------------------------------------

    def _wait(self, target: Target, _: Sequence[Record]) -> None:
        """Collect the results of a target's jobs until none runs."""
        failures = bugs = 0
        while True:
            with self._changed:
                self._expire(target, failures > 0)
                if self._closing or not target.running:
                    target.waiter = False
                    return
                records = list(target.running.values())
            begun = self._clock()
            try:
                self._await_once(target, records)
            except Gone as error:
                self._settle_all(records, State.LOST, f"the target is gone: {error}")
                continue
            except Exception as error:
                failures += 1
                if isinstance(error, TargetError):
                    target.trouble = str(error)
                else:
                    # A bug of ours: perhaps in what has just come. The others must not pay for it.
                    bugs += 1
                    target.trouble = self._internal(target, error, records)
                    if bugs >= INTERNAL_ERRORS:
                        self._give_up(records, target.trouble)
                        continue
                last = max(map(_deadline, records))
                decision = recovery.after_failure(failures, self._clock(), last, self._jitter())
                pause = decision.after_s if isinstance(decision, recovery.AskAgain) else 0
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
                continue
            failures = bugs = 0
            if all(record.result is None for record in records):
                # A target that cannot wait, for whatever reason, must not be asked without a pause.
                with self._changed:
                    pause = begun + IDLE_S - self._clock()
                    self._changed.wait_for(lambda: self._closing, max(0.0, pause))
            if not target.transport.streams:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing or target.wanted > 0, BATCH_S)

    def _await_once(self, target: Target, records: Sequence[Record]) -> None:
        """Make one call that waits on the target for any of its jobs, and take what it tells."""
        now = self._clock()
        expire, patience = recovery.await_patience(now, min(map(_deadline, records)))
        if self._in_child:
            expire = min(expire, CHILD_CALL_S)
        stream = target.transport.streams
        nonce, request = self._wait_request(target, records, expire, stream)

        def take(reply: replies.Reply) -> None:
            with self._changed:
                if not self._closing:
                    self._take(target, records, reply)

        if stream:
            ask_stream(target.transport, nonce, request, patience, take)
        else:
            take(ask(target.transport, nonce, request, patience))

    def _wait_request(
        self, target: Target, records: Sequence[Record], expire_s: int, stream: bool
    ) -> tuple[str, str]:
        """Return the nonce of a wait and its request; send its jobs ahead if they are too many."""
        assert target.directory is not None
        specs = [record.spec for record in records]
        nonce, kept = next(self._nonces), ""
        for number, part in requests.keep_requests(
            target.directory, nonce, specs, self._nonces, self._shell
        ):
            reply = ask(target.transport, number, part, QUESTION_CALL_S)
            if reply.refused:
                raise Unreachable("; ".join(reply.refused.values()))
            kept = nonce
        return nonce, requests.await_request(
            target.directory, nonce, expire_s, specs, self._shell, stream, kept
        )

    def _take(self, target: Target, records: Sequence[Record], reply: replies.Reply) -> None:
        if reply.gone:
            detail = "the run's directory on the target is gone"
            if "*" in reply.refused:
                detail = f"the run's directory on the target is not safe: {reply.refused['*']}"
            for record in records:
                self._settle(record, Result(State.LOST, detail=detail))
        for report in reply.reports:
            job = target.running.get(report.id)
            if job is not None and report.gone:
                detail = "its directory on the target is gone"
                self._settle(job, Result(State.LOST, detail=detail))
            elif job is not None and report.result is not None:
                self._settle(job, judged(report.result, job.spec.check))

    def _expire(self, target: Target, failing: bool) -> None:
        """Give up the jobs whose last possible second is long over."""
        now = self._clock()
        for record in list(target.running.values()):
            if now >= _deadline(record):
                detail = target.trouble if failing else "the target says that it still runs"
                self._settle(record, Result(State.UNREACHABLE, detail=detail))

    def want(self, record: Record) -> None:
        """Take note that somebody asks for a job's result."""
        self.attend(record.target)
        with self._changed:
            if not record.wanted:
                record.wanted = True
                self._tell(self._on_want, record)

    def wait_for(
        self, ready: Callable[[], bool], targets: Iterable[Target], timeout_s: float | None
    ) -> bool:
        """Block until ``ready()``, which is called under the condition, or the time-out."""
        targets = list(targets)
        with self._changed:
            for target in targets:
                target.wanted += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(ready, timeout_s)
            finally:
                for target in targets:
                    target.wanted -= 1

    # --- settling, always under the condition -------------------------------------------------

    def _settle(self, record: Record, result: Result) -> None:
        if record.result is None:
            record.result, record.state = result, result.state
            record.target.running.pop(record.spec.id, None)
            self._changed.notify_all()
            self._tell(self._on_end, record)

    def _tell(self, callback: Callable[[Record], None], record: Record) -> None:
        """Call back; what that raises must not change what becomes of jobs."""
        try:
            callback(record)
        except Exception as error:
            self._on_unexpected(self._internal(record.target, error, [record]))

    def _settle_all(self, records: Iterable[Record], state: State, detail: str) -> None:
        with self._changed:
            for record in records:
                self._settle(record, Result(state, detail=detail))

    def _give_up(self, records: Iterable[Record], detail: str) -> None:
        self._settle_all(records, State.UNREACHABLE, detail)

    # --- the other questions ------------------------------------------------------------------

    def cancel(self, record: Record) -> None:
        """End a running job on its target. Raises a TargetError if the target cannot be asked."""
        directory = self._started(record)
        if directory is not None:
            nonce = next(self._nonces)
            request = requests.cancel_request(directory, nonce, [record.spec], self._shell)
            ask(record.target.transport, nonce, request, QUESTION_CALL_S)

    def look(self, record: Record) -> Result:
        """Return how a job stands: its result, or what it has written so far."""
        directory = self._started(record)
        if directory is None:
            return record.result or Result(record.state)
        nonce = next(self._nonces)
        request = requests.tail_request(directory, nonce, [record.spec], self._shell)
        reply = ask(record.target.transport, nonce, request, QUESTION_CALL_S)
        for report in reply.reports:
            if report.result is not None:
                return judged(report.result, record.spec.check)
            if not report.gone:
                return Result(
                    State.RUNNING, None, report.running_s, 0, "", report.stdout, report.stderr
                )
        return Result(State.LOST, detail="its directory on the target is gone")

    def _started(self, record: Record) -> bytes | None:
        """Wait until a job was started; return its run's directory, None if it does not run."""
        self.attend(record.target)
        self.wait_for(lambda: record.state is not State.PENDING, (), None)
        return record.target.directory if record.state is State.RUNNING else None

    # --- forked children ----------------------------------------------------------------------

    def go_on_in_child(self) -> None:
        """Be the runner of a forked child: the parent's threads are not here, what they held is."""
        self._in_child = True
        self._changed = threading.Condition()
        self._forks = threading.Semaphore(self._at_once)
        for (target, id), record in self.records.items():
            target.starting = target.wanted = 0
            target.waiter = False
            # A thread may have been just about to change it.
            if record.result is not None:
                record.state = record.result.state
                target.running.pop(id, None)
            else:
                self._unattended.setdefault(target, []).append(record)
                if record.state is State.RUNNING:
                    target.running[id] = record
                    record.started_s = record.started_s or self._clock()

    def attend(self, target: Target) -> None:
        """Have threads for a target, in a forked child: nobody else hears of its jobs there."""
        records = self._unattended.pop(target, None)
        if records is None:
            return
        pending = [r for r in records if r.state is State.PENDING]
        if pending:
            with self._changed:
                target.starting += 1
            self._thread(self._start, target, pending)
        self._ensure_waiter(target, ())

    # --- the end ------------------------------------------------------------------------------

    def settle_starts(self, targets: Iterable[Target]) -> None:
        """Wait until the starts that are under way have come true or were given up; from `hurry` on
        for a moment only, so that what a host has just begun is there to be cleaned."""
        waited = list(targets)

        def settled() -> bool:
            return self._closing or not any(target.starting for target in waited)

        with self._changed:
            self._changed.wait_for(lambda: self._hurried or settled())
            self._changed.wait_for(settled, SETTLE_S)

    def hurry(self) -> None:
        """Take note that nobody in the run waits for a job any more."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def adopt(self, records: Iterable[Record]) -> None:
        """Take on jobs that other processes of the run have started, for the run's end."""
        with self._changed:
            for record in records:
                self.records[record.target, record.spec.id] = record
                if record.state is State.RUNNING:
                    record.target.running[record.spec.id] = record

    def stop(self, targets: Iterable[Target]) -> None:
        """Wait for nothing any more: end the calls that are under way to some targets, and cancel
        what still runs there as far as this process is concerned. They are left as they are."""
        self._stop()
        stopped = set(targets)
        for target in stopped:
            self._let_go(target)
        self._cancel_here(record for record in self.records.values() if record.target in stopped)

    def _let_go(self, target: Target) -> None:
        try:
            target.transport.close()
        except Exception as error:  # the others must be let go of too
            self._internal(target, error, target.running.values())

    def close(
        self,
        targets: Iterable[Target],
        *,
        keep: bool = False,
        within_s: float | None = None,
        ask_about: Iterable[Record] = (),
    ) -> list[str]:
        """End all jobs and remove all files, in ``within_s`` (`CLEAN_S`) and a moment at the most;
        sooner, if a signal says so (`signals.held`).

        Returns what did not work, a line for each target, with what may be left there. Jobs that
        still ran are cancelled; a target is asked before about those of ``ask_about``, for they may
        have just ended.
        """
        asked = list(ask_about)
        self._stop()
        deadline = self._clock() + (CLEAN_S if within_s is None else within_s)
        troubles: dict[Target, str] = {}
        threads = {}
        for target in targets:
            arguments = (target, keep, deadline, troubles, [r for r in asked if r.target is target])
            thread = threading.Thread(target=self._clean, args=arguments, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads
                troubles[target] = f"{error}; {self._place(target)} may be left there"
            else:
                threads[target] = thread
        for thread in threads.values():
            while thread.is_alive() and self._clock() < deadline + 0.5 and not in_a_hurry():
                thread.join(HURRY_S)
        late = [target for target, thread in threads.items() if thread.is_alive()]
        why = "interrupted" if in_a_hurry() else "no answer in time"
        for target in late:
            troubles[target] = f"{why}; {self._place(target)} may be left there"
        if late and in_a_hurry():
            self._hang_up(late)
        self._cancel_here(self.records.values())
        return [f"{target.label}: {trouble}" for target, trouble in list(troubles.items())]

    def _place(self, target: Target) -> str:
        return place(target.directory, self._base, self.run)

    def _hang_up(self, targets: Iterable[Target]) -> None:
        """End the connections to targets whose answers are not waited for any more."""
        threads = [threading.Thread(target=self._let_go, args=(t,), daemon=True) for t in targets]
        for thread in threads:
            thread.start()
        deadline = self._clock() + HANG_UP_S
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock()))

    def _stop(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _cancel_here(self, records: Iterable[Record]) -> None:
        with self._changed:
            for record in records:
                self._settle(record, Result(State.CANCELLED, detail=RUN_ENDED))

    def _clean(
        self,
        target: Target,
        keep: bool,
        deadline: float,
        troubles: dict[Target, str],
        ask_about: Sequence[Record],
    ) -> None:
        def left_s() -> float:
            return max(0.1, deadline - self._clock())

        try:
            with self._changed:
                self._changed.wait_for(lambda: target.starting == 0, left_s() / 2)
            directory = target.directory
            if directory is None and not target.asked:
                return
            self._ask_last(target, [r for r in ask_about if not r.state.final], left_s() / 3)
            for failures in itertools.count(1):
                nonce = next(self._nonces)
                where = self._base if directory is None else directory
                request = requests.clean_request(where, nonce, self.run, keep, self._shell)
                try:
                    with self._turn(CLEAN_TURN_S):
                        reply = ask(target.transport, nonce, request, left_s())
                    break
                except (Unreachable, BadReply):
                    decision = recovery.after_failure(
                        failures, self._clock(), deadline, self._jitter()
                    )
                    never = directory is None and failures >= recovery.CLEAN_TRIES
                    if never or isinstance(decision, recovery.GiveUp):
                        raise
                    time.sleep(decision.after_s)
            told = [f"{reply.left} processes could not be killed"] if reply.left else []
            told += [reply.refused["*"]] if "*" in reply.refused else []
            if told:
                troubles[target] = "; ".join(told)
        except Gone:
            pass  # and everything with it
        except TargetError as error:
            # Where nobody was let in, nothing was begun. But the answer to a start can be lost.
            if target.directory is not None or not isinstance(error, Refused):
                troubles[target] = f"{error}; {self._place(target)} may be left there"
        except Exception as error:
            said = self._internal(target, error, ())
            troubles[target] = f"{said}; {self._place(target)} may be left there"
        finally:
            self._let_go(target)

    def _ask_last(self, target: Target, records: Sequence[Record], patience_s: float) -> None:
        """Ask once how jobs stand that nobody waits for any more."""
        records = [record for record in records if record.state is State.RUNNING]
        deadline = self._clock() + patience_s
        while records and target.directory is not None:
            try:
                nonce, request = self._wait_request(target, records, 0, False)
                with self._turn(CLEAN_TURN_S):
                    left_s = max(0.1, deadline - self._clock())
                    reply = ask(target.transport, nonce, request, left_s)
            except Exception as error:  # whatever it was, the target is to be cleaned
                detail = f"{RUN_ENDED}, and its target could not be asked: {error}"
                self._settle_all(records, State.CANCELLED, detail)
                return
            with self._changed:
                self._take(target, records, reply)
            kept = [output for r in reply.reports for output in (r.stdout, r.stderr)]
            if sum(len(output.head) + len(output.tail) for output in kept) < requests.REPLY_BUDGET:
                return
            records = [r for r in records if r.result is None]  # there was no room for all


def place(directory: bytes | None, base: str, run: str) -> str:
    """Return where a run's files are on a target, as far as that is known."""
    if directory is not None:
        return directory.decode("utf-8", "replace")
    return f"{base or '${TMPDIR:-/tmp}'}/pytest-bgcheck-UID/{run}"


def _deadline(record: Record) -> float:
    check = record.spec.check
    return recovery.job_deadline(record.started_s or 0.0, check.timeout_s, check.grace_s)


def judged(result: Result, check: Check) -> Result:
    """Return a job's result with its exit code judged by the check's own codes."""
    if result.state is State.SUCCEEDED and result.rc not in check.rc:
        return replace(result, state=State.FAILED)
    return result
