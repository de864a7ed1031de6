"""The text that a test fails with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bgcheck.model import Output, Result, State
from pytest_bgcheck.report import text, words
from pytest_bgcheck.report.no_line import no_line
from pytest_bgcheck.report.text import Verdict
from pytest_bgcheck.target.output import NoLine
from pytest_bgcheck.tasks import ANY_RC, Check, Service

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
    assert all(c in "\n\t" or c.isprintable() for c in words.printable(output))


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


# --- services -------------------------------------------------------------------------------------

WEB = Service("web", ("/opt/web",), "/opt/web", ready="curl -fs web", ready_timeout_s=30.0)


def service(
    state: State, rc: int | None = None, took: float | None = 12.4, ready_s: float | None = None,
    task: Service = WEB, ended_s: float | None = None, **more: object,
) -> str:  # fmt: skip
    result = Result(state, rc, took, 1, ready_s=ready_s, **more)  # type: ignore[arg-type]
    return text.failure([Verdict(task, "ssh://web1", state, result, waited_s=2, ended_s=ended_s)])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (service(State.DIED, 3, ready_s=1), "died: rc 3 after 12.4 s"),
        (service(State.DIED, 3, ready_s=1, ended_s=-3.2),
         "died: rc 3 after 12.4 s, 3.2 s before this test"),
        (service(State.LOST, ready_s=1, ended_s=0.5, detail="gone"),
         "lost after 12.4 s, 0.50 s into this test: gone"),
        (service(State.NOT_READY, 1, 0.3, ended_s=-3), "not ready: rc 1 after 0.30 s"),
        (service(State.NOT_READY, None, 30.04, detail="its ready command last ended with rc 7"),
         "not ready after 30.0 s: its ready command last ended with rc 7"),
        (service(State.TIMED_OUT, None, 3600, ready_s=1), "timed out after 1 h 0 min"),
        (service(State.STOPPED, None, 9, ready_s=1, ended_s=-2),
         "stopped after 9.0 s, 2.0 s before this test"),
    ],
)  # fmt: skip
def test_the_first_line_of_a_services_failure_says_what_became_of_it(text: str, first: str) -> None:
    assert text.split("\n")[0] == f"background service 'web' on ssh://web1 {first}"


def test_a_service_is_good_only_while_it_is_ready() -> None:
    good = [s for s in State if Verdict(WEB, "h", s, Result(s, 0) if s.final else None).good]
    assert good == [State.READY]
    silent = Verdict(WEB, "h", State.READY, not_proven="Connection refused (3 tries in 30 s)")
    assert not silent.good
    assert text.headline(silent) == (
        "background service 'web' on h not proven to be alive: Connection refused (3 tries in 30 s)"
    )


def test_a_service_that_was_not_ready_shows_what_was_waited_for_and_what_was_seen() -> None:
    told = WEB.outcome(Result(State.NOT_READY, None, 30.1, 1))
    assert told.detail == ""
    task = replace(WEB, ready_output="listening on")
    result = replace(
        task.outcome(Result(State.NOT_READY, None, 30.1, 1)),
        stderr_kept=Output(6, b"begun\n"), look_kept=Output(8, b"refused\n"),
    )  # fmt: skip
    said = text.failure([Verdict(task, "h", State.NOT_READY, result, waited_s=29.0)])
    assert said.split("\n")[:-1] == [
        "background service 'web' on h not ready after 30.1 s:"
        " no line of its output matches 'listening on'",
        "  command: /opt/web",
        "  ready: curl -fs web",
        "  ready_output: listening on",
        "  this test waited 29.0 s for it",
        "  its limit on the target: ready_timeout=30",
        "  stdout: empty",
        "  stderr (6 bytes):",
        "    begun",
        "  the last output of its ready command (8 bytes):",
        "    refused",
    ]
    assert "hint: what it has printed may still be in its buffer" in said
    assert "stdbuf -oL" in said
    assert "python -u" in said


def test_a_buffer_is_suspected_only_where_nothing_or_whole_blocks_were_printed() -> None:
    def suspects(size: int, rc: int | None = None, task: Service = WEB) -> bool:
        kept = Output(size, b"x" * size)
        return "stdbuf" in service(State.NOT_READY, rc, task=task, stdout_kept=kept)

    task = replace(WEB, ready_output="x")
    assert [suspects(n, task=task) for n in (0, 40, 8192, 5000)] == [True, True, True, False]
    assert not suspects(0)
    assert not suspects(0, rc=1, task=task)

    def suspects_in_wait(size: int, result: Result | None = None) -> bool:
        kept = Output(size, b"x" * size)
        found = NoLine("x", 1.0, result, kept, Output(), 0, "", False, False)
        return "\n  hint: what it has printed may still be in its buffer" in no_line(
            WEB, "h", found
        )

    assert [suspects_in_wait(n) for n in (0, 40, 8192)] == [True, False, True]
    assert not suspects_in_wait(0, Result(State.DIED, 0))


def test_a_service_that_ended_has_the_hint_that_helps() -> None:
    taken = b"OSError: [Errno 98] Address already in use"
    said = service(State.DIED, 1, ready_s=0.2, stderr_kept=Output(len(taken), taken))
    assert "  hint: its port is taken: another process on the target listens there" in said
    assert "  it was ready after 0.20 s\n" in said
    assert "  hint: 0: its command has ended, and no process of it was found" in service(
        State.DIED, 0, ready_s=0.2
    )
    assert "hint: 127: a command was not found" in service(State.NOT_READY, 127)
    assert "  hint: stop() or cancel() of a test or a fixture has ended it" in service(
        State.STOPPED
    )


def test_a_test_that_was_less_patient_than_a_service_says_how_long_it_may_take() -> None:
    said = text.failure([Verdict(WEB, "h", State.PENDING, None, waited_s=3.0)])
    assert said.startswith("background service 'web' on h still starting after 3.0 s of waiting\n")
    assert said.endswith("\n  it has to be ready within 30.0 s of its start; it goes on")


def test_what_services_are_called_beside_checks_is_jobs() -> None:
    good = Verdict(WEB, "h", State.READY)
    bad = Verdict(CHECK, "h", State.FAILED, Result(State.FAILED, 1))
    assert text.failure([bad], [good]).endswith("the other jobs of this test:\n  'web' on h: ready")
    assert "the other services of this test:" in text.failure([good], [good])
    assert text.used_and_failed("call", [good]) == "this test used that service, and failed:"
    assert "used these jobs, and failed" in text.used_and_failed("setup", [good, bad])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "an unknown time"), (0.004, "0 s"), (0.25, "0.25 s"), (12.36, "12.4 s"),
     (365.2, "6 min 5 s"), (7385, "2 h 3 min")],
)  # fmt: skip
def test_a_duration_has_the_units_that_people_use(seconds: float | None, told: str) -> None:
    assert words.duration(seconds) == told


def test_a_name_that_is_unknown_is_told_with_those_that_are_known() -> None:
    assert text.unknown("db", []).endswith("for this test; none is known")
    assert text.unknown("db", ["web", "app"]).endswith("for this test\nknown: app, web")
    assert "did you mean 'webapp'?\n" in text.unknown("webap", ["webapp"])


def test_characters_of_all_lengths_are_escaped() -> None:
    assert words.printable("\x1b \u202e \U000e0001\r\n") == "\\x1b \\u202e \\U000e0001\n"


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
    assert words.one_line("cd /srv\n\n./check\n") == "cd /srv ⏎ ./check"
    assert words.one_line("x" * 400).endswith("xxx... (400 characters)")
