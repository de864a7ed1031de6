"""What stands in a module, in place of a declaration, while tests run.

pytest knows a fixture by the exact type of the variable's value, so it is put there when pytest has
collected. A function that takes it for the fixture, as one that a test calls, is told so.
"""

from __future__ import annotations

from typing import NoReturn

from ..errors import WrongUse


class StandIn:
    """Refuses whatever a test would do with a job. Tools may look at it."""

    def __init__(self, fixture: object, variable: str, fixture_name: str) -> None:
        vars(self).update(vars(fixture))
        self._fixture = fixture  # which nothing else may hold now
        self._text = (
            f"{variable} is the declaration here, not its fixture: the test takes the parameter"
            f" {fixture_name}, as in def test_it({fixture_name}), and hands it on"
        )

    def __repr__(self) -> str:
        return f"<{self._text}>"

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        __tracebackhide__ = True
        raise WrongUse(self._text)

    def __getattr__(self, name: str) -> NoReturn:
        __tracebackhide__ = True
        if name.startswith("_"):  # a tool's question what this is
            raise AttributeError(name)
        from ..target.job import Job  # imported long since where tests run

        # What no job has may be asked of each variable of a module, as by hasattr.
        raise (WrongUse if hasattr(Job, name) else AttributeError)(self._text)

    __str__ = __format__ = __call__ = _refuse
    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __int__ = __float__ = __index__ = __add__ = __radd__ = __mod__ = _refuse
    __hash__ = object.__hash__
