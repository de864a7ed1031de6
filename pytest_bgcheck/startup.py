"""Makes what stands behind the hooks: the session of background checks of a pytest session, its
link, and what there is once in a run; and registers what these have pytest call.

What a suite does not use is not imported, as `plugin` says.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from . import options
from .clocks import unix_s
from .run import SESSION
from .suite import nodes_of

if TYPE_CHECKING:
    from .run.link import Link
    from .run.session import Session
    from .run.whole_run import WholeRun
    from .workers.controller import Controller

WHOLE_RUN: pytest.StashKey[WholeRun] = pytest.StashKey()
COLLECTED_ITEMS: pytest.StashKey[list[pytest.Item] | None] = pytest.StashKey()
STARTED_AT: pytest.StashKey[float] = pytest.StashKey()
CONTROLLER: pytest.StashKey[Controller] = pytest.StashKey()


def session_of(config: pytest.Config) -> Session | None:
    """Return the session of background checks of a pytest session, None if there is none yet."""
    return config.stash.get(SESSION, None)


def worker_input_of(config: pytest.Config) -> Mapping[str, Any] | None:
    """Return what the controller has told this process, None if this is no worker."""
    from .compat.xdist import worker_input

    return worker_input(config)


def _uses_checks(config: pytest.Config, items: Sequence[pytest.Item]) -> bool:
    """Return whether any item has to do with background checks."""
    # Where nobody has imported it, nothing can be declared.
    if f"{__package__}.suite.declaration" in sys.modules:
        from .suite.declaration import visible_declarations
        from .suite.unreachable import unreachable_messages

        if any(visible_declarations(config, items)) or any(unreachable_messages(config, items)):
            return True
    if any("bgcheck" in getattr(item, "fixturenames", ()) for item in items):
        return True
    return any(mark.name == "bgcheck" for node in nodes_of(items) for mark in node.own_markers)


def collect(session: pytest.Session) -> Session | None:
    """Find out which jobs the items want; return the session, None if they want none.

    Raises pytest.UsageError.
    """
    config, items = session.config, session.items
    ours = session_of(config)
    if (
        COLLECTED_ITEMS not in config.stash
        or CONTROLLER in config.stash
        or config.stash[COLLECTED_ITEMS] == items
    ):
        return ours  # collection has failed, is done by workers, or these items are known
    config.stash[COLLECTED_ITEMS] = list(items)
    if ours is None:
        if not _uses_checks(config, items):
            settings = options.from_config(config)
            if settings.reports and WHOLE_RUN not in config.stash and not worker_input_of(config):
                _new_whole_run(config, settings)
            return None
        ours = new_session(session)
    try:
        ours.collection.collect(items)
    except pytest.UsageError as error:
        from .run.messages import WrongSuite

        ours.link.tell(WrongSuite(str(error)))
        raise
    if session_of(config) is None:
        register(ours)
    return ours


def new_session(session: pytest.Session) -> Session:
    from .run.session import Session

    settings = options.from_config(session.config)
    return Session(session, settings, _link(session.config, settings))


def register(ours: Session) -> None:
    """Make this the session of background checks of the pytest session."""
    from .run import forked

    ours.config.stash[SESSION] = ours
    ours.config.pluginmanager.register(ours.requested_fixtures, "bgcheck-requested-fixtures")
    ours.on_fork = lambda: _leave_to_parent(ours.config)
    forked.watch(ours)


def _leave_to_parent(config: pytest.Config) -> None:
    """In a forked child: leave what there is once in a run to the parent."""
    if WHOLE_RUN in config.stash:
        del config.stash[WHOLE_RUN]
    for name in ("outcomes", "announcer", "whole-run", "progress"):
        if config.pluginmanager.has_plugin(f"bgcheck-{name}"):
            config.pluginmanager.unregister(name=f"bgcheck-{name}")


def start(ours: Session) -> None:
    """Start the planned jobs, and from now on whatever is asked for."""
    # Not by the first test that waits: what a test imports while it fakes files is thrown away.
    from .run import verdicts  # noqa: F401

    whole_run = ours.config.stash.get(WHOLE_RUN, None)
    if whole_run is not None:
        whole_run.termination.install()
    from .run.failed_uses import FailedUses

    ours.config.pluginmanager.register(FailedUses(ours), "bgcheck-failed-uses")
    ours.start_planned()


def _link(config: pytest.Config, settings: options.Settings) -> Link:
    """Return the session's link to the run's ledger, which is here unless this is a worker."""
    worker_input = worker_input_of(config)
    if worker_input is not None:
        from .compat.xdist import too_old
        from .run.messages import WrongSuite
        from .workers.worker import WorkerLink

        link = WorkerLink(worker_input)
        reason = too_old()
        if reason:
            link.tell(WrongSuite(reason))
            raise pytest.UsageError(reason)
        return link
    from .run.link import LocalLink

    whole = config.stash.get(WHOLE_RUN, None) or _new_whole_run(config, settings)
    return LocalLink(
        whole.ledger, whole.durations(), whole.idle, whole.wait_is_over, whole.unexpected.append
    )


def _new_whole_run(config: pytest.Config, settings: options.Settings) -> WholeRun:
    whole_run = make_whole_run(config, settings, only_process=True)
    begin(config, whole_run)
    return whole_run


def make_whole_run(
    config: pytest.Config, settings: options.Settings, *, only_process: bool
) -> WholeRun:
    from .run.whole_run import WholeRun

    started_at = config.stash.get(STARTED_AT, None) or unix_s()
    return WholeRun(config, settings, started_at, only_process)


def begin(config: pytest.Config, whole_run: WholeRun) -> None:
    """Have what there is once in a run, from now on."""
    config.stash[WHOLE_RUN] = whole_run
    whole_run.begin()
