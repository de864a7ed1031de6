"""A block of a test in which a probe is watched: ``with vip.window() as seen:``."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from ..clocks import unix_s
from ..errors import NotProven, WrongUse
from ..tasks import Probe
from ..windows import Gap, Outage, Window
from .records import Record
from .runner import Runner
from .uses import Use, User
from .watching import ClosedWindow, OpenWindow


class WindowBlock:
    """A context manager: it opens a window of a probe, and closes it at its end.

    Behind that its attributes are those of a :class:`Window`; before, they raise
    :class:`WrongUse`. Reading one of them judges the window. It is used once.
    """

    # Also of a block that could not be made.
    _note_never_entered: Callable[[], None] | None = None

    def __init__(
        self,
        runner: Runner,
        record: Record,
        probe: Probe,
        user: User,
        wait: Callable[[], object],
    ) -> None:
        """``wait``: waits for the probe's first sample, or its end."""
        self._runner = runner
        self._record = record
        self._probe = probe
        self._user = user
        self._wait = wait
        self._title = f"{probe.title} on {record.target.label}"
        self._entered = self._left = False
        self._opened: OpenWindow | None = None
        self._closed: ClosedWindow | None = None
        self._note_never_entered = user.if_never_entered(
            f"{self._title}: a window has not been opened: it is when its block is entered, as in"
            f" 'with {probe.name}.window() as seen:'"
        )

    def __repr__(self) -> str:
        state = "closed" if self._left else "open" if self._entered else "not opened"
        return f"<window of {self._title}: {state}>"

    def __del__(self) -> None:
        if self._note_never_entered is not None:
            self._note_never_entered()

    def __bool__(self) -> bool:
        """Refuse to be true or false: ``assert seen`` would hold whatever was seen."""
        __tracebackhide__ = True
        raise WrongUse(
            f"{self._title}: a window is neither true nor false: look at what it has seen, as in"
            " 'assert seen.max_outage_s < 2'"
        )

    def __enter__(self) -> WindowBlock:
        __tracebackhide__ = True
        self._note_never_entered = None
        if self._entered:
            raise WrongUse(f"{self._title}: a window is used once: call window() for each")
        self._entered = True
        if self._user.runs_tests:
            self._wait()
            (self._opened,) = self._runner.open_windows([self._record])
            if self._opened.not_proven:
                self._left = True
                self._take(ClosedWindow(self._opened, unix_s(), None, self._opened.not_proven))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._left = True
        if self._opened is None or (error is not None and self._user.ends_run(error)):
            return
        (closed,) = self._runner.close_windows([self._opened])
        self._take(closed, error)

    def _take(self, closed: ClosedWindow, error: BaseException | None = None) -> None:
        """Take what became of the window. Raises NotProven if nothing is known of it, unless an
        error leaves the block already."""
        __tracebackhide__ = True
        self._closed = closed
        self._user.note_window(closed)
        if error is None and (closed.window is None or not closed.window.samples):
            self._user.note_use(self._record, Use.WINDOW)
            raise NotProven(self._not_proven)

    @property
    def _not_proven(self) -> str:
        """What people read if it is not known what happened in all of the window; else empty."""
        if self._closed is None:
            why = "its block was left before it could be closed"
        elif self._closed.window is None:
            why = self._closed.not_proven
        else:
            why = self._closed.window.why_not_proven
            if not self._closed.window.samples:
                why += f", and every={self._probe.every_s:g}"
        return why and f"{self._title}: not proven: {why}"

    def _seen(self) -> Window:
        """Return what was seen. Raises WrongUse before the block's end, and NotProven if nobody
        knows."""
        __tracebackhide__ = True
        if not self._entered:
            self._note_never_entered = None
            raise WrongUse(
                f"{self._title}: the window has not been opened: enter its block, as in"
                f" 'with {self._probe.name}.window() as seen:'"
            )
        if not self._left:
            raise WrongUse(
                f"{self._title}: the window is still open: what was seen in it can be read when its"
                " block is left"
            )
        self._user.note_use(self._record, Use.WINDOW)
        if self._closed is None or self._closed.window is None:
            raise NotProven(self._not_proven)
        return self._closed.window

    def _proven(self) -> Window:
        """Return what was seen, if that is all of the window. Raises NotProven, too."""
        __tracebackhide__ = True
        window = self._seen()
        if window.why_not_proven:
            raise NotProven(self._not_proven)
        return window

    @property
    def max_outage_s(self) -> float:
        """The length of the longest outage, 0.0 if there was none.

        Raises :class:`NotProven` if there was a gap, or no sample: then nobody knows.
        """
        __tracebackhide__ = True
        return self._proven().max_outage_s

    @property
    def available(self) -> float:
        """Percent of the time that was in no outage. Raises :class:`NotProven` as above."""
        __tracebackhide__ = True
        return self._proven().available

    @property
    def outages(self) -> tuple[Outage, ...]:
        """The outages in their order: the first 100, and the longest."""
        __tracebackhide__ = True
        return self._seen().outages

    @property
    def outage_count(self) -> int:
        """How many outages there were."""
        __tracebackhide__ = True
        return self._seen().outage_count

    @property
    def down_s(self) -> float:
        """The seconds that all outages took together."""
        __tracebackhide__ = True
        return self._seen().down_s

    @property
    def samples(self) -> int:
        """How many samples were taken, those under way at the window's edges among them."""
        __tracebackhide__ = True
        return self._seen().samples

    @property
    def good(self) -> int:
        """How many samples were good."""
        __tracebackhide__ = True
        return self._seen().good

    @property
    def bad(self) -> int:
        """How many samples were bad."""
        __tracebackhide__ = True
        return self._seen().bad

    @property
    def length(self) -> float:
        """The seconds from the window's beginning to its end, by the target's clock."""
        __tracebackhide__ = True
        return self._seen().length

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The times of which no sample tells, in their order: the first 100, and the longest."""
        __tracebackhide__ = True
        return self._seen().gaps

    @property
    def gap_count(self) -> int:
        """How many gaps there were."""
        __tracebackhide__ = True
        return self._seen().gap_count

    @property
    def unproven_s(self) -> float:
        """The seconds that all gaps took together."""
        __tracebackhide__ = True
        return self._seen().unproven_s

    @property
    def resolution_s(self) -> float:
        """The longest time from the start of one sample to that of the next, gaps apart: a shorter
        outage may have been missed."""
        __tracebackhide__ = True
        return self._seen().resolution_s
