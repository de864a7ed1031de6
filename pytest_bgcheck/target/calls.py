"""The calls of a run, each with a nonce of its own; and the turns of those that not all hosts may
make at once."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..errors import BadReply, Unreachable
from ..originals import secrets
from . import recovery, replies, requests
from .records import Record, Target
from .requests import Place, Spec
from .transport import Call, ask

QUESTION_CALL_S = 20.0
"""How long a call may take that does not wait on the target."""


class Calls:
    """The calls of one run.

    ``run_id`` is the run's id (letters and digits), ``base`` the directory for files on the targets
    (empty: theirs to say), ``forks`` the number of hosts started or cleaned at once. ``owner`` is
    what each nonce begins with. It also stands in the ids of jobs of which no other process of the
    run knows: the calls of others do not hear the ends of these. ``clock`` tells the time for all
    of a run's limits, in seconds, ``jitter`` a random number from 0 to 1 for its pauses.
    """

    def __init__(
        self,
        run_id: str,
        base: str,
        forks: int,
        shell: str,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.run_id = run_id
        self.base = base
        self.owner = secrets.token_hex(2)
        self.now_s = clock
        self._jitter = jitter
        self._shell = shell
        # Not a generator: those must not be advanced by two threads at once.
        self._nonces: Iterator[str] = iter(lambda: self.owner + secrets.token_hex(6), "")
        self._at_once = forks
        self._turns = _turns(forks)

    def pause_s(self, failures: int, deadline_s: float) -> float | None:
        """Return how long to pause before a call is made again. See `recovery.pause_s`."""
        return recovery.pause_s(failures, self.now_s(), deadline_s, self._jitter())

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[None]:
        """Be one of ``forks``; but do not wait for long for those that do not answer."""
        turns = self._turns
        try:
            turns.get(timeout=patience_s)
        except queue.Empty:
            yield
            return
        try:
            yield
        finally:
            turns.put(None)

    def starts(
        self, target: Target, records: Sequence[Record]
    ) -> Iterator[tuple[Call, list[Record]]]:
        """Yield calls that start some jobs, each with the jobs it starts."""
        by_id = {record.spec.id: record for record in records}
        specs = [record.spec for record in records]
        for nonce, request, started in requests.start_requests(
            self.run_id, self.base, specs, self._nonces, self._shell
        ):
            call = Call("start", target.label, nonce, request, len(started))
            yield call, [by_id[spec.id] for spec in started]

    def check_start(self, target: Target, records: Sequence[Record], reply: replies.Reply) -> None:
        """Raise BadReply for a whole reply that is none to the start of these jobs."""
        answered = {*reply.started, *reply.refused}
        if "*" not in answered and not all(r.spec.id in answered for r in records):
            raise BadReply("a reply that leaves out jobs")
        name = None if reply.directory is None else reply.directory.rpartition(b"/")[2]
        if name not in (None, self.run_id.encode()):
            raise BadReply("a reply with a directory of another run")
        if reply.started and reply.directory is None and target.directory is None:
            raise BadReply("a reply without its directory")

    def wait(
        self, target: Target, records: Sequence[Record], expire_s: int, stream: bool,
        proof: bool = False, at_end: bool = False,
    ) -> Call:  # fmt: skip
        """Return the call that waits until one of some jobs has ended, or has become ready.

        ``expire_s``: at the most. With ``stream`` its replies go on until all have ended. With
        ``proof`` it does not wait, but finds out which of them run; ``at_end``: or are being
        cancelled. If the jobs are too many for
        one request, they are sent ahead here and now. Raises a TargetError.
        """
        assert target.directory is not None
        specs = [record.spec for record in records]
        unready = {record.spec.id for record in records if record.may_get_ready}
        nonce, stored = next(self._nonces), ""
        for own_nonce, request in requests.store_requests(
            target.directory, nonce, specs, self._nonces, self._shell, unready
        ):
            store = Call("store", target.label, own_nonce, request, len(specs))
            reply = ask(target.transport, store, QUESTION_CALL_S)
            if reply.refused:
                raise Unreachable("; ".join(reply.refused.values()))
            stored = nonce
        request = requests.await_request(
            target.directory, nonce, expire_s, specs, self._shell, stream, stored, proof, unready,
            at_end,
        )  # fmt: skip
        return Call("await", target.label, nonce, request, len(specs))

    def cancel(self, record: Record) -> Call:
        """Return the call that ends a job that runs."""
        return self._about("cancel", requests.cancel_request, record)

    def tail(self, record: Record) -> Call:
        """Return the call that asks how a job stands that runs, with its output so far."""
        return self._about("tail", requests.tail_request, record)

    def tails(self, target: Target, records: Sequence[Record], output_limit: int) -> Call:
        """Return the call that asks how some jobs stand, with so much of their output at most."""
        assert target.directory is not None
        specs = []
        for spec in (record.spec for record in records):
            limit = min(spec.task.output_limit, output_limit)
            specs.append(replace(spec, task=replace(spec.task, output_limit=limit)))
        nonce = next(self._nonces)
        request = requests.tail_request(target.directory, nonce, specs, self._shell)
        return Call("tail", target.label, nonce, request, len(specs))

    def follow(
        self,
        target: Target,
        places: Sequence[tuple[Spec, Place]],
        expire_s: int,
        stream: bool,
    ) -> Call:
        """Return the call that tells what some jobs write from these places on.

        It lasts ``expire_s`` at the most. Without ``stream`` its one reply comes as soon as there
        is something to tell.
        """
        assert target.directory is not None
        nonce = next(self._nonces)
        request = requests.follow_request(
            target.directory, nonce, expire_s, places, self._shell, stream
        )
        return Call("follow", target.label, nonce, request, len(places))

    def unfollow(self, target: Target, follow: Call) -> Call:
        """Return the call that ends a follow which may still go on on its target."""
        assert target.directory is not None
        nonce = next(self._nonces)
        request = requests.unfollow_request(target.directory, nonce, follow.nonce, self._shell)
        return Call("unfollow", target.label, nonce, request)

    def window_id(self) -> str:
        """Return the id of a new window: letters and digits, the same nowhere else."""
        return next(self._nonces)

    def open(self, target: Target, windows: Sequence[tuple[Spec, str]]) -> Call:
        """Return the call that opens windows, each of a probe and with its id."""
        assert target.directory is not None
        nonce = next(self._nonces)
        request = requests.open_request(target.directory, nonce, windows, self._shell)
        return Call("open", target.label, nonce, request, len(windows))

    def close(self, target: Target, expire_s: int, windows: Sequence[tuple[Spec, str]]) -> Call:
        """Return the call that closes windows, and waits ``expire_s`` at most for what was seen."""
        assert target.directory is not None
        nonce = next(self._nonces)
        request = requests.close_request(target.directory, nonce, expire_s, windows, self._shell)
        return Call("close", target.label, nonce, request, len(windows))

    def _about(
        self, kind: str, build: Callable[[bytes, str, list[Spec], str], str], record: Record
    ) -> Call:
        """Return a call about one job that runs."""
        assert record.target.directory is not None
        nonce = next(self._nonces)
        request = build(record.target.directory, nonce, [record.spec], self._shell)
        return Call(kind, record.target.label, nonce, request, 1)

    def clean(self, target: Target, keep: bool) -> Call:
        """Return the call that ends all processes of the run and, unless ``keep``, removes its
        files."""
        nonce = next(self._nonces)
        where = self.base if target.directory is None else target.directory
        request = requests.clean_request(where, nonce, self.run_id, keep, self._shell)
        return Call("clean", target.label, nonce, request)

    def run_directory(self, target: Target) -> str:
        """Return the run's directory on a target, for people."""
        return run_directory(target.directory, self.base, self.run_id)

    def go_on_in_child(self) -> None:
        """Be those of a forked child: the turns of the parent's threads are never given back."""
        self._turns = _turns(self._at_once)


def is_full(reply: replies.Reply) -> bool:
    """Return whether there may have been no room in a reply for all that it should tell."""
    kept = [output for report in reply.reports for output in (report.stdout, report.stderr)]
    return sum(len(output.head) + len(output.tail) for output in kept) >= requests.REPLY_BUDGET


def _turns(count: int) -> queue.SimpleQueue[None]:
    """Return so many turns. No semaphore: of that a test that freezes the time stops time-outs."""
    turns: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(count):
        turns.put(None)
    return turns


def run_directory(directory: bytes | None, base: str, run_id: str) -> str:
    """Return a run's directory on a target, for people: where it must be, if nobody has told it."""
    if directory is not None:
        return directory.decode("utf-8", "replace")
    return f"{base or '${TMPDIR:-/tmp}'}/pytest-bgcheck-UID/{run_id}"
