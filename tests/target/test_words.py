"""The words of a request: each is NAME=VALUE, and is understood or refused, never passed over."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted_transport import words_of
from support.supervisor_client import Client

from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.target import command_line, replies, requests
from pytest_bgcheck.target.replies import Reply
from pytest_bgcheck.target.requests import Spec
from pytest_bgcheck.target.specification import look_specification, specification
from pytest_bgcheck.tasks import Check, Probe, Service

pytestmark = pytest.mark.once

OF_A_JOB = [
    "timeout_cs=6000", "grace_cs=500", "output_limit=1000", "rc=0", "terms=0", "script_size=0",
    "spec_size=9", "spec=become a",
]  # fmt: skip
OF_FOLLOW = ["output_limit=1000", "attempt=0", "from_out=0", "from_err=0"]


def ask(client: Client, verb: str, *words: str) -> Reply:
    """Send a request with these words, as no `requests` would."""
    nonce = secrets.token_hex(8)
    if verb == "start":
        head = ["start", client.shell, nonce, client.run, f"base={client.base}"]
        request = command_line.command(
            client.shell, nonce, command_line.SUPERVISOR, [*head, *words]
        )
    else:
        request = command_line.in_run(client.directory, verb, nonce, client.shell, *words)
    reply = replies.parse(nonce, client.output(request))
    client.directory = reply.directory or client.directory
    return reply


def test_a_word_that_is_not_known_is_refused(clients: dict[str, Client]) -> None:
    for client in clients.values():
        refused = {"*": "a word of the request is not known: colour"}
        assert ask(client, "start", "colour=$(exit)", *OF_A_JOB, f"id={client.run}-1").refused == (
            refused
        )
        for verb in ("await", "tail", "cancel", "clean", "follow", "unfollow"):
            assert ask(client, verb, "colour=red=blue").refused == refused


@pytest.mark.parametrize("name", [word.partition("=")[0] for word in OF_A_JOB[:-1]])
def test_a_job_that_lacks_a_word_is_refused_with_its_request(local: Client, name: str) -> None:
    words = [word for word in OF_A_JOB if not word.startswith(f"{name}=")]
    reply = ask(local, "start", *words, f"id={local.run}-1")
    assert name in reply.refused["*"].removeprefix("the request lacks one of the words: ").split()
    assert not reply.started


@pytest.mark.parametrize(
    ("verb", "lacking"),
    [
        ("await", ["expire_s=1", "budget=9"]),
        ("await", ["expire_s=1", "budget=9", "stream=0", *OF_A_JOB[1:], "id=0-1"]),
        ("tail", ["id=0-1"]),
        ("store", ["id=0-1"]),
        ("clean", []),
        ("follow", ["expire_s=1", "budget=9"]),
        ("follow", ["expire_s=1", "budget=9", "stream=0", *OF_FOLLOW[1:], "id=0-1"]),
        ("unfollow", []),
    ],
)
def test_a_request_that_lacks_a_word_is_refused(
    local: Client, verb: str, lacking: list[str]
) -> None:
    ask(local, "start")  # of no job
    assert ask(local, verb, *lacking).refused["*"].startswith("the request lacks")


def test_what_is_a_jobs_own_does_not_hold_for_the_next(local: Client) -> None:
    reply = ask(local, "start", *OF_A_JOB, f"id={local.run}-1", f"id={local.run}-2")
    assert reply.refused["*"].startswith("the request lacks one of the words")
    assert not reply.started


def test_each_job_has_its_own_words(clients: dict[str, Client]) -> None:
    given: list[dict[str, Any]] = [
        {"timeout": 50, "grace": 3},
        {"timeout": 40, "grace": 3, "output_limit": 5000},
        {"timeout": 50, "grace": 4, "retry_every": 0.1, "rc": {0, 3}},
    ]
    for client in clients.values():
        specs = [client.spec(f"c{n}", "sleep 91", **terms) for n, terms in enumerate(given)]
        ends = client.spec("ends", "exit 2")
        again = client.spec("again", "[ -e f ] || { >f; exit 1; }", retry_every=0.1)
        reply = client.start(ends, *specs, again)
        assert reply.started == {spec.id for spec in (ends, *specs, again)}
        states = [next(path(client, spec).glob("state.run.*")).name for spec in specs]
        limits = [tuple(state.split(".")[3:5]) for state in states]
        assert limits == [("5000", "300"), ("4000", "300"), ("5000", "400")]
        assert client.results(ends)["ends"].attempts == 1
        ask(client, "cancel", *(f"id={spec.id}" for spec in specs))
        assert set(client.results(*specs)) == {"c0", "c1", "c2"}


def path(client: Client, spec: Spec) -> Path:
    return Path(client.directory.decode()) / spec.id


# --- what is said once holds for all behind it ----------------------------------------------------

CHECKS = st.fixed_dictionaries(
    {
        "timeout": st.sampled_from([1, 60]),
        "grace": st.sampled_from([0, 5]),
        "output_limit": st.sampled_from([1000, 2000]),
        "retry_every": st.sampled_from([None, 1, 0.5]),
        "rc": st.sampled_from([0, {0, 2}]),
    }
)


OWN = (
    "terms", "spec_size", "spec", "ready_timeout_cs", "ready_size", "ready", "pattern", "unready",
    "every_cs", "sample_timeout_cs", "window",
)  # fmt: skip


def jobs_in(request: str) -> Iterator[dict[str, str]]:
    """Yield what a request says of each job, as the target reads it."""
    said: dict[str, str] = {}
    for word in words_of(request):
        name, _, value = word.partition("=")
        said[name] = value
        if name == "id":
            yield dict(said)
            for own in OWN:
                said[own] = ""


@settings(deadline=None, max_examples=50)
# A request has room for more than 500 characters: the parts of a script are cut by that.
@given(st.lists(CHECKS, max_size=6), st.integers(600, 3000))
def test_a_request_says_of_each_job_all_that_there_is_to_say(
    given: list[dict[str, object]], room: int
) -> None:
    specs = []
    for number, terms in enumerate(given):
        check = make_check(f"c{number}", "true", terms, timeout_s=60, directory=Path())
        digest = check.terms("salt")
        specs.append(Spec(check.id_on("here", "0123456789ab", digest), check, digest))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "_room", lambda: room)  # so that several requests are needed
        asked = list(requests.start_requests("0123456789ab", "", specs, iter("abcdef")))
    jobs = [job for _, request, _ in asked for job in jobs_in(request)]
    for spec, job in zip(specs, jobs, strict=True):
        assert isinstance(spec.task, Check)
        check = spec.task
        every = check.retry_every_s
        assert float(job.get("retry_every_s") or 0) == (every or 0)
        assert int(job["timeout_cs"]) == check.timeout_s * 100
        assert int(job["grace_cs"]) == check.grace_s * 100
        assert int(job["output_limit"]) == check.output_limit
        assert set(map(int, job["rc"].split(","))) == check.rc
        assert (job["id"], job["terms"], job["script_size"]) == (spec.id, spec.terms, "0")
        assert job["spec"] == command_line.encode(specification(spec.task))
    waits = requests.await_request(b"/d/0123456789ab", "a", 1, specs)
    names = ("timeout_cs", "grace_cs", "output_limit", "id")
    assert [[job[n] for n in names] for job in jobs_in(waits)] == [
        [job[n] for n in names] for job in jobs
    ]


def test_a_request_says_of_a_service_how_it_becomes_ready_and_of_a_check_nothing_of_it() -> None:
    tasks = [
        Service("web", ("a",), "a", ready_argv=("curl", "-f"), env=(("A", "1"),), cwd="d"),
        Check("c", ("b",), "b"),
        Service("mail", ("a",), "a", ready_output="^a'\\^", ready_timeout_s=0.5),
    ]
    specs = [Spec(task.id_on("here", "0123456789ab"), task) for task in tasks]
    ((_, request, started),) = requests.start_requests("0123456789ab", "", specs, iter("a"))
    assert started == tuple(specs)
    look = "enter 'd'\nbecome 'A=1' 'curl' '-f'\n"
    names = (*OWN[3:7], "rc")
    assert [[job.get(name, "") for name in names] for job in jobs_in(request)] == [
        ["3000", str(len(look)), command_line.encode(look), "", ""],
        ["", "", "", "", "0"],
        ["50", "0", "", command_line.encode("^a'\\^"), ""],
    ]
    waits = requests.await_request(b"/d/0123456789ab", "a", 1, specs, unready={specs[2].id})
    assert [job.get("unready", "") for job in jobs_in(waits)] == ["", "", "1"]


def test_a_request_says_of_a_probe_how_often_it_is_to_look_and_for_how_long() -> None:
    tasks = [
        Probe("vip", ("a",), "a", every_s=0.5, sample_timeout_s=2.5, rc=frozenset({0, 3})),
        Check("c", ("b",), "b"),
        Probe("db", ("a",), "a", every_s=0.001),
    ]
    specs = [Spec(task.id_on("here", "0123456789ab"), task) for task in tasks]
    ((_, request, _),) = requests.start_requests("0123456789ab", "", specs, iter("a"))
    names = ("every_cs", "sample_timeout_cs", "timeout_cs", "rc")
    assert [[job.get(name, "") for name in names] for job in jobs_in(request)] == [
        ["50", "250", "360000", "0,3"],
        ["", "", "36000", "0"],
        ["1", "1000", "360000", "0"],
    ]


def test_windows_are_opened_and_closed_by_their_own_ids_and_those_of_their_probes() -> None:
    probes = [Probe(name, ("a",), "a", grace_s=grace) for name, grace in (("x", 5), ("y", 1))]
    specs = [Spec(probe.id_on("here", "0123456789ab"), probe) for probe in probes]
    windows = list(zip(specs, ("w1", "w2"), strict=True))
    opens = requests.open_request(b"/d/0123456789ab", "a", windows)
    ids = [{"window": id, "id": spec.id} for spec, id in windows]
    assert [{name: job[name] for name in ("window", "id")} for job in jobs_in(opens)] == ids
    limits = {"timeout_cs": "360000", "output_limit": str(1 << 20), "expire_s": "15"}
    closes = requests.close_request(b"/d/0123456789ab", "a", 15, windows)
    assert words_of(closes)[0:3:2] == ["in", "close"]
    assert [
        {name: job[name] for name in (*limits, "grace_cs", "window", "id")}
        for job in jobs_in(closes)
    ] == [limits | {"grace_cs": grace} | id for grace, id in zip(("500", "100"), ids, strict=True)]


def test_a_large_ready_command_is_sent_as_files() -> None:
    service = Service("web", ("a",), "a", ready_argv=("b" * 60_000,))
    spec = Spec(service.id_on("here", "0123456789ab"), service)
    asked = list(requests.start_requests("0123456789ab", "", [spec], iter("abcdefg")))
    assert [len(request) <= 1.1 * requests.REQUEST_LIMIT for _, request, _ in asked]
    words = [word for _, request, _ in asked for word in words_of(request)]
    data = [word[5:] for word in words if word.startswith("data=")]
    assert "".join(data) == command_line.encode(look_specification(service))
    assert f"file=look-{spec.id}.0.0000" in words
    assert not [word for word in words if word.startswith("ready=")]
