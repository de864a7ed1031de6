"""The windows of probes on real targets, over the runner, whatever becomes of the calls and of the
prober."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.machines.machine import wait_until
from support.real_targets import Counting, RealRun, target

from pytest_bgcheck.model import State
from pytest_bgcheck.target import watching
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.watching import ClosedWindow
from pytest_bgcheck.windows import Window

# The same on every Python.
pytestmark = pytest.mark.once


@pytest.fixture
def real_run(tmp_path: Path) -> Iterator[RealRun]:
    base = tmp_path / "base"
    base.mkdir()
    run = RealRun(base)
    yield run
    assert run.close() == []
    assert not list(base.glob("*/*"))


@pytest.fixture(params=["local", "ssh"])
def place(request: pytest.FixtureRequest) -> Callable[[str], Target]:
    """Return what makes targets."""
    if request.param == "local":
        return lambda name: target("local://", name)
    server: SSHServer = request.getfixturevalue("ssh_server")
    return lambda name: target("ssh://target", name, ssh_config=str(server.client_config))


def looking(run: RealRun, place: Target, down: Path, name: str = "p", **given: object) -> Record:
    """Return a probe whose samples are bad while a file is there."""
    command = f"[ ! -e {down} ] || {{ echo refused; exit 7; }}"
    return run.watching(place, command, name, **{"every": 0.2} | given)


def life(run: RealRun, record: Record) -> Window:
    window = run.runner.tail(record).window
    assert window is not None
    return window


def takes(run: RealRun, record: Record, good: int = 0, bad: int = 0) -> None:
    """Wait until so many more samples were taken."""
    before = life(run, record)
    assert wait_until(
        lambda: (now := life(run, record)).good >= before.good + good
        and now.bad >= before.bad + bad,
        60,
    )  # fmt: skip


def prober(record: Record) -> int:
    """Return the process that takes the samples of a probe."""
    (state,) = Path(record.target.path, record.spec.id).glob("state.run.*")
    return int(state.name.split(".")[5])


def stop_between_samples(record: Record) -> int:
    """Stop the prober while none of its samples is under way; return it."""
    pid, sample = prober(record), Path(record.target.path, record.spec.id, "sample")
    deadline = time.monotonic() + 60
    while True:
        os.kill(pid, signal.SIGSTOP)
        if sample.read_text().startswith("0 0 "):
            return pid
        os.kill(pid, signal.SIGCONT)
        assert time.monotonic() < deadline
        time.sleep(0.1)


def seen(closed: ClosedWindow) -> Window:
    assert closed.window is not None, closed.not_proven
    return closed.window


def test_an_outage_is_seen_in_the_windows_in_which_it_was(
    real_run: RealRun, place: Callable[[str], Target], tmp_path: Path
) -> None:
    way = place("")
    way.transport = counting = Counting(way.transport)
    down, runner = tmp_path / "down", real_run.runner
    record = looking(real_run, way, down)
    before = runner.open_windows([record])
    around = runner.open_windows([record])
    takes(real_run, record, good=2)
    up = seen(*runner.close_windows(before))
    down.touch()
    within = runner.open_windows([record])
    takes(real_run, record, bad=2)
    bad = seen(*runner.close_windows(within))
    down.unlink()
    takes(real_run, record, good=2)
    all_of_it = seen(*runner.close_windows(around))
    assert (up.outages, up.bad) == ((), 0)
    assert bad.bad >= 2
    assert (bad.outage_count, all_of_it.outage_count) == (1, 1)
    assert bad.longest_outage_s <= all_of_it.longest_outage_s < all_of_it.length
    assert bad.longest_outage_s <= bad.length
    assert all_of_it.samples >= up.samples + bad.samples
    # Two calls a window, and one for each look between them.
    assert counting.calls.count("open") == counting.calls.count("close") == 3
    record.target.transport = counting
    runner.cancel(record)
    result = real_run.result(record)
    assert result.state is State.STOPPED
    assert result.window is not None
    assert (result.window.outage_count, result.window.outages[0].rc) == (1, 7)
    assert result.window.samples >= all_of_it.samples


def test_lost_replies_change_nothing_of_what_is_seen(
    real_run: RealRun, place: Callable[[str], Target], tmp_path: Path
) -> None:
    record = looking(real_run, place(""), tmp_path / "down")
    takes(real_run, record, good=1)
    way, runner = record.target.transport, real_run.runner
    record.target.transport = opening = Counting(way, lose=2)
    windows = runner.open_windows([record])
    assert not windows[0].not_proven
    record.target.transport = way
    takes(real_run, record, good=2)
    record.target.transport = closing = Counting(way, lose=2)
    window = seen(*runner.close_windows(windows))
    record.target.transport = way
    assert opening.calls.count("open") > 1
    assert closing.calls.count("close") > 1
    # The time of the first call that was heard counts, and it is closed once.
    assert seen(*runner.close_windows(windows)) == window
    assert window.good == window.samples >= 2
    assert window.unproven_s == 0


def test_the_probes_of_all_targets_are_asked_by_one_call_each_and_by_many_threads(
    real_run: RealRun, place: Callable[[str], Target], tmp_path: Path
) -> None:
    ways = [place("one"), place("two")]
    down, runner = tmp_path / "down", real_run.runner
    records = [looking(real_run, way, down, name) for way in ways for name in ("p", "q")]
    for way in ways:
        way.transport = Counting(way.transport)
    closed: list[ClosedWindow] = []

    def watch() -> None:
        windows = runner.open_windows(records)
        time.sleep(0.5)
        closed.extend(runner.close_windows(windows))

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(closed) == 12
    assert len({window.opened.id for window in closed}) == 12
    assert all(seen(window).length >= 0.5 for window in closed)
    assert all(seen(window).samples == seen(window).good > 0 for window in closed)
    for way in ways:
        assert isinstance(way.transport, Counting)
        assert way.transport.calls.count("open") == way.transport.calls.count("close") == 3


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_a_prober_that_is_stopped_proves_nothing_until_it_goes_on(
    real_run: RealRun, place: Callable[[str], Target], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(watching, "LAST_SAMPLE_S", 1)
    record = looking(real_run, place(""), tmp_path / "down", every=1, timeout=1)
    runner = real_run.runner
    windows = runner.open_windows([record, record])
    takes(real_run, record, good=1)
    pid = stop_between_samples(record)
    try:
        (stuck,) = runner.close_windows(windows[:1])
        assert stuck.window is None
        assert stuck.not_proven == "its prober was stopped or is stuck"
        assert record.result is None
        begun = life(real_run, record).length
        time.sleep(1.5)  # what the gap has to be longer than
    finally:
        os.kill(pid, signal.SIGCONT)
    takes(real_run, record, good=1)
    window = seen(*runner.close_windows(windows[1:]))
    assert window.gap_count == 1
    assert window.unproven_s > 1
    assert window.length > begun
    assert re.match(r"no sample was taken for \d+\.\d\d s, \d", window.why_not_proven)


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_a_prober_that_is_killed_proves_nothing_but_what_it_had_seen_is_kept(
    real_run: RealRun, place: Callable[[str], Target], tmp_path: Path
) -> None:
    record = looking(real_run, place(""), tmp_path / "down")
    runner = real_run.runner
    windows = runner.open_windows([record])
    takes(real_run, record, good=2)
    os.kill(prober(record), signal.SIGKILL)
    (closed,) = runner.close_windows(windows)
    assert closed.window is None
    assert closed.not_proven.startswith("it has ended: lost; its supervisor was killed")
    result = real_run.result(record)
    assert result.state is State.LOST
    assert result.window is not None
    assert result.window.good >= 2
    (again,) = runner.open_windows([record])
    assert again.not_proven.startswith("it has ended: lost")


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_a_command_that_is_not_there_is_no_outage_but_nothing_that_was_seen(
    real_run: RealRun, place: Callable[[str], Target], tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    record = real_run.watching(place(""), [str(tool)], every=0.2)
    takes(real_run, record, good=1)
    windows = real_run.runner.open_windows([record])
    tool.unlink()
    assert wait_until(lambda: life(real_run, record).gap_count > 0, 60)
    (closed,) = real_run.runner.close_windows(windows)
    window = seen(closed)
    assert (window.bad, window.outages, window.gap_count) == (0, (), 1)
    assert window.why_not_proven
    directory = Path(record.target.path, record.spec.id)
    assert str(tool).encode() in (directory / "err").read_bytes()


def test_the_end_of_a_run_stops_its_probes_and_keeps_what_they_have_seen(
    real_run: RealRun, place: Callable[[str], Target], tmp_path: Path
) -> None:
    down = tmp_path / "down"
    down.touch()
    record = looking(real_run, place(""), down)
    takes(real_run, record, bad=1)
    runner = real_run.runner
    real_run.targets = []
    assert runner.close([record.target], ask_about=[record]) == []
    assert record.result is not None
    assert record.result.state is State.STOPPED
    window = record.result.window
    assert window is not None
    assert (window.good, window.outage_count) == (0, 1)
    assert window.outages[0].last_line == "refused"
