"""One call over a testinfra backend: bounded, whatever the backend does."""

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.backend.base import BaseBackend

from pytest_bgcheck import originals
from pytest_bgcheck.errors import BadReply, Refused, TargetError, Unreachable
from pytest_bgcheck.target.host_transport import HostTransport


class InProcess(BaseBackend):  # type: ignore[misc]
    """A backend that starts no program: it does what it is told to, as paramiko would."""

    NAME = "in-process"

    def __init__(self, action: Any) -> None:
        super().__init__("h")
        self.action = action

    def run(self, command: str, *args: str, **kwargs: Any) -> Any:
        return self.action(self)


def transport(action: Any) -> HostTransport:
    return HostTransport(InProcess(action), None, None)


LOCAL = testinfra.get_host("local://").backend


def local() -> HostTransport:
    return HostTransport(LOCAL, None, None)


def call(way: HostTransport, request: str, timeout_s: float = 20, **more: Any) -> Any:
    return way.call(request, timeout_s, **more)


@pytest.mark.parametrize("on_output", [None, lambda data: None], ids=["whole", "streamed"])
def test_a_program_that_does_not_end_is_killed_in_time(on_output: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="no answer in 1 s"):
        call(local(), "sleep 93.7", 1, on_output=on_output)
    assert time.monotonic() - begun < 30


def test_a_call_runs_in_the_surroundings_that_its_transport_was_made_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, gone = tmp_path / "before", tmp_path / "gone"
    before.mkdir()
    gone.mkdir()
    monkeypatch.chdir(before)
    monkeypatch.setenv("VALUE", "of the login")
    way = local()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(os, "environ", {"VALUE": "of a test"})
    said = call(way, 'echo "$VALUE"; pwd').stdout.decode().splitlines()
    assert said == ["of the login", str(before)]
    assert call(local(), "echo here").stdout == b"here\n"


def test_a_backend_that_does_not_return_is_not_waited_for() -> None:
    released = threading.Event()
    with pytest.raises(Unreachable, match="no answer in 1 s"):
        call(transport(lambda backend: released.wait(60)), "true", 1)
    released.set()


def test_what_a_streamed_call_says_comes_as_it_is_said() -> None:
    parts: list[bytes] = []
    answer = call(local(), "echo one; echo no >&2; echo two; exit 3", on_output=parts.append)
    assert b"".join(parts) == b"one\ntwo\n"
    assert (answer.rc, answer.stdout, answer.stderr) == (3, b"one\ntwo\n", b"no\n")


@pytest.mark.parametrize("error", [BadReply("no frame"), RuntimeError("a bug of ours")])
def test_what_the_reader_of_a_stream_raises_ends_the_call_as_it_is(error: Exception) -> None:
    def broken(data: bytes) -> None:
        raise error

    begun = time.monotonic()
    with pytest.raises(type(error), match=str(error)):
        call(local(), "echo one; sleep 93.8", 60, on_output=broken)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (KeyError("rc"), Unreachable, "KeyError: the answer has no 'rc'"),
        (OSError("no route"), Unreachable, "OSError: no route"),
        (EOFError(), Unreachable, "EOFError"),
        (type("BadHostKeyException", (Exception,), {})("x"), Refused, "BadHostKeyException: x"),
        (Refused("said before"), Refused, "said before"),
    ],
)
def test_what_a_backend_raises_is_told_by_its_kind(
    error: Exception, kind: type[TargetError], words: str
) -> None:
    def fail(backend: BaseBackend) -> None:
        raise error

    with pytest.raises(kind) as raised:
        call(transport(fail), "true")
    assert str(raised.value) == words
    assert type(raised.value) is kind


def test_text_of_a_backend_is_bytes_again() -> None:
    def run(backend: BaseBackend) -> Any:
        return backend.result(0, "x", "ü\udcff", "no")

    answer = call(transport(run), "true")
    assert (answer.stdout, answer.stderr) == ("ü".encode() + b"\xff", b"no")


def test_a_call_has_no_place_in_testinfras_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    way = local()
    call(way, "true SECRET")
    LOCAL.run("true mine")
    assert "SECRET" not in caplog.text
    assert "true mine" in caplog.text


def test_no_more_threads_are_a_host_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    way = transport(lambda backend: None)
    monkeypatch.setattr(originals.threading.Thread, "start", refuse)
    with pytest.raises(Unreachable, match="can't start new thread"):
        call(way, "true")


def test_a_call_after_the_end_says_so() -> None:
    way = local()
    way.close()
    with pytest.raises(Unreachable, match="the run is over"):
        call(way, "true")


def test_a_call_that_is_under_way_ends_with_the_run() -> None:
    way = local()
    begun = threading.Event()
    ended = threading.Thread(
        target=lambda: call(way, "echo; sleep 93.9", 60, on_output=lambda data: begun.set())
    )
    ended.start()
    assert begun.wait(20)
    way.close()
    ended.join(20)
    assert not ended.is_alive()
