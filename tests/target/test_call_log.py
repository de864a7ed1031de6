"""What the log says at DEBUG of the calls to a target, and what it must not say."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.machines import SSHServer
from support.scripted_transport import Scripted, Step, ended, frame, started

from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import Refused, Unreachable
from pytest_bgcheck.target import recovery, replies
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import Answer

RUN = "0123456789ab"
SECRET = "hunter2-of-the-test"


class Recorded(Scripted):
    """Keeps the requests that it got."""

    requests: tuple[str, ...] = ()

    def call(
        self, request: str, timeout_s: float, on_output: Callable[[bytes], None] | None = None
    ) -> Answer:
        self.requests += (request,)
        return super().call(request, timeout_s, on_output)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "FIRST_PAUSE_S", 0.001)


def job(script: Path, name: str) -> Spec:
    given = {"script": script, "timeout": 60, "env": {"TOKEN": SECRET}}
    check = make_check(name, None, given, timeout_s=1, directory=script.parent)
    return Spec(check.id_on("host", RUN), check)


def whole_run(transport: Scripted, specs: list[Spec]) -> list[Record]:
    """Run jobs on a target to their ends, and clean it."""
    transport.steps["clean"] = transport.steps["clean"] or [frame("left 0")]
    target = Target("ssh://web1", "web1", transport)
    runner = Runner(RUN)
    records = runner.submit([(spec, target) for spec in specs])
    assert runner.wait_for(lambda: all(r.result is not None for r in records), records, 30)
    runner.close([target])
    return records


@pytest.fixture
def specs(tmp_path: Path) -> list[Spec]:
    script = tmp_path / "check.sh"
    script.write_text(f"#!/bin/sh\necho script-of-the-test {SECRET}\n")
    return [job(script, "a"), job(script, "b")]


@pytest.mark.parametrize("streams", [False, True])
def test_each_request_and_reply_is_logged_by_kind_host_jobs_bytes_and_duration(
    caplog: pytest.LogCaptureFixture, specs: list[Spec], streams: bool
) -> None:
    caplog.set_level(logging.DEBUG, "pytest_bgcheck")
    name = "NONCE.1" if streams else "NONCE"
    last = frame(name="NONCE.2") if streams else ""

    def end(request: str) -> str:
        return ended("exit.0.5.1", name)(request) + last

    transport = Scripted(
        streams, start=[Unreachable("connection reset"), started], waits=[end],
        clean=[frame("left 0")],
    )  # fmt: skip
    whole_run(transport, specs)
    lines = [re.sub(r"\d[\d.,]*", "N", record.getMessage()) for record in caplog.records]
    # Of this host only: a thread that a test before has left behind may still log its own.
    own = [line for line in lines if " on ssh://webN: " in line and not line.startswith("job ")]
    assert own == [
        "start on ssh://webN: asked, N jobs, N bytes, N s at most",
        "start on ssh://webN: Unreachable after N s: connection reset",
        "start on ssh://webN: asked, N jobs, N bytes, N s at most",
        "start on ssh://webN: N started, N bytes after N s",
        "await on ssh://webN: asked, N jobs, N bytes, N s at most",
        "await on ssh://webN: N ended, N bytes after N s",
        *(["await on ssh://webN: nothing to tell, N bytes after N s"] if streams else []),
        "clean on ssh://webN: asked, N jobs, N bytes, N s at most",
        "clean on ssh://webN: nothing to tell, N bytes after N s",
    ]
    assert "start on ssh://web1: asked, 2 jobs, " in caplog.text


def test_each_state_of_a_job_is_logged(caplog: pytest.LogCaptureFixture, specs: list[Spec]) -> None:
    caplog.set_level(logging.DEBUG, "pytest_bgcheck")
    whole_run(Scripted(start=[started], waits=[ended("exit.3.5.1")]), specs[:1])
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("job ")]
    name = f"job {specs[0].id} (a) on ssh://web1"
    assert lines == [f"{name}: running", f"{name}: failed"]


def test_a_verdict_that_is_asked_for_again_is_logged(
    caplog: pytest.LogCaptureFixture, specs: list[Spec]
) -> None:
    caplog.set_level(logging.DEBUG, "pytest_bgcheck")
    whole_run(Scripted(start=[Refused("No such container: x")]), specs)
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("presence")]
    assert len(lines) == 2
    assert lines[1].startswith("presence on ssh://web1: Refused after ")


def boom(request: str) -> str:
    raise RuntimeError(f"near {SECRET} in {request}")


@pytest.mark.parametrize(
    "fault", [Unreachable(f"it said {SECRET}"), Refused(f"it said {SECRET}"), boom, SECRET, "x"]
)
def test_the_log_holds_no_secret_no_script_and_no_request(
    caplog: pytest.LogCaptureFixture, specs: list[Spec], fault: Step
) -> None:
    caplog.set_level(logging.DEBUG, "pytest_bgcheck")
    transport = Recorded(
        start=[fault, started], waits=[fault, fault, ended("exit.0.5.1")],
        clean=[fault, frame("left 0")],
        present=["NONCE begin hex\nNONCE end 0\n"],
    )  # fmt: skip
    whole_run(transport, specs)
    assert "start on ssh://web1: asked" in caplog.text
    assert SECRET not in caplog.text
    assert "script-of-the-test" not in caplog.text
    assert transport.requests
    for request in transport.requests:
        words = request.rpartition(" pytest-bgcheck ")[2]
        assert words not in caplog.text
        assert words[20:120] not in caplog.text


def test_nothing_is_made_for_a_log_that_is_off(
    caplog: pytest.LogCaptureFixture, specs: list[Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "pytest_bgcheck")
    monkeypatch.setattr(replies.Reply, "counts", lambda self: 1 / 0)
    whole_run(Scripted(start=[started], waits=[ended("exit.0.5.1")]), specs)
    assert caplog.records == []


def test_the_first_start_is_in_the_log_file_though_another_plugin_delays_the_log(
    pytester: pytest.Pytester,
) -> None:
    # The log file is open from pytest's own part in this hook on, which comes after this one.
    pytester.makeconftest(
        "import pytest, time\n"
        "class Slow:\n"
        "    @pytest.hookimpl(wrapper=True)\n"
        "    def pytest_runtestloop(self):\n        time.sleep(1)\n        return (yield)\n"
        "def pytest_sessionstart(session):\n"
        "    session.config.pluginmanager.register(Slow())\n"
    )
    pytester.makepyfile(
        "import pytest\nfrom pytest_bgcheck import background_check\n"
        "c = background_check('true')\n@pytest.mark.bgcheck\ndef test(c): pass\n"
    )
    result = pytester.runpytest_subprocess("--log-file=log", "--log-file-level=DEBUG")
    result.assert_outcomes(passed=1)
    assert "start on local: asked, 1 jobs" in (pytester.path / "log").read_text()


def test_a_run_over_ssh_tells_in_its_log_what_was_asked_of_the_target(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        "import pytest\nfrom pytest_bgcheck import background_check\n"
        f"c = background_check('echo $T; exit 3', env={{'T': {SECRET!r}}})\n"
        "@pytest.mark.bgcheck\ndef test(c): pass\n"
    )
    with SSHServer() as server:
        result = pytester.runpytest_subprocess(
            "--hosts=ssh://target", f"--ssh-config={server.client_config}",
            "--log-cli-level=DEBUG", "--log-file=log", "--log-file-level=DEBUG",
        )  # fmt: skip
    result.assert_outcomes(failed=1)
    log = (pytester.path / "log").read_text()
    for kind in ("start", "await", "clean"):
        assert f"{kind} on ssh://target: asked, " in log
    assert SECRET not in log
    result.stdout.fnmatch_lines(["*pytest_bgcheck*await on ssh://target: 1 ended, *"])
