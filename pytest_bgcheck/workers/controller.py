"""The controller's part of a run with xdist's workers.

Each worker gets, from the controller, the run's id and a channel. Over it go the ledger's events,
the hosts that are to be cleaned, and hints about what other workers have started, which save a
call: the targets decide, not the hints. What arrives is heard in execnet's receiver threads, which
must not wait; so everything is sent by a thread of its own.

Until a worker has said a word, no test uses checks, and the controller does nothing: it starts no
thread, sends nothing, and leaves signals and reports alone.

The controller cleans, once for all workers and whatever became of them. Only hosts that it cannot
reach because they are of another place (the local host of a worker on another computer) are left to
the last worker there.

Imports nothing of xdist.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from .. import log
from ..clocks import monotonic_s, unix_s
from ..compat.pytest import own_reporter
from ..compat.xdist import active_workers, end_workers, is_stopping, open_channel, worker_id
from ..events import StartPointReached
from ..run import messages
from ..run.link import new_run
from ..run.new_order import header
from ..run.unfinished import unfinished
from ..run.whole_run import WholeRun
from ..target.address import TargetAddress
from ..target.place import here
from ..wire import Reader, plain
from .held_back import HeldBack
from .outbox import FLUSH_S, Outbox

if TYPE_CHECKING:
    from ..target.records import Target


LOOK_AGAIN_S = 0.2
"""How soon the controller looks again whether xdist has replaced a worker."""


class Controller:
    """The controller's part of a run: a plugin of its own.

    ``on_use`` is called once, by the main thread, when a worker has said that its tests use checks;
    it returns whether reports have not been noted until now.
    ``session_ended``: pytest has come to the end of its session.
    """

    def __init__(
        self,
        config: pytest.Config,
        whole_run: WholeRun,
        on_use: Callable[[], bool] = lambda: False,
    ) -> None:
        self.whole_run = whole_run
        self._on_use = on_use
        self._begun = False
        self._used = False
        self.session_ended = False
        self.last_tests: dict[str, None] = {}
        self._new_order: messages.NewOrder | None = None
        self._header_written = False
        self._config = config
        self.run_id, self._salt = new_run()
        self._lock = threading.RLock()
        self._outboxes: dict[str, Outbox] = {}
        self._indexes: dict[str, int] = {}
        self._addresses: dict[str, TargetAddress] = {}
        self._jobs: dict[str, tuple[bytes, dict[str, str], dict[str, str]]] = {}
        self._cleaned: set[str] = set()
        self._places: dict[str, str] = {}
        self._stopped = False
        self._without_tests: set[str] = set()
        self.idle_since_s: float | None = None
        self._wrong_suite = ""
        self._held_back = HeldBack(whole_run.ledger.why_never_started)
        self._reader: Reader[messages.WorkerMessage] = Reader(messages.WorkerMessage)

    # --- workers come and go --------------------------------------------------------------------

    def pytest_configure_node(self, node: Any) -> None:
        worker = worker_id(node)
        with self._lock:
            # A replacement takes the index of the one that died.
            taken = set(self._indexes.values())
            index = next(n for n in range(len(taken) + 1) if n not in taken)
            self._indexes[worker] = index
            channel = open_channel(node)
            node.workerinput["bgcheck_channel"] = channel
            setup = messages.WorkerSetup(
                run_id=self.run_id,
                salt=self._salt,
                index=index,
                count=node.workerinput["workercount"],
                place=here(),
                durations={job: tuple(s) for job, s in self.whole_run.durations().items()},
                jobs=tuple(messages.JobsOnTarget(key, *known) for key, known in self._jobs.items()),
                reached=tuple(self._held_back.reached),
                never_started=dict(self._held_back.never_started),
            )
            node.workerinput["bgcheck"] = plain(setup)
            self._outboxes[worker] = Outbox(channel, self.whole_run.unexpected.append)
        channel.setcallback(lambda message: self._heard(worker, message))

    # Whatever xdist tells of a worker next, by its main thread: only that may handle signals.

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        self.begin_if_used()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        self.begin_if_used()
        self._write_header()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.begin_if_used():
            # Of the test that was the first to use a check: pytest calls no hook that comes now.
            self.whole_run.outcomes.pytest_runtest_logreport(report)

    def begin_if_used(self) -> bool:
        """Take part in the run if a worker has said that its tests use checks.

        Return whether this begins now.
        """
        if not self._used or self._begun:
            return False
        self._begun = True
        return self._on_use()

    def _write_header(self) -> None:
        """Write what is told of the tests' order: here, for xdist has no hook for it."""
        reporter = own_reporter(self._config)
        if self._new_order is not None and reporter is not None and not self._header_written:
            self._header_written = True  # a worker that replaces another tells the order again
            writer = self._config.get_terminal_writer()
            for line in header(self._config, self._new_order):
                if writer.width_of_current_line:  # with -v, jobs were told of already
                    writer.line()
                reporter.write_line(line)

    def pytest_testnodedown(self, node: Any) -> None:
        worker = worker_id(node)
        with self._lock:
            self._indexes.pop(worker, None)
            self._places.pop(worker, None)
            self._outboxes.pop(worker, None)
            self._held_back.forget(worker)
            self._tell_if_tests_are_over()
            self._tell_if_never_started()
        self.whole_run.ledger.end_waits_of(worker, unix_s())
        if self._wrong_suite:
            # xdist knows no more than that a worker has ended too early.
            raise pytest.UsageError(self._wrong_suite)
        self._stop_workers_if_stopping()  # Ctrl-C or pytest.exit in a worker

    def _heard(self, worker: str, message: object) -> None:
        self._used = True
        try:
            with self._lock:
                self._hear(worker, self._reader.read(message))
        except Exception as error:  # an error here would end execnet's receiver thread
            line = log.internal_error(f"a message of {worker}", error)
            self.whole_run.unexpected.append(line)

    def _hear(self, worker: str, message: messages.WorkerMessage) -> None:
        match message:
            case messages.InternalError():
                self.whole_run.unexpected.append(f"{message.line} (worker {worker})")
            case messages.NewOrder():
                self.last_tests.update(dict.fromkeys(message.last))
                self._new_order = message
            case messages.WrongSuite():
                self._wrong_suite = message.reason
            case messages.TargetUsed():
                self._addresses.setdefault(message.address.key, message.address)
            case messages.JobsOnTarget():
                self._note_jobs(worker, message)
            case messages.WorkerPlace():
                self._places[worker] = message.place
                if self._stopped:
                    self._outboxes[worker].put(messages.StopWaiting())
            case messages.NoTestLeft():
                self._without_tests.add(worker)
                self._tell_if_tests_are_over()
                self._tell_if_never_started()
            case StartPointReached():
                self.whole_run.ledger.tell(message)
                if self._held_back.note_reached(message):
                    for other, outbox in self._outboxes.items():
                        if other != worker:
                            outbox.put(message)
            case messages.WaitsForStartPoint():
                self._held_back.note_wait(worker, message)
                self._tell_if_never_started()
            case messages.GoesOn():
                self._held_back.note_end_of_wait(worker, message)
                self._outboxes[worker].put(messages.MayGoOn(message.number))
            case messages.WhatToClean():
                self._answer_what_to_clean(worker, message.place)
            case messages.Cleaned():
                self._cleaned.update(message.targets)
                self.whole_run.not_cleaned_up += message.not_cleaned_up
            case event:
                self.whole_run.ledger.tell(event)

    def _note_jobs(self, worker: str, jobs: messages.JobsOnTarget) -> None:
        """Tell the other workers of jobs that this one has started, or attached to."""
        _, terms, commands = self._jobs.setdefault(jobs.target, (jobs.directory, {}, {}))
        if not jobs.terms.keys() <= terms.keys():
            terms.update(jobs.terms)
            commands.update(jobs.commands)
            for other, outbox in self._outboxes.items():
                if other != worker:
                    outbox.put(jobs)

    def _tell_if_tests_are_over(self) -> None:
        """Once no worker has a test left, say so to all: no test waits for a start any more."""
        if (
            self.idle_since_s is None
            and self._indexes
            and self._without_tests.issuperset(self._indexes)
        ):
            self.idle_since_s = monotonic_s()
            for outbox in self._outboxes.values():
                outbox.put(messages.NoWorkerHasTests())

    def _tell_if_never_started(self) -> None:
        """Once no worker can set up what jobs are held back for, say so to all."""
        with self._lock:
            alive = active_workers(self._config, self._indexes)
            if alive != set(self._indexes):
                # A worker has died, and xdist is about to replace it, or not: look again.
                if self._held_back.is_awaited and not self._stopped:
                    again = threading.Timer(LOOK_AGAIN_S, self._tell_if_never_started)
                    again.daemon = True
                    again.start()
                return
            details = self._held_back.never_started_now(alive - self._without_tests)
            if details:
                for outbox in self._outboxes.values():
                    outbox.put(messages.NeverStarted(details))

    def _answer_what_to_clean(self, worker: str, place: str) -> None:
        """Have the last worker of a place clean the targets that only that can reach."""
        self._places[worker] = ""
        # A worker that has just replaced another may be of any place.
        others = {self._places.get(other, place) for other in self._indexes}
        answer = messages.CleanTargets()
        if place not in others:
            own = [address for address in self._addresses.values() if address.place == place]
            keys = {address.key for address in own}
            answer = messages.CleanTargets(tuple(own), unfinished(self.whole_run.ledger, keys))
        self._outboxes[worker].put(answer)

    # --- the end --------------------------------------------------------------------------------

    def pytest_runtest_logfinish(self) -> None:
        self._stop_workers_if_stopping()  # -x and --maxfail

    def _stop_workers_if_stopping(self) -> None:
        # xdist lets its workers finish their tests. These shall not wait for checks to the end.
        if is_stopping(self._config):
            self.stop_workers()

    def stop_workers(self, at_end: bool = False) -> None:
        """Tell all workers to stop waiting for jobs.

        ``at_end``: xdist tells them next to end, and after that they hear of nothing more; so wait
        until they are told.
        """
        with self._lock:
            if not self._stopped:
                self._stopped = True
                for worker in self._places:  # the others use no checks so far
                    self._outboxes[worker].put(messages.StopWaiting())
            told = [self._outboxes[w] for w in self._places if w in self._outboxes]
        deadline_s = monotonic_s() + FLUSH_S
        for outbox in told if at_end else ():
            outbox.wait_until_sent(deadline_s - monotonic_s())

    def shut_down(self) -> None:
        """End the workers that run, where xdist could not start all of them."""
        end_workers(self._config)

    def reachable_targets(self) -> list[Target]:
        """Return the workers' targets that can be reached from here. Note the others as not cleaned
        up, unless a worker has cleaned them."""
        if not self._addresses:
            return []
        from ..target import hosts
        from ..target.calls import run_directory
        from ..target.host_transport import HostTransport
        from ..target.records import Target

        targets = []
        not_cleaned_up, base = self.whole_run.not_cleaned_up, self.whole_run.settings.dir
        for key, address in self._addresses.items():
            directory = self._jobs.get(key, (None,))[0]
            if address.place not in ("", here()):
                if key not in self._cleaned:
                    left = run_directory(directory, base, self.run_id)
                    not_cleaned_up.append(
                        f"{address.label}: its worker is gone; {left} may be left there"
                    )
                continue
            try:
                ref = hosts.host_at(address)
            except Exception as error:  # the others are to be cleaned all the same
                line = log.internal_error(f"cleaning up {address.label}", error)
                not_cleaned_up.append(f"{address.label}: {line}")
                continue
            way = HostTransport(ref.backend, address.sudo, address.sudo_user)
            targets.append(
                Target(ref.label, ref.identity, way, key, directory, start_requested=True)
            )
        return targets
