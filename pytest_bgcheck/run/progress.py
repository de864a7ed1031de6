"""What the terminal shows while tests wait: a live line on a tty, now and then a line elsewhere.

Tests' output is captured while we have something to say, and pytest writes a line of its own. So:

- In the only process the main thread writes everything: between tests, and while it waits. Then
  the capture is off for that moment, as with pytest's live log.
- On an xdist controller no test runs and nothing is captured, but the main thread is in xdist's
  loop. A thread of our own writes, under a lock that is also held while pytest writes its reports.

The live line is below pytest's line, and the cursor goes back to where pytest left it. So the live
line is removed by clearing what is behind the cursor, and whoever else writes does so at the right
place. It is shown only while a test waits: at other times the terminal may be a debugger's.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Generator, Sequence

import pytest

from ..clocks import unix_s
from ..compat.pytest import begin_line, begins_lines, capture_off, end_line, terminal_file
from ..events import Event, JobEnded, JobReady, JobStarted, WindowClosed
from ..ledger import JobEntry, Ledger
from ..report import live
from ..report.probe_text import closed_line, verdict

LEAST_WAIT_S = 0.4
"""A test that waits less is not worth a line."""

REDRAW_S = 0.5
PLAIN_EVERY_S = 30.0
LEAST_COLUMNS = 20

# Room below (scroll if need be), remember the place, go down and write, go back.
DRAW = "\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K{}\x1b8"
ERASE = "\x1b[J"


class Progress:
    """A plugin beside the terminal's reporter. ``only_process``: there are no xdist workers."""

    def __init__(
        self,
        config: pytest.Config,
        reporter: pytest.TerminalReporter,
        ledger: Ledger,
        only_process: bool,
    ) -> None:
        self._config = config
        self._reporter = reporter
        self._writer = config.get_terminal_writer()
        self._file = terminal_file(config)
        self._ledger = ledger
        self._only_process = only_process
        self._verbose = config.get_verbosity() > 0
        dumb = os.environ.get("TERM", "dumb") == "dumb"
        self._live = bool(reporter.isatty) and not dumb  # in pytest 8 it is no method
        self._lock = threading.RLock()
        self._changes: list[JobStarted | JobReady | JobEnded | WindowClosed] = []
        self._noted: set[tuple[type[Event], str]] = set()
        self._test: tuple[str, tuple[str, int | None, str]] | None = None
        self._line_is_shown = False
        self._last_plain_at = -math.inf
        self._quiet_until = -math.inf
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        ledger.listeners.append(self._note)

    # --- what happens -------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        """Note an event; called by any thread, under the ledger's lock."""
        if self._thread is None and not self._only_process and not self._closed.is_set():
            self._thread = threading.Thread(
                target=self._show_regularly, name="bgcheck-progress", daemon=True
            )
            self._thread.start()
        match event:
            case JobStarted(key=key) | JobReady(key=key) | JobEnded(key=key) if self._verbose:
                if (type(event), key) not in self._noted:
                    self._noted.add((type(event), key))
                    self._changes.append(event)
            case WindowClosed() if self._verbose:
                self._changes.append(event)

    def idle(self) -> float:
        """Show how the run stands while a test waits; return in how many seconds to do so again."""
        now = unix_s()
        with self._screen():
            self._write_changes()
            jobs = self._ledger.known_jobs()
            begun = [wait.began_at for wait, _ in live.open_waits(jobs)]
            if not begun or now < self._quiet_until:
                self._erase()
            elif self._live:
                if now - min(begun) >= LEAST_WAIT_S:
                    self._draw(jobs, now)
            elif now - max(min(begun), self._last_plain_at) >= PLAIN_EVERY_S:
                self._last_plain_at = now
                self._write([(live.log_line(jobs, now), {})])
        return REDRAW_S if self._live or self._verbose else min(REDRAW_S, PLAIN_EVERY_S)

    def wait_is_over(self) -> None:
        """Remove the live line before a test goes on, and tell which services are ready: a body
        that uses these may take long.

        Not as a listener of the ledger: whoever has the screen asks the ledger, and under its lock
        nobody may wait for the screen.
        """
        now_ready = any(isinstance(change, JobReady) for change in self._changes)
        if self._line_is_shown or now_ready:
            with self._screen():
                self._erase()
                if now_ready:
                    self._write_changes()

    def write_last(self, line: str) -> None:
        """Write a line of its own; show no live line from now on."""
        with self._screen():
            self._quiet_until = math.inf
            self._test = None
            self._write([(line, {})])

    def _show_regularly(self) -> None:
        while not self._closed.wait(REDRAW_S):
            self.idle()

    def close(self) -> None:
        """Remove the live line, write what is left, and show nothing from now on."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(REDRAW_S)
        with self._screen():
            self._erase()
            self._test = None
            self._write_changes()
            self._verbose = self._live = False

    # --- between tests ------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(
        self, nodeid: str, location: tuple[str, int | None, str]
    ) -> Generator[None, object, object]:
        with self._screen():
            self._erase()
            self._test = None
            self._write_changes(before_test=True)
            result = yield
            self._test = (nodeid, location) if self._only_process else None
            return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, object, object]:
        with self._screen():
            self._erase()
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, object, object]:
        with self._screen():
            self._erase()
            self._test = None
            return (yield)

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self) -> None:
        with self._screen():
            self._erase()
            self._quiet_until = unix_s() + 1  # xdist writes now, outside of all hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        with self._screen():
            self._erase()

    # --- the terminal, always under the lock --------------------------------------------------

    @contextlib.contextmanager
    def _screen(self) -> Generator[None, None, None]:
        """Have the terminal for ourselves, and not what the test's output goes to."""
        with (
            self._lock,
            capture_off(self._config) if self._only_process else contextlib.nullcontext(),
        ):
            yield

    def _draw(self, jobs: Sequence[JobEntry], now: float) -> None:
        try:
            columns = os.get_terminal_size(self._file.fileno()).columns - 1
        except (OSError, ValueError):
            return
        if columns >= LEAST_COLUMNS:
            line = live.status_line(jobs, now, columns)
            # Encoded first: what the terminal has no letter for takes more columns.
            fitting = live.fit(self._encodable(line), columns)
            self._write_raw(DRAW.format(self._writer.markup(fitting, cyan=True)))
            self._line_is_shown = True

    def _erase(self) -> None:
        if self._line_is_shown:
            self._line_is_shown = False
            self._write_raw(ERASE)

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _write_raw(self, text: str) -> None:
        # Not by the writer, which counts columns.
        try:
            self._writer.flush()
            self._file.write(text)
            self._file.flush()
        except OSError:  # the terminal is gone: a test that waits need not fail for it
            self._live = False

    def _write_changes(self, before_test: bool = False) -> None:
        """Write what has started, is ready and has ended."""
        events, self._changes = self._changes, []
        texts: list[tuple[str, dict[str, bool]]] = []
        for event in events:
            job = self._ledger.jobs[event.key]
            if isinstance(event, JobStarted):
                texts.append((live.started(job), {}))
            elif isinstance(event, JobReady):
                texts.append((live.ready(job), {}))
            elif isinstance(event, WindowClosed):
                texts.append(
                    (closed_line(job, event), {} if verdict(event).good else {"red": True})
                )
            else:
                texts.append((live.ended(job), {"red": True} if job.bad else {}))
        if texts:
            self._write(texts, before_test)

    def _write(self, lines: list[tuple[str, dict[str, bool]]], before_test: bool = False) -> None:
        """Write lines of their own, and then what pytest's line began with, unless it does that."""
        reporter, writer = self._reporter, self._writer
        self._erase()
        if writer.width_of_current_line:
            writer.line()
        end_line(reporter)
        for text, markup in lines[:-1]:
            writer.line(text, **markup)
        # Where pytest begins its next line with a newline, that ends the last of ours.
        text, markup = lines[-1]
        writer.write(text, **markup)
        begins = begins_lines(reporter)
        if begins and self._test is not None:
            begin_line(reporter, *self._test)
        elif not (begins and before_test):
            writer.line()
        writer.flush()
