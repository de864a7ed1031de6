"""A target with a probe, which answers from a script."""

import threading
from collections.abc import Callable, Sequence

from pytest_bgcheck.errors import Unreachable
from pytest_bgcheck.target.transport import Answer
from pytest_bgcheck.windows import Outage, Window
from support.scripted_transport import Scripted, Step, closed, frame, opened, started, words_of

SEEN = ["9 8 1 900 100 0 101 1 0", "outage 300 100 7 refused"]
WINDOW = Window(9.0, 9, 8, 1, (Outage(3.0, 1.0, 7, "refused"),), (), 1, 0, 1.0, 0.0, 1.01)
"""What `SEEN` says."""


class Watched(Scripted):
    """A target with a probe. Who waits for an end waits until it is closed."""

    def __init__(
        self,
        open: Sequence[Step] = (opened,),
        close: Sequence[Step] = (closed(*SEEN),),
        proofs: Sequence[Step] = (frame(),),
        tail: Sequence[Step] = (),
    ) -> None:
        super().__init__(
            start=[started], open=open, close=close, waits=proofs, clean=[frame()], tail=tail
        )
        self.over = threading.Event()
        self.requests: list[str] = []

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        words = words_of(request)
        if "await" in words and not {"proof=1", "proof=end"}.intersection(words):
            assert self.over.wait(30)
            raise Unreachable("closed")
        self.requests.append(request)
        return super().call(request, timeout_s, on_output)

    def close(self) -> None:
        self.over.set()

    @property
    def asked(self) -> list[str]:
        """The calls about windows."""
        return [verb for verb in self.calls if verb in ("open", "close")]
