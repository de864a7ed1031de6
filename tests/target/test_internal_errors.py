"""Errors of ours: no test waits for ever, nothing is lost by them, and no secret is shown."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.scripted_runs import RUN, check, finish, shorten_pauses, state_of
from support.scripted_transport import Scripted, ended, question, started

from pytest_bgcheck import State, originals
from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import BadReply
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec, clean_request
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import ask
from pytest_bgcheck.target.waiting import Waiting


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_pauses(monkeypatch)


def broken(request: str) -> str:
    raise RuntimeError("a bug near TOKEN-OF-THE-TEST\nin /bin/sh -c 'x' pytest-bgcheck 'more'")


def test_a_waiter_survives_an_error_of_ours_and_logs_it_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = make_check(
        "c", "true", {"env": {"T": "TOKEN-OF-THE-TEST"}}, timeout_s=9, directory=Path()
    )
    transport = Scripted(start=[started], waits=[broken, broken, ended("exit.0.5.1")])
    _, (record,) = finish(transport, Spec(made.id_on("host", RUN), made))
    assert record.state is State.SUCCEEDED
    logged = [r.getMessage() for r in caplog.records if r.name == "pytest_bgcheck"]
    assert len(logged) == 2
    assert "Traceback" in logged[0]
    assert "a bug near ***" in logged[0]
    assert "'more'" not in logged[0]
    assert "TOKEN" not in caplog.text


def test_an_error_of_ours_again_and_again_settles_the_jobs_and_no_later_ones() -> None:
    transport = Scripted(start=[started], waits=[*[broken] * 3, ended("exit.0.5.1")])
    ours, (first,) = finish(transport, check("a"))
    assert first.result is not None
    assert first.state is State.UNREACHABLE
    assert first.result.detail.startswith("internal error: RuntimeError: a bug")
    (second,) = ours.submit([(check("b"), first.target)])
    assert ours.wait_for(lambda: second.result is not None, [second], 30)
    assert second.state is State.SUCCEEDED


def test_whatever_ends_a_waiter_the_next_job_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Waiting, "_settle_overdue", lambda *_: 1 / 0)
        ours, (first,) = finish(Scripted(start=[started], waits=[ended("exit.0.5.1")]), check("a"))
    assert first.state is State.UNREACHABLE
    (second,) = ours.submit([(check("b"), first.target)])
    assert ours.wait_for(lambda: second.result is not None, [second], 30)
    assert second.state is State.SUCCEEDED


def test_without_threads_jobs_are_settled_and_the_end_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(originals.threading.Thread, "start", none)
    ours, (record,) = finish(Scripted(start=[started]))
    assert record.result is not None
    assert "can't start new thread" in record.result.detail
    (trouble,) = ours.close([record.target])
    assert "can't start new thread" in trouble


def test_who_hears_of_jobs_changes_nothing_by_an_error() -> None:
    def bad(record: Record) -> None:
        raise RuntimeError("deaf")

    target = Target("host", "host", Scripted(start=[started], waits=[ended("exit.0.5.1")]))
    lines: list[str] = []
    ours = Runner(RUN, on_start=bad, on_end=bad, on_want=bad, on_unexpected=lines.append)
    records = ours.submit([(check("a"), target), (check("b"), target)])
    ours.want(records[0])
    assert ours.wait_for(lambda: all(r.result for r in records), records, 30)
    assert {record.state for record in records} == {State.SUCCEEDED}
    assert lines == ["internal error: RuntimeError: deaf"] * 5


def test_an_error_of_ours_leaves_no_test_waiting() -> None:
    def broken(request: str) -> str:
        raise RuntimeError("a bug")

    state, detail = state_of(Scripted(start=[broken]))
    assert state is State.UNREACHABLE
    assert "internal error: RuntimeError: a bug" in detail


def test_an_error_that_quotes_our_request_does_not_show_it() -> None:
    def broken(request: str) -> str:
        return ""

    said = b"csh: cannot parse: /bin/sh -c 'x' pytest-bgcheck 'env' 'TOKEN=secret' 'more'"
    transport = Scripted(clean=[broken])
    request = clean_request("", "0" * 16, RUN, False)
    call = transport.call
    transport.call = lambda *args: replace(call(*args), rc=1, stderr=said)  # type: ignore[method-assign]
    with pytest.raises(BadReply) as caught:
        ask(transport, question(request), 1)
    assert str(caught.value).endswith("it said: csh: cannot parse: /bin/sh -c 'x'...")
