"""Waits that reach the target late: no end is missed meanwhile."""

import threading
from collections.abc import Callable
from pathlib import Path

from support.machines.machine import wait_until
from support.real_targets import RealRun, target
from support.scripted_transport import words_of

from pytest_bgcheck import State
from pytest_bgcheck.target.transport import Answer, Transport


class SlowAtFirst:
    """A transport whose first wait reaches the target only when it is ``released``.

    ``asked``: that wait was asked. ``questions``: how often it was asked how jobs stand.
    """

    def __init__(self, way: Transport) -> None:
        self.streams = way.streams
        self.ends_calls = way.ends_calls
        self.asked, self.released = threading.Event(), threading.Event()
        self.questions = 0
        self._way = way

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        words = words_of(request)
        if "await" in words and "expire_s=0" not in words and not self.asked.is_set():
            self.asked.set()
            assert self.released.wait(60)
        answer = self._way.call(request, timeout_s, on_output)
        self.questions += "expire_s=0" in words
        return answer

    def close(self) -> None:
        self._way.close()


def test_the_end_of_a_job_that_started_meanwhile_is_known_at_once(tmp_path: Path) -> None:
    real_run = RealRun(tmp_path)
    place = target("local://")
    way = place.transport = SlowAtFirst(place.transport)
    try:
        real_run.running(place, "sleep 61.5")
        assert way.asked.wait(60)
        command = "until [ -f ended ]; do sleep 0.1; done"
        later = real_run.submit(place, command, name="later", cwd=str(tmp_path))
        assert wait_until(lambda: way.questions == 1, 60)  # while it runs
        assert later.state is State.RUNNING
        tmp_path.joinpath("ended").touch()
        assert wait_until(lambda: any(tmp_path.glob("*/*/*/state.exit.*")), 60)
        way.released.set()  # the wait, which knows nothing of it, and was not there to be woken
        assert real_run.result(later, 30).state is State.SUCCEEDED
    finally:
        way.released.set()
        assert real_run.close() == []
