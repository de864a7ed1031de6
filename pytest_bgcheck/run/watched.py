"""The windows of a test's probes: what they have seen during its body. Imported on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..clocks import unix_s
from ..events import WindowClosed
from ..marks import Awaited
from ..report import text
from ..target.watching import ClosedWindow, OpenWindow
from .session import Session
from .standing import verdict
from .verdicts import AwaitedJobs


class BodyWindows:
    """The windows of one run of a test's body. They are opened when this is made."""

    def __init__(self, session: Session, test: str, awaited: AwaitedJobs) -> None:
        self._session = session
        self._test = test
        self._closed: Sequence[ClosedWindow] = ()
        probes = [record for record in awaited.running if record.probe is not None]
        self._open: Sequence[OpenWindow] = session.runner.open_windows(probes) if probes else ()

    def not_opened(self, awaited: AwaitedJobs) -> dict[str, text.Verdict]:
        """Return the verdicts of the probes whose windows could not be opened, by their keys; then
        the others' are closed, for no body runs in them."""
        failed = [window for window in self._open if window.not_proven]
        if failed:
            opened = [window for window in self._open if not window.not_proven]
            if opened:
                self._session.runner.close_windows(opened)
            self._open, now = (), unix_s()
            self._closed = [
                ClosedWindow(window, now, not_proven=window.not_proven) for window in failed
            ]
        return self.verdicts(awaited)

    def close(self) -> None:
        """Close the windows, unless that was done."""
        windows, self._open = self._open, ()
        if windows:
            self._closed = self._session.runner.close_windows(windows)

    def verdicts(self, awaited: AwaitedJobs) -> dict[str, text.Verdict]:
        """Return how the probes stand whose windows are closed, by their keys."""
        now, keep = unix_s(), self._session.settings.keep
        found = {}
        for closed in self._closed:
            record = closed.opened.record
            mark = awaited.marks.get(awaited.running[record], Awaited())
            waited_s = awaited.waited_s.get(record.key, 0.0)
            found[record.key] = replace(
                verdict(record, mark, waited_s, now, keep),
                window=closed.window,
                limits=mark.limits,
                not_proven=closed.not_proven,
            )
        return found

    def events(self, verdicts: Mapping[str, text.Verdict]) -> list[WindowClosed]:
        """Return what the run is told of the closed windows whose verdicts are given."""
        return [
            WindowClosed(
                closed.opened.record.key,
                self._test,
                self._session.link.worker,
                closed.opened.opened_at,
                closed.closed_at,
                closed.window,
                said.limits,
                said.exceeded,
                said.why_not_proven,
            )
            for closed in self._closed
            if (said := verdicts.get(closed.opened.record.key)) is not None
        ]
