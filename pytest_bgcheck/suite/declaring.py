"""``background_check``, ``background_service``, ``background_probe``: a declaration, which is a
fixture of its name.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from ..arguments import (
    CHECK_ROWS,
    PROBE_ROWS,
    SERVICE_ROWS,
    CheckArguments,
    Command,
    CommandMaker,
    ProbeArguments,
    ServiceArguments,
    place_of,
)
from ..compat.pytest import is_of_pytest, runs_test
from ..errors import WrongUse
from ..signatures import show_arguments
from ..tasks import Check, Probe, Service, Task
from . import DECLARED_JOB
from .declaration import KEY, SITES, Declaration, DeclarationSite

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..target.job import Job, JobsOnHosts

NOT_LOADED = (
    "the plugin pytest-bgcheck is not loaded, so nothing was started and no mark waits: run without"
    " -p no:bgcheck, and with PYTEST_DISABLE_PLUGIN_AUTOLOAD add -p pytest_bgcheck.plugin"
)


@show_arguments(CHECK_ROWS, CheckArguments)
def background_check(
    command: Command | CommandMaker | None = None,
    *surplus: NoReturn,
    name: str | None = None,
    host: str | Sequence[str] | None = None,
    **arguments: Unpack[CheckArguments],
) -> Any:
    """Declare a check that runs in the background on its target, and a fixture of its name.

    Assign it at module level of a conftest or a test module; the check has the variable's name
    unless ``name`` is given. The fixture's value is the :class:`Job` on the test's host; with a
    sequence of hosts, a mapping from each hostspec to the job there. A wrong value is a
    ``pytest.UsageError`` at collection, before anything is started.

    :param command: a string for the target's ``/bin/sh -c``, or a sequence: one argv, quoted; or a
        function that returns one of these: it is called with testinfra's Host when the job starts.
    :param name: another name than the variable's.
    :param host: a testinfra hostspec such as ``"ssh://db1"``, or a sequence of them for a job on
        each; default: the awaiting test's host.
    """
    __tracebackhide__ = True  # pytest would show the arguments, and ``env`` may be secret
    return _declare(Check, name, command, surplus, host, arguments)


@show_arguments(SERVICE_ROWS, ServiceArguments)
def background_service(
    command: Command | CommandMaker | None = None,
    *surplus: NoReturn,
    name: str | None = None,
    host: str | Sequence[str] | None = None,
    **arguments: Unpack[ServiceArguments],
) -> Any:
    """Declare a service that runs on its target until the run ends, and a fixture of its name.

    A test whose mark names it waits until the service is ready, and fails if it is not, or if it
    has died when the test's body is over. It is assigned, found and started as a check is, see
    :func:`background_check`; so are its fixture and its hosts.

    :param command: as for :func:`background_check`: what runs until it is ended.
    :param name: another name than the variable's.
    :param host: a testinfra hostspec such as ``"ssh://db1"``, or a sequence of them for a job on
        each; default: the awaiting test's host.
    """
    __tracebackhide__ = True
    return _declare(Service, name, command, surplus, host, arguments)


@show_arguments(PROBE_ROWS, ProbeArguments)
def background_probe(
    command: Command | CommandMaker | None = None,
    *surplus: NoReturn,
    name: str | None = None,
    host: str | Sequence[str] | None = None,
    **arguments: Unpack[ProbeArguments],
) -> Any:
    """Declare a command that its target repeats until the run ends, and a fixture of its name.

    Each time is a sample: "does it answer?". A test whose mark names the probe waits for its first
    sample, and fails if the samples during the test's body tell of a longer outage than the mark
    allows. It is assigned, found and started as a check is, see :func:`background_check`; so are
    its fixture and its hosts.

    :param command: as for :func:`background_check`: what takes one sample.
    :param name: another name than the variable's.
    :param host: a testinfra hostspec such as ``"ssh://db1"``, or a sequence of them for a job on
        each; default: the awaiting test's host.
    """
    __tracebackhide__ = True
    return _declare(Probe, name, command, surplus, host, arguments)


def _declare(
    makes: type[Task],
    name: str | None,
    command: Command | CommandMaker | None,
    surplus: tuple[object, ...],
    host: object,
    arguments: Mapping[str, object],
) -> object:
    """Return the fixture of a declaration that the caller's caller makes."""
    __tracebackhide__ = True
    caller = sys._getframe(2)
    place = caller.f_code.co_filename, caller.f_lineno
    declaration = Declaration(makes, name, command, surplus, host, arguments, *place)

    # An unpinned one requests host, so that testinfra parametrizes the test as usual. The scopes
    # are the widest possible: testinfra's host is a fixture of the module.
    def pinned(request: pytest.FixtureRequest) -> Job | JobsOnHosts:
        return _job_of(request, declaration, None)

    def unpinned(request: pytest.FixtureRequest, host: object) -> Job | JobsOnHosts:
        return _job_of(request, declaration, host)

    function = unpinned if host is None else pinned
    script = arguments.get("script")
    shown = repr(command if script is None else script)
    if callable(command):
        shown = f"<{place_of(command, Path(declaration.file).parent)}>"
    function.__doc__ = f"The background {makes.kind} {shown}."
    fixture = pytest.fixture(
        scope="module" if host is None else "session",
        name=None if name == "request" else name,  # pytest's own message has no place
    )(function)
    # ``mark.bgcheck(webapp)`` would mark the fixture, as a decorator does a function that has a
    # name. This makes it a mark with an argument, which is told at collection.
    fixture.__name__ = "<lambda>"
    # On the function for whoever finds it by name, on the fixture for whoever reads the module.
    vars(function)[KEY] = vars(fixture)[KEY] = declaration
    _record_site(declaration, function, caller)
    return fixture


