"""The controller's part of a run with xdist's workers.

Each worker gets, from the controller, the run's id and a channel. Over it go the ledger's events,
the hosts that are to be cleaned, and hints about what other workers have started, which save a
call: the targets decide, not the hints. What arrives is heard in execnet's receiver threads, which
must not wait; so everything is sent by a thread of its own.

The controller cleans, once for all workers and whatever became of them. Only hosts that it cannot
reach because they are of another place (the local host of a worker on another computer) are left to
the last worker there.

Imports nothing of xdist.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from .. import log
from ..events import EVENTS
from ..run.book import Book
from ..run.link import new_run
from ..target.place import here
from ..wire import plain
from .outbox import Outbox

if TYPE_CHECKING:
    from ..target.records import Record, Target


class Controller:
    """The controller's part of a run: a plugin of its own."""

    def __init__(self, config: pytest.Config, book: Book) -> None:
        self.book = book
        self.waiting: dict[str, None] = {}
        self._config = config
        self._run, self._salt = new_run()
        self._lock = threading.RLock()
        self._outboxes: dict[str, Outbox] = {}
        self._shares: dict[str, int] = {}
        self._targets: dict[str, Mapping[str, Any]] = {}
        self._started: dict[str, tuple[bytes, dict[str, str]]] = {}
        self._cleaned: set[str] = set()
        self._places: dict[str, str] = {}
        self._stopped = False
        self._ending: set[str] = set()
        self._over_at: float | None = None
        self._ended = False
        self._wrong_use = ""

    # --- workers come and go --------------------------------------------------------------------

    def pytest_configure_node(self, node: Any) -> None:
        worker = node.gateway.id
        with self._lock:
            # A replacement takes the share of the one that died.
            taken = set(self._shares.values())
            share = next(n for n in range(len(taken) + 1) if n not in taken)
            self._shares[worker] = share
            channel = node.gateway.newchannel()
            node.workerinput["bgcheck_channel"] = channel
            told = {
                "run": self._run,
                "salt": self._salt,
                "share": share,
                "count": node.workerinput["workercount"],
                "place": here(),
                "durations": {k: list(v) for k, v in self.book.durations().items()},
                "started": {key: (where, dict(t)) for key, (where, t) in self._started.items()},
            }
            node.workerinput["bgcheck"] = plain(told)
            self._outboxes[worker] = Outbox(channel, self.book.unexpected.append)
        channel.setcallback(lambda message: self._heard(worker, message))

    def pytest_testnodedown(self, node: Any) -> None:
        worker = node.gateway.id
        with self._lock:
            self._shares.pop(worker, None)
            self._places.pop(worker, None)
            self._outboxes.pop(worker, None)
            self._look_for_the_end()
        self.book.ledger.worker_gone(worker, time.time())
        if self._wrong_use:
            # xdist would know nothing but that a worker has ended before its time.
            raise pytest.UsageError(self._wrong_use)
        self._stop_if_over()  # Ctrl-C or pytest.exit in one worker: the second call for it

    def _heard(self, worker: str, message: tuple[Any, ...]) -> None:
        try:
            with self._lock:
                getattr(self, f"_heard_{message[0]}")(worker, *message[1:])
        except Exception as error:  # an error here would end execnet's receiver thread
            doing = f"the message {message[:1]!r} of {worker}"
            self.book.unexpected.append(log.internal_error(doing, error))

    def _heard_unexpected(self, worker: str, line: str) -> None:
        self.book.unexpected.append(f"{line} (worker {worker})")

    def _heard_waiting(self, worker: str, tests: Sequence[str]) -> None:
        self.waiting.update(dict.fromkeys(tests))

    def _heard_wrong_use(self, worker: str, message: str) -> None:
        self._wrong_use = message

    def _heard_event(self, worker: str, event: object) -> None:
        self.book.ledger.tell(EVENTS.read(event))

    def _heard_target(self, worker: str, key: str, plain: Mapping[str, Any]) -> None:
        self._targets.setdefault(key, plain)

    def _heard_place(self, worker: str, place: str) -> None:
        self._places[worker] = place

    def _heard_started(self, worker: str, key: str, directory: bytes, id: str, terms: str) -> None:
        known = self._started.setdefault(key, (directory, {}))[1]
        if id not in known:
            known[id] = terms
            for other, outbox in self._outboxes.items():
                if other != worker:
                    outbox.put("started", key, directory, id, terms)

    def _heard_ending(self, worker: str) -> None:
        self._ending.add(worker)
        self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        """Once no worker has a test left, say so: nobody waits for starts any more."""
        if self._over_at is None and self._shares and self._ending.issuperset(self._shares):
            self._over_at = time.monotonic()
            for outbox in self._outboxes.values():
                outbox.put("over")

    def _heard_leaving(self, worker: str, place: str) -> None:
        self._places[worker] = ""
        # A worker that has just replaced another may be of any place.
        others = {self._places.get(other, place) for other in self._shares}
        own = [key for key, plain in self._targets.items() if plain["place"] == place]
        self._outboxes[worker].put("clean", [] if place in others else own)

    def _heard_cleaned(self, worker: str, keys: Sequence[str], troubles: Sequence[str]) -> None:
        self._cleaned.update(keys)
        self.book.troubles += troubles

    # --- the end --------------------------------------------------------------------------------

    def pytest_runtest_logfinish(self) -> None:
        self._stop_if_over()  # -x and --maxfail

    def _stop_if_over(self) -> None:
        # xdist lets its workers finish what they hold; they must not sit out the checks that they
        # wait for.
        if getattr(self._config.pluginmanager.getplugin("dsession"), "shouldstop", False):
            self.stop_workers()

    def stop_workers(self) -> None:
        """Have no worker wait for a job any more."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                for outbox in self._outboxes.values():
                    outbox.put("stop")

    def pytest_unconfigure(self) -> None:
        # pytest ends without pytest_sessionfinish if xdist could not start all its workers; those
        # that it could may have started jobs.
        if not self._ended:
            manager = getattr(self._config.pluginmanager.getplugin("dsession"), "nodemanager", None)
            if manager is not None:
                manager.teardown_nodes()
            self.clean()
            for line in self.book.troubles:
                print(f"pytest-bgcheck: not cleaned up: {line}", file=sys.stderr)

    def clean(self, *, ask: bool = False) -> None:
        """End all jobs and leave nothing on the targets: one call a host, whoever had it.

        ``ask`` before how those jobs stand that nobody judged and of whose end nobody has heard.
        """
        self._ended = True
        if not self._targets:
            return
        from ..target import connection, hosts
        from ..target.calls import place
        from ..target.cleaner import CLEAN_S
        from ..target.host_transport import HostTransport
        from ..target.records import Target
        from ..target.runner import Runner

        settings = self.book.settings
        targets = []
        for key, facts in self._targets.items():
            if facts["place"] not in ("", here()):
                if key not in self._cleaned:
                    left = place(self._started.get(key, (None,))[0], settings.dir, self._run)
                    self.book.troubles.append(
                        f"{facts['label']}: of a worker that is gone; {left} may be left there"
                    )
                continue
            try:
                ref = hosts.from_plain(facts)
            except Exception as error:  # the others are to be cleaned all the same
                line = log.internal_error(f"cleaning up {facts['label']}", error)
                self.book.troubles.append(f"{facts['label']}: {line}")
                continue
            way = HostTransport(ref.backend, facts["sudo"], facts["sudo_user"])
            directory = self._started.get(key, (None,))[0]
            targets.append(Target(ref.label, ref.identity, way, key, directory, asked=True))
        runner = Runner(
            self._run, base=settings.dir, forks=settings.forks, on_end=self._heard_at_the_end
        )
        unheard = self._unheard(targets) if ask else []
        runner.adopt(unheard)
        unsilence = connection.silence()
        # Workers have waited already: the whole end has one bound.
        spent = 0.0 if self._over_at is None else time.monotonic() - self._over_at
        within_s = max(CLEAN_S - spent, CLEAN_S / 2)
        self.book.troubles += runner.close(
            targets, keep=settings.keep, within_s=within_s, ask_about=unheard
        )
        unsilence()
        if settings.keep:
            self.book.kept += [f"{t.label}: {t.path}" for t in targets if t.directory]

    def _unheard(self, targets: Sequence[Target]) -> list[Record]:
        from ..model import Check
        from ..target.records import Record
        from ..target.requests import Spec

        by_key = {target.key: target for target in targets}
        records = []
        for job in self.book.ledger.snapshot():
            target = by_key.get(job.target)
            if target is None or job.state.final:
                continue
            check = Check(
                job.name, (), job.command, timeout_s=job.timeout_s, grace_s=job.grace_s,
                rc=frozenset(job.accepted), output_limit=job.output_limit,
            )  # fmt: skip
            records.append(Record(Spec(job.id, check), target, job.state))
        return records

    def _heard_at_the_end(self, record: Record) -> None:
        from ..events import JobEnded
        from ..ledger import RUN_ENDED

        assert record.result is not None
        if record.result.detail != RUN_ENDED:
            self.book.ledger.tell(JobEnded.of(record.key, record.result, time.time()))
