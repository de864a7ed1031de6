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

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from .. import log
from ..compat.xdist import end_workers, is_stopping, open_channel, worker_id
from ..events import EVENTS
from ..run.link import new_run
from ..run.whole_run import WholeRun
from ..target.place import here
from ..wire import plain
from .outbox import Outbox

if TYPE_CHECKING:
    from ..target.records import Target


class Controller:
    """The controller's part of a run: a plugin of its own."""

    def __init__(self, config: pytest.Config, whole_run: WholeRun) -> None:
        self._whole_run = whole_run
        self.waiting: dict[str, None] = {}
        self._config = config
        self.run, self._salt = new_run()
        self._lock = threading.RLock()
        self._outboxes: dict[str, Outbox] = {}
        self._shares: dict[str, int] = {}
        self._targets: dict[str, Mapping[str, Any]] = {}
        self._started: dict[str, tuple[bytes, dict[str, str]]] = {}
        self._cleaned: set[str] = set()
        self._places: dict[str, str] = {}
        self._stopped = False
        self._ending: set[str] = set()
        self.over_at: float | None = None
        self._wrong_use = ""

    # --- workers come and go --------------------------------------------------------------------

    def pytest_configure_node(self, node: Any) -> None:
        worker = worker_id(node)
        with self._lock:
            # A replacement takes the share of the one that died.
            taken = set(self._shares.values())
            share = next(n for n in range(len(taken) + 1) if n not in taken)
            self._shares[worker] = share
            channel = open_channel(node)
            node.workerinput["bgcheck_channel"] = channel
            told = {
                "run": self.run,
                "salt": self._salt,
                "share": share,
                "count": node.workerinput["workercount"],
                "place": here(),
                "durations": {k: list(v) for k, v in self._whole_run.durations().items()},
                "started": {key: (where, dict(t)) for key, (where, t) in self._started.items()},
            }
            node.workerinput["bgcheck"] = plain(told)
            self._outboxes[worker] = Outbox(channel, self._whole_run.unexpected.append)
        channel.setcallback(lambda message: self._heard(worker, message))

    def pytest_testnodedown(self, node: Any) -> None:
        worker = worker_id(node)
        with self._lock:
            self._shares.pop(worker, None)
            self._places.pop(worker, None)
            self._outboxes.pop(worker, None)
            self._look_for_the_end()
        self._whole_run.ledger.worker_gone(worker, time.time())
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
            self._whole_run.unexpected.append(log.internal_error(doing, error))

    def _heard_unexpected(self, worker: str, line: str) -> None:
        self._whole_run.unexpected.append(f"{line} (worker {worker})")

    def _heard_waiting(self, worker: str, tests: Sequence[str]) -> None:
        self.waiting.update(dict.fromkeys(tests))

    def _heard_wrong_use(self, worker: str, message: str) -> None:
        self._wrong_use = message

    def _heard_event(self, worker: str, event: object) -> None:
        self._whole_run.ledger.tell(EVENTS.read(event))

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
        if self.over_at is None and self._shares and self._ending.issuperset(self._shares):
            self.over_at = time.monotonic()
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
        self._whole_run.not_cleaned_up += troubles

    # --- the end --------------------------------------------------------------------------------

    def pytest_runtest_logfinish(self) -> None:
        self._stop_if_over()  # -x and --maxfail

    def _stop_if_over(self) -> None:
        # xdist lets its workers finish what they hold; they must not sit out the checks that they
        # wait for.
        if is_stopping(self._config):
            self.stop_workers()

    def stop_workers(self) -> None:
        """Have no worker wait for a job any more."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                for outbox in self._outboxes.values():
                    outbox.put("stop")

    def shut_down(self) -> None:
        """End the workers that run, where xdist could not start all of them."""
        end_workers(self._config)

    def targets(self) -> list[Target]:
        """Return all targets of the workers that can be reached from here; say where others are
        that may not have been cleaned."""
        if not self._targets:
            return []
        from ..target import hosts
        from ..target.calls import run_directory
        from ..target.host_transport import HostTransport
        from ..target.records import Target

        targets = []
        not_cleaned_up, base = self._whole_run.not_cleaned_up, self._whole_run.settings.dir
        for key, facts in self._targets.items():
            directory = self._started.get(key, (None,))[0]
            if facts["place"] not in ("", here()):
                if key not in self._cleaned:
                    left = run_directory(directory, base, self.run)
                    not_cleaned_up.append(
                        f"{facts['label']}: its worker is gone; {left} may be left there"
                    )
                continue
            try:
                ref = hosts.from_plain(facts)
            except Exception as error:  # the others are to be cleaned all the same
                line = log.internal_error(f"cleaning up {facts['label']}", error)
                not_cleaned_up.append(f"{facts['label']}: {line}")
                continue
            way = HostTransport(ref.backend, facts["sudo"], facts["sudo_user"])
            targets.append(
                Target(ref.label, ref.identity, way, key, directory, start_requested=True)
            )
        return targets
