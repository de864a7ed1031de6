"""What can go wrong, by what the user can do about it. Imports nothing of the package."""

from __future__ import annotations


class BgcheckError(Exception):
    """The root of all errors of pytest-bgcheck."""


class WrongUse(BgcheckError, ValueError):
    """A declaration, a mark or a call is wrong: mend the test suite.

    At collection it becomes a ``pytest.UsageError``.
    """


class NoSuchJob(BgcheckError, KeyError):
    """No job, or more than one, is meant by a name, or by a name and a host."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show it quoted, with its lines in one


class StillRunning(BgcheckError, TimeoutError):
    """The job had not ended when the caller's timeout was over. The job goes on."""


class OutputCut(BgcheckError):
    """Not all that the job wrote is here, so its output as a whole cannot be read.

    What was kept of it is in ``stdout_kept`` and ``stderr_kept`` of the job and of its result.
    """


class NotProven(BgcheckError, AssertionError):
    """A probe has not seen all of a time, so nobody knows whether there was an outage in it."""


class TargetError(BgcheckError):
    """The target could not be asked. It is always safe to ask again with the same id."""


class Unreachable(TargetError):
    """The call did not get through, or there was no answer in time."""


class NoAnswer(Unreachable):
    """There was no answer in time: nothing has come since the call was made."""


class Refused(TargetError):
    """The target refused; asking again cannot help: no such container, no shell, a full disk."""


class Gone(Refused):
    """The target is gone with everything that ran on it, as a stopped or removed container is."""


class BadReply(TargetError):
    """There was an answer, but not one complete reply: it was cut, doubled or mixed with noise."""