IN_TEST = (
    "a test or a fixture runs here, which is too late to declare a {kind}: do it at module level"
)
START_HERE = ", or start one here by {call}, with the fixture bgcheck"
CALLS = {
    "check": "bgcheck.start(..., name=...)",
    "service": "'with bgcheck.running(..., name=...)'",
}
"""By what call a job is started that is not declared, by its kind; there is none for probes."""


def _record_site(
    declaration: Declaration, function: Callable[..., object], caller: FrameType
) -> None:
    """Record where a declaration was made. Raises WrongUse if a test or a fixture runs there."""
    __tracebackhide__ = True
    # The call may be in a function or a class that the module runs while it is imported, or in a
    # hook. A doctest is a test, though its code has the name of a module's.
    called = frame = caller
    while frame.f_code.co_name != "<module>" or frame.f_code.co_filename.startswith("<doctest "):
        if is_of_pytest(frame):
            if runs_test(frame, called):
                call = CALLS.get(declaration.kind)
                other = START_HERE.format(call=call) if call else ""
                raise WrongUse(IN_TEST.format(kind=declaration.kind) + other)
            frame = caller
            break
        if frame.f_back is None:
            return  # of a thread
        called, frame = frame, frame.f_back
    in_class = caller.f_code.co_name if "__qualname__" in caller.f_locals else None
    at = frame if in_class is None else caller
    SITES.append(
        DeclarationSite(
            declaration=declaration,
            function=weakref.ref(function),
            namespace=frame.f_globals,
            code=at.f_code,
            instruction=at.f_lasti,
            in_class=in_class,
        )
    )


def _job_of(
    request: pytest.FixtureRequest, declaration: Declaration, host: object
) -> Job | JobsOnHosts:
    name = request.fixturename
    assert name is not None
    declared_job = request.config.stash.get(DECLARED_JOB, None)
    if declared_job is None:
        pytest.fail(f"{declaration.title(name)}: {NOT_LOADED}", pytrace=False)
    try:
        return declared_job(declaration, name, host)
    except WrongUse as error:
        wrong = f"{declaration.title(name)}: {error}"
    pytest.fail(wrong, pytrace=False)  # outside, or pytest would tell it twice
