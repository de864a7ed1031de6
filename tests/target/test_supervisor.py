"""The real supervisor under every shell, through the protocol's own requests."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.machines import SHELLS, shell_as_sh
from support.supervisor_client import Client, bare_client

from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.model import State
from pytest_bgcheck.target import replies, requests
from pytest_bgcheck.target.replies import Reply

pytestmark = pytest.mark.once


@pytest.fixture(params=SHELLS)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    ours = Client(shell_as_sh(request.param, tmp_path), tmp_path)
    yield ours
    ours.clean()


@pytest.fixture(params=["dash", "busybox", "yash"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    ours = bare_client(request.param, tmp_path)
    yield ours
    ours.clean()


CODES = {
    "exit 0": 0, "exit 1": 1, "exit 126": 126, "exit 127": 127, "exit 145": 145, "exit 255": 255,
    "kill -9 $$": 137, "kill -TERM $$": 143, "/no/such/program": 127,
}  # fmt: skip


def codes_are_exact(client: Client) -> None:
    specs = [client.spec(f"c{n}", command) for n, command in enumerate(CODES)]
    client.start(*specs)
    results = client.results(*specs)
    assert {s.task.command: results[s.task.name].rc for s in specs} == CODES


def a_limit_ends_the_whole_tree(client: Client) -> None:
    begun = "echo begun; sleep 91 & (setsid sleep 92 || sleep 92) 2>/dev/null & sleep 93"
    tree = client.spec("tree", begun, timeout=0.4, grace=1)
    deaf = client.spec("deaf", "trap '' TERM; while :; do sleep 0.2; done", timeout=0.4, grace=0.4)
    client.start(tree, deaf)
    results = client.results(tree, deaf)
    assert {r.state for r in results.values()} == {State.TIMED_OUT}
    assert results["tree"].stdout == "begun\n"
    assert not client.processes(f"PYTEST_BGCHECK_JOB={client.run}")


def test_codes_are_exact(client: Client) -> None:
    codes_are_exact(client)


def test_codes_are_exact_on_a_bare_target(bare: Client) -> None:
    codes_are_exact(bare)


def test_a_limit_ends_the_whole_tree(client: Client) -> None:
    a_limit_ends_the_whole_tree(client)


def test_a_limit_ends_the_whole_tree_on_a_bare_target(bare: Client) -> None:
    a_limit_ends_the_whole_tree(bare)


def test_words_environment_and_output_are_exact(client: Client) -> None:
    hard = 'it\'s "$HOME" `id` \\n\n%s ! * é'
    spec = client.spec("c", ["/bin/sh", "-c", 'printf "%s|" "$A" "$@"', "x", hard, "-n"],
                       env={"A": hard})  # fmt: skip
    raw = client.spec("raw", r"printf '\000\377\r\n' >&2")
    client.start(spec, raw)
    results = client.results(spec, raw)
    assert results["c"].stdout == f"{hard}|{hard}|-n|"
    assert results["raw"].stderr_bytes == b"\0\xff\r\n"


OUTPUTS = {
    "two": b"a\n\nb\n", "open": b"a\nb", "ends": b"\n\n\n", "space": b"  a b \\n  ",
    "sign": b"=\n==\n.\n",
    "frame": b"0 begin base64\n0 end 1\n", "tab": b"a\tb\n", "cr": b"a\r\nb\n", "nul": b"a\0b\n",
    "utf": "\u00e9\n".encode(), "short": b"x" * 1999, "long": b"x" * 2000, "lines": b"line\n" * 500,
}  # fmt: skip


def test_all_output_is_exact(client: Client) -> None:
    specs = []
    for name, output in OUTPUTS.items():
        client.base.joinpath(name).write_bytes(output)
        specs.append(client.spec(name, f"cat {name}", cwd=str(client.base)))
    client.start(*specs)
    results = client.results(*specs)
    assert {name: result.stdout_bytes for name, result in results.items()} == OUTPUTS


def test_a_missing_directory_is_not_started(client: Client) -> None:
    assert client.finish("true", cwd="/no/such").state is State.NOT_STARTED


def test_it_is_run_again_until_it_succeeds_or_its_time_is_over(client: Client) -> None:
    again = client.spec("again", "echo run; [ -e f ] || { >f; exit 1; }", retry_every=0.1,
                        cwd=str(client.base))  # fmt: skip
    never = client.spec("never", "exit 1", retry_every=30, timeout=0.4)
    late = client.spec("late", "[ -e l ] && sleep 94; >l; exit 4", retry_every=0.1, timeout=1,
                       cwd=str(client.base))  # fmt: skip
    first = client.spec("first", "sleep 94", retry_every=0.1, timeout=0.4)
    client.start(again, never, late, first)
    results = client.results(again, never, late, first)
    assert (results["again"].attempts, results["again"].stdout) == (2, "run\n")
    assert (results["never"].state, results["never"].rc) == (State.TIMED_OUT, None)
    # Behind it may stand processes of other tests, which could be the check's.
    assert results["never"].detail.startswith("its last complete attempt ended with rc 1")
    # What the guard ended has no exit code of its own.
    assert results["late"].detail.startswith("its last complete attempt ended with rc 4")
    assert results["first"].state is State.TIMED_OUT
    assert "rc" not in results["first"].detail


def test_interrupts_are_not_ignored_in_the_check(client: Client) -> None:
    ignored = int(client.finish("grep SigIgn /proc/self/status").stdout.split()[1], 16)
    assert not ignored & (1 << signal.SIGINT - 1 | 1 << signal.SIGQUIT - 1)


def test_a_repeated_start_runs_once(client: Client) -> None:
    spec = client.spec("c", "echo run >>f; sleep 0.3", cwd=str(client.base))
    assert client.start(spec).started == client.start(spec).started == {spec.id}
    client.results(spec)
    assert client.base.joinpath("f").read_text() == "run\n"


def test_contending_starts_run_once_and_the_losers_leave_nothing(client: Client) -> None:
    spec = client.spec("c", "echo run >>f; sleep 0.3", cwd=str(client.base))
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(client.start, [spec] * 5))
    assert [reply.started for reply in replies] == [{spec.id}] * 5
    assert sum(not reply.attached for reply in replies) <= 1
    client.results(spec)
    assert client.base.joinpath("f").read_text() == "run\n"
    client.eventually(lambda: not list(Path(os.fsdecode(client.directory)).rglob("new.*")))


def test_a_caller_that_died_on_its_way_leaves_the_job_to_the_next(client: Client) -> None:
    spec = client.spec("c", "true")
    client.start(client.spec("other", "true"))
    unclaimed = Path(os.fsdecode(client.directory)) / f"new.dead.{spec.id}"
    unclaimed.mkdir()
    os.mkfifo(unclaimed / "alive")
    assert client.start(spec).started == {spec.id}
    assert client.results(spec)["c"].rc == 0


def test_a_job_whose_processes_died_as_it_was_claimed_is_lost(client: Client) -> None:
    spec = client.spec("c", "true")
    client.start(client.spec("other", "true"))
    claimed = Path(os.fsdecode(client.directory)) / spec.id
    claimed.mkdir()
    os.mkfifo(claimed / "alive")
    # Two processes that ended a moment ago: they are this test's own children.
    pids = [subprocess.Popen(["true"]) for _ in range(2)]
    for process in pids:
        process.wait()
    claimed.joinpath(f"terms.{spec.terms}").touch()
    claimed.joinpath(f"state.run.0.6000.500.{pids[0].pid}.{pids[1].pid}").touch()
    assert client.start(spec).attached == {spec.id}
    assert client.results(spec)["c"].state is State.LOST


def test_parts_of_other_terms_stay_apart(client: Client) -> None:
    """Of two that start a job of one name, each with a script too large for one request."""
    built = []
    for word in ("mine", "your"):
        path = client.base / word
        path.write_text(f"#!/bin/sh\necho {word}\nexit 0\n" + "# padding\n" * 20_000)
        check = make_check("c", None, {"script": word}, timeout_s=60, directory=client.base)
        spec = requests.Spec(f"{client.run}-{'0' * 14}", check, word)
        nonces = (f"{n:016x}" for n in range(9))
        built.append(
            list(
                requests.start_requests(client.run, str(client.base), [spec], nonces, client.shell)
            )
        )
    mine, yours = built
    for _, request, specs in [*mine[:-1], *yours[:-1]]:
        assert not specs
        client.output(request)
    nonce, request, (spec,) = mine[-1]
    reply = replies.parse(nonce, client.output(request))
    client.directory = reply.directory or b""
    assert reply.started == {spec.id}
    assert client.results(spec)["c"].stdout == "mine\n"


def test_a_start_with_other_terms_is_refused(client: Client) -> None:
    spec = client.spec("c", "sleep 0.2")
    client.start(spec)
    assert client.start(replace(spec, terms="other")).refused == {spec.id: "terms"}
    assert client.results(spec)["c"].rc == 0


def test_a_killed_supervisor_is_lost_and_its_tree_killed(client: Client) -> None:
    spec = client.spec("c", "sleep 91 & sleep 92")
    client.start(spec)
    client.kill("run")
    assert client.results(spec)["c"].state is State.LOST
    assert not client.processes(f"PYTEST_BGCHECK_JOB={client.run}")


def test_a_limit_holds_without_the_guard(client: Client) -> None:
    spec = client.spec("c", "sleep 91", timeout=1)
    client.start(spec)
    client.kill("guard")
    assert client.results(spec)["c"].state is State.TIMED_OUT


def test_a_job_without_any_process_is_lost(client: Client) -> None:
    spec = client.spec("c", "sleep 91 & sleep 92")
    client.start(spec)
    client.kill("guard", "run")
    assert client.results(spec)["c"].state is State.LOST
    assert not client.processes(f"PYTEST_BGCHECK_JOB={client.run}")


def test_a_job_can_be_cancelled(client: Client) -> None:
    spec = client.spec("c", "echo so far; sleep 91")
    client.start(spec)
    client.eventually(lambda: client.ask(requests.tail_request, [spec]).reports[0].stdout.size == 7)
    client.ask(requests.cancel_request, [spec])
    assert client.results(spec)["c"].state is State.CANCELLED


def test_the_end_leaves_no_daemon(client: Client) -> None:
    assert client.finish("setsid sleep 91 >/dev/null 2>&1 & exit 0").rc == 0
    assert client.processes(f"PYTEST_BGCHECK_JOB={client.run}")
    client.clean()
    client.directory = b""


def test_a_running_job_has_few_processes(client: Client) -> None:
    spec = client.spec("c", "exec sleep 91")
    client.start(spec)
    client.eventually(lambda: bool(client.processes(f"PYTEST_BGCHECK_JOB={spec.id}")))
    assert len(client.processes(spec.id)) <= 1 + 3


def test_a_wait_has_an_end_of_its_own(client: Client) -> None:
    spec = client.spec("c", "sleep 91")
    client.start(spec)
    assert client.ask(requests.await_request, 1, [spec]) == Reply()


def test_a_streamed_wait_tells_each_end(client: Client) -> None:
    specs = [client.spec(f"c{n}", f"sleep 0.{n}") for n in (1, 4)]
    client.start(*specs)
    nonce = secrets.token_hex(8)
    request = requests.await_request(client.directory, nonce, 20, specs, client.shell, True)
    stream = replies.Stream(nonce)
    parts = [reply for byte in client.output(request) for reply in stream.feed(bytes([byte]))]
    assert stream.complete
    assert [r.id for reply in parts for r in reply.reports] == [spec.id for spec in specs]


def test_a_wait_for_more_jobs_than_a_request_names_has_its_list_ahead(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "WORDS_LIMIT", 150)
    specs = [client.spec(f"c{n}", f"exit {n}") for n in range(6)]
    client.start(*specs)
    directory = Path(os.fsdecode(client.directory))
    nonces = iter(lambda: secrets.token_hex(8), "")
    parts = list(requests.store_requests(client.directory, "feed", specs, nonces, client.shell))
    assert len(parts) > 1
    for nonce, request in [*parts, parts[0]]:  # a reply may be lost
        assert replies.parse(nonce, client.output(request)) == Reply()
    assert len(list(directory.glob("list.feed.*"))) == len(parts)
    nonce = secrets.token_hex(8)
    stream = replies.Stream(nonce)
    request = requests.await_request(
        client.directory, nonce, 20, [], client.shell, True, stored="feed"
    )
    answers = list(stream.feed(client.output(request)))
    told = {r.id: r.result.rc for reply in answers for r in reply.reports if r.result}
    assert told == {spec.id: n for n, spec in enumerate(specs)}
    assert not list(directory.glob("*list*"))


def test_a_streamed_wait_leaves_no_timer_behind(client: Client) -> None:
    # All end at once: each ring meets a timer that has just been started, if each makes one.
    specs = [client.spec(f"c{n}", "sleep 0.3") for n in range(12)]
    client.start(*specs)
    request = requests.await_request(
        client.directory, secrets.token_hex(8), 20, specs, client.shell, True
    )
    client.output(request)
    client.clean()
    folder = os.fsdecode(client.directory)

    def there() -> list[str]:
        links = [entry / "cwd" for entry in Path("/proc").glob("[0-9]*")]
        return [str(link) for link in links if _cwd(link).startswith(folder)]

    # They would stay for the 20 seconds of the wait.
    deadline = time.monotonic() + 5
    while there():
        assert time.monotonic() < deadline, there()
        time.sleep(0.02)
    client.directory = b""


def _cwd(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def test_output_is_cut_on_the_target(client: Client) -> None:
    result = client.finish("head -c 5000000 /dev/zero; echo end", output_limit=1000)
    assert (result.stdout_kept.size, result.stdout_kept.cut) == (5_000_004, 4_999_004)
    assert result.stdout_kept.tail.endswith(b"end\n")


@pytest.mark.parametrize("kind", ["link", "file", "open"])
def test_a_directory_that_is_not_safely_ours_is_refused(tmp_path: Path, kind: str) -> None:
    ours = tmp_path / f"pytest-bgcheck-{os.getuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "link":
        ours.symlink_to(elsewhere)
    elif kind == "file":
        ours.touch()
    else:
        ours.mkdir()
        ours.chmod(0o755)
    client = Client(Path("/bin/sh"), tmp_path)
    reply = client.start(client.spec("c", "true"))
    reason = {"link": "is a link", "file": "is not a directory", "open": "is open to others"}[kind]
    assert reason in reply.refused["*"]
    assert not list(elsewhere.iterdir())


def test_the_directory_for_files_may_have_any_name(tmp_path: Path) -> None:
    base = tmp_path / "it's\nü =\\$x"
    base.mkdir()
    client = Client(Path("/bin/sh"), base)
    assert client.finish("exit 3").rc == 3
    client.clean()
    assert list(base.iterdir()) == []
