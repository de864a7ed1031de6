"""A thread for some work about jobs of a target, which must not leave them unsettled."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..model import State
from ..originals import threading
from .records import Record, Records, Target, log_internal_error


def in_thread(
    records: Records,
    target: Target,
    work: Callable[[], None],
    concerned: Callable[[], Iterable[Record]],
    *,
    failed: Callable[[], None] = lambda: None,
    over: Callable[[], None] = lambda: None,
) -> None:
    """Do some work for the jobs ``concerned`` in a daemon thread: one that is stuck is left behind.

    If it raises, or there is no thread, these jobs are unreachable, and ``failed`` is called. At
    the end ``over`` is called in any case. Both are called under the condition.
    """

    def settle(error: Exception) -> None:
        with records.changed:
            detail = log_internal_error(target, error)
            records.settle_all(concerned(), State.UNREACHABLE, detail)
            failed()

    def end() -> None:
        with records.changed:
            over()
            records.changed.notify_all()

    def guarded() -> None:
        try:
            work()
        except Exception as error:
            settle(error)
        finally:
            end()

    try:
        threading.Thread(target=guarded, name=f"bgcheck {target.label}", daemon=True).start()
    except RuntimeError as error:  # no more threads
        settle(error)
        end()
