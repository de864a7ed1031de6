"""The text that a test fails with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bgcheck.model import Output, Result, State
from pytest_bgcheck.report import text
from pytest_bgcheck.report.text import Verdict
from pytest_bgcheck.tasks import ANY_RC, Check

CHECK = Check("webapp", ("/opt/check",), "/opt/check")


def verdict(state: State, rc: int | None = None, took: float | None = 12.4, **more: object) -> str:
    result = Result(state, rc, took, 1, **more)  # type: ignore[arg-type]
    return text.failure([Verdict(CHECK, "ssh://web1", state, result)])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (verdict(State.FAILED, 3), "failed: rc 3 after 12.4 s"),
        (verdict(State.TIMED_OUT, took=360.0), "timed out after 6 min 0 s"),
        (verdict(State.LOST, detail="gone"), "lost after 12.4 s: gone"),
        (verdict(State.NOT_STARTED, took=None, detail="full"), "not started: full"),
        (verdict(State.CANCELLED), "cancelled after 12.4 s"),
    ],
)
def test_the_first_line_names_check_host_and_state(text: str, first: str) -> None:
    assert text.split("\n")[0] == f"background check 'webapp' on ssh://web1 {first}"


def test_a_failure_says_whose_codes_were_accepted() -> None:
    def told(accepted: set[int], own: set[int]) -> str:
        check = replace(CHECK, rc=frozenset(own))
        result = Result(State.FAILED, 9, 1.0, 1)
        verdict = Verdict(check, "h", State.FAILED, result, frozenset(accepted))
        return text.headline(verdict).partition("rc 9 after 1.0 s")[2]

    assert told({0}, {0}) == ""
    assert told({2, 3}, {2, 3}) == " (accepted: 2, 3)"
    assert told({0}, {9}) == " (accepted by this test's mark: 0; by the check: 9)"
    assert told({0, 1, 2}, {0}) == " (accepted by this test's mark: 0, 1, 2; by the check: 0)"


def test_a_failure_says_that_only_the_tests_own_mark_makes_it_one() -> None:
    check = replace(CHECK, rc=frozenset({0, 2}))
    result = Result(State.SUCCEEDED, 2, 1.0, 1)
    said = text.failure([Verdict(check, "h", State.SUCCEEDED, result, frozenset({0}))])
    assert "\n  the check itself succeeded: only this test's mark does not accept that rc" in said


def test_only_the_tail_of_long_output_is_shown() -> None:
    data = b"".join(b"line %d\n" % n for n in range(100))
    text = verdict(State.FAILED, 1, stdout_kept=Output(len(data), data))
    assert "  stdout (790 bytes, the last 20 lines):\n    line 80\n" in text
    assert "line 79\n" not in text


@given(st.text())
def test_output_cannot_command_a_terminal(output: str) -> None:
    assert all(c in "\n\t" or c.isprintable() for c in text.printable(output))


def test_any_code_is_good_only_if_the_command_ended_by_itself() -> None:
    for state in State:
        rc = 7 if state in (State.SUCCEEDED, State.FAILED) else None
        any_code = Verdict(CHECK, "h", state, Result(state, rc), accepted=ANY_RC)
        assert any_code.good == (rc == 7)


@pytest.mark.parametrize(
    ("rc", "hint"),
    [(1, None), (126, "could not be executed"), (127, "not found"), (137, "out of memory"),
     (134, "by the signal SIGABRT"), (255, "ssh's own")],
)  # fmt: skip
def test_an_exit_code_has_the_hint_of_its_convention(rc: int, hint: str | None) -> None:
    text = verdict(State.FAILED, rc)
    assert (f"hint: {rc}: " in text) == (hint is not None)
    assert hint is None or hint in text


def test_output_cut_short_is_said_with_the_true_rc() -> None:
    text = verdict(State.FAILED, 3, detail="output cut short: no space left")
    assert "failed: rc 3" in text.split("\n")[0]
    assert text.endswith("\n  note: output cut short: no space left")


def test_a_failure_says_in_which_directory_the_command_was_to_run() -> None:
    check = replace(CHECK, cwd="/srv/\x1bshop")
    result = Result(State.NOT_STARTED, detail="its directory (cwd) cannot be entered")
    told = text.failure([Verdict(check, "h", State.NOT_STARTED, result)])
    assert told.split("\n")[1:3] == ["  command: /opt/check", "  cwd: /srv/\\x1bshop"]


def test_a_test_that_was_less_patient_says_that_the_check_goes_on() -> None:
    said = text.failure([Verdict(CHECK, "h", State.RUNNING, None, waited_s=3.0)])
    assert "'webapp' on h still running after 3.0 s of waiting\n" in said
    assert said.endswith("its limit is 6 min 0 s; it goes on")


def test_a_failure_says_how_the_other_checks_of_the_test_stand() -> None:
    others = [
        Verdict(replace(CHECK, name="db"), "h", State.SUCCEEDED, Result(State.SUCCEEDED, 0, 2.0)),
        Verdict(replace(CHECK, name="web"), "h", State.RUNNING, None),
        Verdict(replace(CHECK, name="dns"), "h", State.LOST, Result(State.LOST)),
    ]
    said = text.failure([Verdict(CHECK, "h", State.FAILED, Result(State.FAILED, 1))], others)
    assert said.partition("the other checks of this test:\n")[2].split("\n") == [
        "  'db' on h: succeeded, rc 0, after 2.0 s",
        "  'web' on h: running",
        "  'dns' on h: lost",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "an unknown time"), (0.004, "0 s"), (0.25, "0.25 s"), (12.36, "12.4 s"),
     (365.2, "6 min 5 s"), (7385, "2 h 3 min")],
)  # fmt: skip
def test_a_duration_has_the_units_that_people_use(seconds: float | None, words: str) -> None:
    assert text.duration(seconds) == words


def test_a_name_that_is_unknown_is_told_with_those_that_are_known() -> None:
    assert text.unknown("db", []).endswith("for this test; no checks are known")
    assert text.unknown("db", ["web", "app"]).endswith("for this test\nknown checks: app, web")
    assert "did you mean 'webapp'?\n" in text.unknown("webap", ["webapp"])


def test_characters_of_all_lengths_are_escaped() -> None:
    assert text.printable("\x1b \u202e \U000e0001\r\n") == "\\x1b \\u202e \\U000e0001\n"


def test_a_failure_shows_what_the_last_of_several_attempts_wrote() -> None:
    said = text.failure([Verdict(CHECK, "h", State.FAILED, Result(State.FAILED, 1, 9.0, 3))])
    assert "  attempts: 3; this is the output of the last one\n  stdout: empty\n" in said
    assert "bgcheck-keep" not in said


def test_a_failure_says_how_to_get_the_output_that_it_leaves_out() -> None:
    def told(output: Output) -> str:
        result = Result(State.FAILED, 1, 9.0, 1, stderr_kept=output)
        return text.failure([Verdict(CHECK, "h", State.FAILED, result)]).split("\n")[-1]

    whole = b"line\n" * 20
    assert told(Output(len(whole), whole)) == "    line"
    long = b"line\n" * 21
    assert told(Output(len(long), long)) == "  --bgcheck-keep leaves the whole output on the target"
    cut = told(Output(9000, b"a", b"z"))
    assert cut == "  a larger output_limit= of the check keeps more of its output"


def test_a_failure_says_where_the_files_were_kept() -> None:
    result = Result(State.FAILED, 1, 9.0, 1)
    said = text.failure([Verdict(CHECK, "h", State.FAILED, result, kept="/tmp/kept")])
    assert said.endswith("\n  its files were kept: /tmp/kept")


def test_what_the_shell_says_of_a_job_that_did_not_start_is_shown() -> None:
    result = Result(State.NOT_STARTED, detail="full", stderr_kept=Output(3, b"no!"))
    said = text.failure([Verdict(CHECK, "h", State.NOT_STARTED, result)])
    assert "stdout" not in said
    assert "  stderr (3 bytes):\n    no!" in said


def test_one_very_long_line_is_cut_from_its_beginning() -> None:
    said = verdict(State.FAILED, 1, stdout_kept=Output(9000, b"x" * 8999 + b"y"))
    assert "  stdout (9,000 bytes, the last 4,000 characters):\n    x" in said


def test_a_command_of_many_lines_is_one_line() -> None:
    assert text.one_line("cd /srv\n\n./check\n") == "cd /srv ⏎ ./check"
    assert text.one_line("x" * 400).endswith("xxx... (400 characters)")
