"""A signal ends a run as Ctrl-C does, and cuts its end short while that is under way."""

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from pytest_bgcheck.run import signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Set Python's defaults before, and what was set before behind."""
    own = {number: signal.getsignal(number) for number in (signal.SIGINT, *signals.SIGNALS)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in signals.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in own.items():
        signal.signal(number, handler)


def in_a_thread(action: Callable[[], None]) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_interrupts_until_the_default_is_restored(number: signal.Signals) -> None:
    termination = signals.Termination()
    termination.install()
    with pytest.raises(signals.Terminated, match=number.name):
        signal.raise_signal(number)
    termination.restore()
    assert signal.getsignal(number) is signal.SIG_DFL


def test_handlers_of_others_are_left_alone() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    termination = signals.Termination()
    termination.install()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as the suite does later
    termination.restore()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_no_handler_is_set_from_another_thread_where_none_can_be() -> None:
    in_a_thread(signals.Termination().install)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, *signals.SIGNALS])
def test_a_signal_while_the_run_ends_makes_haste_and_raises_nothing(
    number: signal.Signals,
) -> None:
    termination = signals.Termination()
    termination.install()
    before = signal.getsignal(number)
    with signals.held():
        assert not signals.interrupted()
        signal.raise_signal(number)
        assert signals.interrupted()
    assert signal.getsignal(number) is before
    termination.restore()


def test_what_has_come_stays_known_where_signals_are_held_once_more() -> None:
    with signals.held():
        signal.raise_signal(signal.SIGINT)
        with signals.held():
            assert signals.interrupted()
        signal.raise_signal(signal.SIGINT)  # still held
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_handler_of_the_suites_counts_while_the_run_ends() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with signals.held():
        signal.raise_signal(signal.SIGTERM)
        assert not signals.interrupted()
    assert heard == [signal.SIGTERM]


def test_a_run_that_ends_in_another_thread_is_in_no_hurry() -> None:
    hurried: list[bool] = []

    def end() -> None:
        with signals.held():
            hurried.append(signals.interrupted())

    in_a_thread(end)
    assert hurried == [False]
