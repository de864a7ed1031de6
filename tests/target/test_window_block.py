"""A block in which a probe is watched, over a runner whose target answers from a script."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields

import pytest
from support.handle_user import HandleUser
from support.scripted_probe import WINDOW, Watched
from support.scripted_runs import RUN, check, probe, service, shorten_pauses
from support.scripted_transport import closed, ended, frame, ids_in

from pytest_bgcheck import Gap, Job, NotProven, State, Window, WrongUse
from pytest_bgcheck.errors import Unreachable
from pytest_bgcheck.target import watching
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.uses import Use
from pytest_bgcheck.target.window_block import WindowBlock

NOT_LISTED = {"available_at_least", "available_at_most", "longest_outage_s", "possible_outage_s"}
"""What only a mark asks a window for."""
ATTRIBUTES = sorted(
    {field.name for field in fields(Window)}
    | {name for name in vars(Window) if isinstance(vars(Window)[name], property)}
    - NOT_LISTED
    - {"why_not_proven"}
)


class User(HandleUser):
    """A user of handles, and the run of which they are."""

    def __init__(self) -> None:
        super().__init__(Runner(RUN), longest_s=30)
        self.transport = Watched()
        self.target = Target("host", "host", self.transport)

    def start(self, spec: Spec) -> Record:
        (record,) = self.runner.submit([(spec, self.target)])
        assert self.runner.wait_for(lambda: record.runs, [record], 30)
        return record

    def probe(self, ready: bool = True) -> tuple[Job, Record]:
        record = self.start(probe("vip"))
        if ready:
            self.runner.records.note_ready(record, 0.5)
        return Job(self.runner, record, self), record


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    shorten_pauses(monkeypatch)
    user = User()
    yield user
    user.runner.stop([user.target])  # else its waiter goes on


def test_a_window_is_opened_and_closed_with_its_block_and_has_what_a_window_has(
    user: User,
) -> None:
    job, _ = user.probe()
    with job.window() as seen:
        assert user.transport.asked == ["open"]
    assert user.transport.asked == ["open", "close"]
    for name in ATTRIBUTES:
        assert getattr(seen, name) == getattr(WINDOW, name)
    assert seen.max_outage_s == 1.0
    assert seen.available == pytest.approx(800 / 9)
    assert [closed.window for closed in user.windows] == [WINDOW]
    assert user.transport.asked == ["open", "close"]


def test_only_who_reads_what_was_seen_has_judged_the_window(user: User) -> None:
    job, _ = user.probe()
    with job.window() as seen:
        pass
    assert Use.WINDOW not in user.uses
    _ = seen.samples
    assert user.uses[-1] is Use.WINDOW
    assert not any(use.judges for use in user.uses)


def test_a_window_is_no_truth_that_could_be_asserted(user: User) -> None:
    job, _ = user.probe()
    with job.window() as seen:
        pass
    with pytest.raises(WrongUse, match="'vip' on host: a window is neither true nor false"):
        assert seen


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_inside_of_the_block_nothing_can_be_read(user: User, name: str) -> None:
    job, _ = user.probe()
    with job.window() as seen, pytest.raises(WrongUse, match="'vip' on host: the window is still"):
        getattr(seen, name)


def test_a_window_waits_for_the_first_sample(user: User) -> None:
    job, record = user.probe(ready=False)
    first = threading.Timer(0.1, user.runner.records.note_ready, [record, 0.5])
    first.start()
    with job.window() as seen:
        assert record.state is State.RUNNING
    assert seen.samples == 9


def test_a_window_is_used_once(user: User) -> None:
    job, _ = user.probe()
    window = job.window()
    assert repr(window) == "<window of background probe 'vip' on host: not opened>"
    with window:
        assert repr(window).endswith("open>")
        with pytest.raises(WrongUse, match="a window is used once"), window:
            pass
    assert repr(window).endswith("closed>")
    with pytest.raises(WrongUse, match="a window is used once"), window:
        pass
    assert window.samples == 9
    assert user.transport.asked == ["open", "close"]


def test_a_window_that_is_never_entered_is_told(user: User) -> None:
    job, _ = user.probe()
    window = job.window()
    with pytest.raises(WrongUse, match=r"not been opened: enter its block, as in 'with vip\.win"):
        _ = window.max_outage_s
    del window
    assert not user.never_entered, "the error says so"
    job.window()
    assert user.never_entered == [
        "background probe 'vip' on host: a window has not been opened: it is when its block is"
        " entered, as in 'with vip.window() as seen:'"
    ]


def not_proven(user: User, why: str) -> WindowBlock:
    """Watch for the length of a block, in vain; return the block."""
    job, _ = user.probe()
    window = job.window()
    why = f"background probe 'vip' on host: not proven: {why}"
    with pytest.raises(NotProven, match=f"^{why}$"), window:
        pass
    for name in ("max_outage_s", "available"):
        with pytest.raises(NotProven, match=f"^{why}$"):
            getattr(window, name)
    (told,) = user.windows
    assert told.not_proven or not told.window or not told.window.samples
    return window


def test_a_window_that_cannot_be_opened_is_not_proven_and_its_block_not_entered(
    user: User,
) -> None:
    user.transport.steps["open"] = [
        lambda request: frame(*(f"refused {id} too many" for id in ids_in(request)))
    ]
    window = not_proven(user, "too many")
    with pytest.raises(NotProven, match="too many"):
        _ = window.samples
    assert user.transport.asked == ["open"]
    assert Use.WINDOW in user.uses


def test_a_window_of_which_nobody_tells_is_not_proven(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ANSWER_S", 0.2)
    monkeypatch.setattr(watching, "LAST_SAMPLE_S", -60)
    user.transport.steps["close"] = [Unreachable("the line is cut")]
    window = not_proven(user, r"the line is cut \(\d+ (try|tries) in \d s\)")
    with pytest.raises(NotProven, match="the line is cut"):
        _ = window.outages


def test_a_window_without_a_sample_is_not_proven_and_says_how_often_one_is_taken(
    user: User,
) -> None:
    user.transport.steps["close"] = [closed("0 0 0 31 0 0 0 0 0")]
    window = not_proven(user, r"no sample was taken in 0\.31 s, and every=1")
    assert (window.samples, window.length) == (0, 0.31)


def test_a_window_with_a_gap_has_no_longest_outage_but_all_that_is_known(user: User) -> None:
    user.transport.steps["close"] = [closed("9 9 0 2000 0 400 101 0 1", "gap 700 400")]
    job, _ = user.probe()
    with job.window() as seen:
        pass
    assert (seen.gaps, seen.samples, seen.outages) == ((Gap(7.0, 4.0),), 9, ())
    for name in ("max_outage_s", "available"):
        with pytest.raises(NotProven, match="'vip' on host: not proven: no sample was"):
            getattr(seen, name)
    assert [closed.not_proven for closed in user.windows] == [""]


def test_what_a_block_raises_stays_and_the_window_is_closed_all_the_same(user: User) -> None:
    job, _ = user.probe()
    with pytest.raises(KeyError), job.window() as seen:
        raise KeyError
    assert seen.max_outage_s == 1.0
    user.transport.steps["close"] = [
        lambda request: frame(*(f"refused {id} stuck" for id in ids_in(request)))
    ]
    with pytest.raises(KeyError), job.window() as seen:
        raise KeyError
    with pytest.raises(NotProven, match=r"'vip' on host: not proven: stuck$"):
        _ = seen.max_outage_s
    assert [closed.not_proven for closed in user.windows] == ["", "stuck"]


def test_behind_an_interrupt_nothing_is_asked_any_more(user: User) -> None:
    job, _ = user.probe()
    with pytest.raises(KeyboardInterrupt), job.window() as seen:
        raise KeyboardInterrupt
    assert user.transport.asked == ["open"]
    assert not user.windows
    with pytest.raises(NotProven, match="its block was left before it could be closed"):
        _ = seen.samples


def test_windows_can_overlap(user: User) -> None:
    job, _ = user.probe()
    with job.window() as outer:
        with job.window() as inner:
            pass
        assert inner.samples == 9
        with pytest.raises(WrongUse, match="still open"):
            _ = outer.samples
    assert outer.samples == 9
    assert len({closed.opened.id for closed in user.windows}) == 2


def test_the_window_of_a_probe_that_has_ended_says_how(user: User) -> None:
    job, record = user.probe()
    user.transport.steps["await"] = [ended("timeout.5.1.0.x")]
    user.runner.prove([record])
    with pytest.raises(NotProven, match="not proven: it has ended: timed out"), job.window():
        pass
    assert "open" not in user.transport.calls


def test_a_probe_that_ends_before_its_first_sample_has_no_window(user: User) -> None:
    job, record = user.probe(ready=False)
    user.transport.steps["await"] = [ended("refused.cwd")]
    ending = threading.Timer(0.1, user.runner.prove, [[record]])
    ending.start()
    with pytest.raises(NotProven, match="it has ended: not started; its directory"), job.window():
        pass


def test_in_a_mode_that_runs_no_test_nothing_is_asked(user: User) -> None:
    job, _ = user.probe()
    user.runs_tests = False
    with job.window() as seen:
        pass
    assert not user.transport.asked
    with pytest.raises(NotProven):
        _ = seen.samples


# --- the handle of a probe ------------------------------------------------------------------------


def test_what_waits_for_an_end_says_that_a_probe_lives(user: User) -> None:
    job, record = user.probe(ready=False)
    with pytest.raises(WrongUse, match="'vip' on host is still starting: tail"):
        _ = job.stdout
    user.runner.records.note_ready(record, 0.5)
    assert (job.state, job.done()) == ("running", False)
    for read in (job.result, lambda: job.rc, lambda: job.failed):
        with pytest.raises(WrongUse, match="background probe 'vip' on host still runs: tail"):
            read()


def test_a_probe_is_stopped_and_cancelled_as_a_service(user: User) -> None:
    for number, end in enumerate(("stop", "cancel")):
        record = user.start(probe(f"p{number}"))
        user.runner.records.note_ready(record, 0.5)
        job = Job(user.runner, record, user)
        user.transport.steps["cancel"] = [frame()]
        threading.Timer(
            0.1, user.runner.records.settle_all, [[record], State.CANCELLED, ""]
        ).start()
        getattr(job, end)()
        assert job.result().state is State.STOPPED


def test_only_a_probe_has_windows_and_it_is_no_service(user: User) -> None:
    vip, _ = user.probe()
    uses: dict[str, Callable[[], object]] = {
        "ready": lambda: vip.ready, "wait_ready()": vip.wait_ready,
    }  # fmt: skip
    for asked, use in uses.items():
        said = f"'vip' on host is no service, and has no {asked}: stop() ends it, tail() is its"
        with pytest.raises(WrongUse, match=re.escape(said)):
            use()
    for spec, has in ((service(), r"stop\(\) ends it"), (check(), r"result\(\) waits for its end")):
        job = Job(user.runner, user.start(spec), user)
        with pytest.raises(WrongUse, match=rf"is no probe, and has no window\(\): {has}"):
            job.window()
