"""What the log says of errors of ours, and what it does not."""

import pytest

from pytest_bgcheck import log
from pytest_bgcheck.log import REQUEST_NAME, hide, internal_error


def test_an_internal_error_has_its_traceback_and_its_cause_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    try:
        try:
            raise KeyError("missing")
        except KeyError as error:
            raise RuntimeError("a bug") from error
    except RuntimeError as error:
        line = internal_error("writing a report", error)
    assert line == "internal error: RuntimeError: a bug"
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pytest_bgcheck", "ERROR")
    message = record.getMessage()
    assert message.startswith("writing a report: internal error\nTraceback")
    assert "KeyError: 'missing'" in message
    assert "test_log.py" in message


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_secrets", frozenset())


@pytest.mark.parametrize("secret", ["hunter2", "first line\nsecond line", "hunter2 and more"])
def test_an_internal_error_is_logged_and_told_without_secrets(
    caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    hide(["hunter2", secret])
    line = internal_error("asking", RuntimeError(f"it said {secret}!"))
    for shown in (line, caplog.text):
        assert "***" in shown
        assert not any(part in shown for part in secret.split("\n"))


def test_an_internal_error_shows_nothing_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    line = internal_error("asking", RuntimeError(f"/bin/sh -c 'x'{REQUEST_NAME}0123 'words'"))
    assert line == "internal error: RuntimeError: /bin/sh -c 'x'..."
    assert "words" not in caplog.text
