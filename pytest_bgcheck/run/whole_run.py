"""What there is once in a run, however many processes it has: in the only one, or on the xdist
controller. The sessions tell its ledger what they see; the end of the run reads it.
"""

from __future__ import annotations

import math

import pytest

from ..compat.pytest import own_reporter
from ..ledger import Ledger
from ..options import Settings, only_looks
from ..plan import Durations
from ..report import live
from ..report.figures import Figures, Run
from . import durations
from .announce import Announcer
from .outcomes import Outcomes
from .progress import Progress
from .signals import Terminated, Termination


class WholeRun:
    """The ledger of a run, and what the end tells beside it.

    ``unexpected``: what could not be noted, ``not_cleaned_up``: what may be left on a target,
    ``kept``: where ``--bgcheck-keep`` has left files; a line each. ``ended_session``: whose
    end has closed it; ``facts`` and ``figures`` are there from then on, if tests were to be run.
    ``stopped_by``: what was raised to stop the run, if that was neither a test nor the last one.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, started_at: float, only_process: bool
    ) -> None:
        self.settings = settings
        self.started_at = started_at
        self.ledger = Ledger()
        self.unexpected: list[str] = []
        self.not_cleaned_up: list[str] = []
        self.kept: list[str] = []
        self.runs_tests = not only_looks(config)
        self.ended_session: pytest.Session | None = None
        self.facts: Run | None = None
        self.figures: Figures | None = None
        self.summary_written = False
        self.termination = Termination()
        self.cache = getattr(config, "cache", None)  # none with -p no:cacheprovider
        self.outcomes = Outcomes(self.ledger)
        self.announcer = Announcer(config, self.ledger)
        self.progress: Progress | None = None
        self.stopped_by: type[BaseException] | None = None
        self._end_told = False
        self._config = config
        self._only_process = only_process

    def begin(self) -> None:
        """Take part in pytest's hooks from now on. Called by the main thread, once."""
        config, manager = self._config, self._config.pluginmanager
        manager.register(self.outcomes, "bgcheck-outcomes")
        manager.register(self.announcer, "bgcheck-announcer")
        manager.register(self, "bgcheck-whole-run")
        reporter = own_reporter(config)
        if reporter is not None and config.get_verbosity() >= 0 and self.runs_tests:
            self.progress = Progress(config, reporter, self.ledger, self._only_process)
            manager.register(self.progress, "bgcheck-progress")

    def durations(self) -> Durations:
        """Return how long the jobs of earlier runs took."""
        return durations.read(self.cache)

    def idle(self) -> float:
        """Use the time in which a test of this process waits; return when to do so again."""
        self.announcer.call_hooks()
        return math.inf if self.progress is None else self.progress.idle()

    def wait_is_over(self) -> None:
        """Show no longer that a test of this process waits: it goes on."""
        if self.progress is not None:
            self.progress.wait_is_over()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.stopped_by = excinfo.type

    def tell_end(self, at_once: bool) -> None:
        """Say once that the end has begun, and what it does; ``at_once``: only after a signal."""
        by_key = self.stopped_by is KeyboardInterrupt
        by_signal = by_key or self.stopped_by is Terminated
        jobs = [job for job in self.ledger.known_jobs() if not job.held_back]
        if self._end_told or not jobs or not self.runs_tests:
            return
        if at_once and (not by_signal or not any(job.may_run for job in jobs)):
            return
        self._end_told = True
        line = live.ending(jobs, again=by_key)
        reporter = own_reporter(self._config)
        if self.progress is not None:
            self.progress.write_last(line)
        elif reporter is not None:
            writer = self._config.get_terminal_writer()
            if writer.width_of_current_line:
                writer.line()
            reporter.write_line(line, flush=True)
