"""What a check wrote, what a login prints, and an sshd's banner are no words of the transport's."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from hypothesis import given, settings
from hypothesis import strategies as st
from support.machines import SSHServer
from support.machines.machine import wait_until
from support.machines.processes import kill_tree, with_argument
from support.scripted_transport import Scripted, Step, ended, question, started

from pytest_bgcheck import State, originals
from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import BadReply, Gone, Refused, TargetError, Unreachable
from pytest_bgcheck.target import recovery, waiting
from pytest_bgcheck.target.causes import cause, of_exception
from pytest_bgcheck.target.host_transport import HostTransport
from pytest_bgcheck.target.records import Record, Target
from pytest_bgcheck.target.requests import Spec, presence_request
from pytest_bgcheck.target.runner import Runner
from pytest_bgcheck.target.transport import Answer, ask

BAD = BadReply("no reply")

WORDS = [
    "Error response from daemon: No such container: web1",
    "Error response from daemon: Container 4f is not running",
    'Error from server (NotFound): pods "web1" not found',
    "Error: Instance is not running",
    "Error: can only create exec sessions on running containers: container state improper",
    "This account is currently not available.",
    "root@web1: Permission denied (publickey).",
    "Host key verification failed.",
    "sudo: a password is required",
    "rbash: /bin/sh: restricted: cannot specify `/' in command names",
    "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?",
    "bash: /opt/check: command not found",
]
KINDS = ["local", "ssh", "safe-ssh", "docker", "podman", "kubectl", "openshift", "lxc", "chroot"]


def told(
    kind: str,
    rc: int,
    stderr: str | bytes = b"",
    stdout: str | bytes = b"",
    log: str = "",
    begun: bool = False,
) -> TargetError:
    def data(said: str | bytes) -> bytes:
        return said if isinstance(said, bytes) else said.encode()

    return cause(kind, rc, data(stdout), data(stderr), log.encode(), BAD, begun)


OUTPUT = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=40)), max_size=4).map(
        lambda lines: "\n".join(lines).encode("utf-8", "replace")
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.integers(-64, 255), OUTPUT, OUTPUT, OUTPUT, st.booleans())
def test_no_text_of_a_check_changes_a_cause(
    kind: str, rc: int, stdout: bytes, stderr: bytes, other: bytes, begun: bool
) -> None:
    without = told(kind, rc, stderr, begun=begun)
    assert type(told(kind, rc, stderr, stdout, begun=begun)) is type(without)
    # Where a reply began, and where ssh's client ended, stderr is no word of its either.
    if begun or (kind in ("ssh", "safe-ssh") and rc == 255):
        assert isinstance(told(kind, rc, other, stdout, begun=begun), Unreachable)
        assert not isinstance(told(kind, rc, other, stdout, begun=begun), Refused)


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_within_a_line_is_none(kind: str) -> None:
    for word in WORDS:
        for rc in (1, 125, 255):
            for line in (f"={word}", f"my check said: {word}"):
                assert not isinstance(told(kind, rc, line), Refused), (rc, line)


@pytest.mark.parametrize(
    ("kind", "rc", "said", "error"),
    [
        ("docker", 1, "Error: No such container: x", Gone),
        ("docker", 1, "Error response from daemon: No such container: x", Gone),
        ("docker", 1, "Error response from daemon: Container 4f is not running", Gone),
        ("docker", 1, "Error response from daemon: container 4f is not running\n", Gone),
        ("docker", 1, "Error response from daemon: container 4f is paused", BadReply),
        ("docker", 1, WORDS[10], Refused),
        ("docker", 126, "OCI runtime exec failed: exec failed: no such file", Refused),
        ("docker", 137, "", Unreachable),
        ("podman", 125, 'Error: no container with name or ID "x" found: no such container', Gone),
        ("podman", 255, f"{WORDS[4]}", Gone),
        ("kubectl", 1, 'Error from server (NotFound): pods "x" not found', Gone),
        ("kubectl", 1, "Error from server (Forbidden): pods is forbidden", Refused),
        ("lxc", 1, "Error: Instance is not running", Gone),
        ("chroot", 125, "chroot: cannot change root directory to '/x': No such file", Refused),
        ("local", 1, "sudo: a password is required", Refused),
        ("ssh", 1, "web is not in the sudoers file.  This incident will be reported.", Refused),
        ("ssh", 1, "This account is currently not available.", BadReply),
        ("ssh", 0, "", BadReply),
        ("ssh", 127, "sh: not found", Refused),
        ("ssh", 255, "Permission denied (publickey).", Unreachable),
        ("paramiko", -1, "", Unreachable),
        ("docker", 1, "failed to connect to the docker API at unix:///x; check if the path is"
         " correct and if the daemon is running: dial unix /x: connect: no such file", Refused),
        ("kubectl", 1, 'error: context "x" does not exist', Refused),
        ("kubectl", 1, "error: stat /x/kubeconfig: no such file or directory", Refused),
        ("kubectl", 1, "Unable to connect to the server: tls: failed to verify certificate:"
         " x509: certificate has expired", Refused),
        ("kubectl", 1, "Unable to connect to the server: dial tcp: i/o timeout", BadReply),
    ],
)  # fmt: skip
def test_a_code_and_a_whole_line_tell_the_cause(
    kind: str, rc: int, said: str, error: type[TargetError]
) -> None:
    assert type(told(kind, rc, said)) is error


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("x@y: Permission denied (publickey,password).\r\n", Refused),
        ("Warning: Permanently added 'y' to the list.\r\nHost key verification failed.\r", Refused),
        ("ssh: Could not resolve hostname y: Name or service not known", Refused),
        ("ssh: Could not resolve hostname y: Temporary failure in name resolution", Unreachable),
        (
            "c2 line 1: Bad SSH2 cipher spec 'x'.\nc2: terminating, 1 bad configuration options",
            Refused,
        ),
        ("Can't open user config file /c: No such file or directory", Refused),
        ("ControlPath too long ('/tmp/x' >= 108 bytes)", Refused),
        ("ssh: connect to host y port 22: Connection refused", Unreachable),
        ("kex_exchange_identification: Connection closed by remote host", Unreachable),
        ("", Unreachable),
    ],
)
def test_ssh_tells_by_its_own_log(log: str, error: type[TargetError]) -> None:
    caught = told("ssh", 255, "Welcome! This account is not available.\n", log=log)
    assert type(caught) is error
    if log:
        assert "Welcome" not in str(caught)


def test_a_line_whose_beginning_was_not_kept_is_no_whole_line() -> None:
    kept = f"{WORDS[0]}\n" + "noise\n" * 700
    assert len(kept) > 4000
    assert type(told("docker", 1, kept)) is BadReply


def test_the_talk_of_ssh_with_v_is_left_out() -> None:
    log = "ssh: connect to host y port 22: Connection refused\r\ndebug1: Exit status -1\r\n"
    assert str(told("ssh", 255, log=log)) == "ssh: connect to host y port 22: Connection refused"


def test_exceptions_tell_by_their_kind() -> None:
    class AuthenticationException(Exception):
        pass

    class BadAuthenticationType(AuthenticationException):
        pass

    assert type(of_exception(BadAuthenticationType("no"))) is Refused
    assert type(of_exception(AssertionError("stdout: 'No such container: x'"))) is Unreachable
    assert type(of_exception(OSError(24, "Too many open files"))) is Unreachable
    missing = FileNotFoundError(2, "No such file or directory", "ssh_config")
    assert type(of_exception(missing)) is Unreachable
    assert type(of_exception(missing, "paramiko")) is Refused


# --- the second question --------------------------------------------------------------------------

RUN = "0123456789ab"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(recovery, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(waiting, "BATCH_S", 0.01)


def finished(transport: Scripted) -> Record:
    made = make_check("c", "true", {"timeout": 60}, timeout_s=1, directory=Path())
    target, ours = Target("host", "host", transport), Runner(RUN)
    (record,) = ours.submit([(Spec(made.id_on("host", RUN), made), target)])
    assert ours.wait_for(lambda: record.result is not None, [record], 30)
    return record


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    "present", ["NONCE begin none\nNONCE end 0\n", Unreachable("connection reset")]
)
def test_no_job_is_given_up_before_a_second_question_says_the_same(
    streams: bool, present: Step
) -> None:
    name = "NONCE.1" if streams else "NONCE"
    transport = Scripted(
        streams,
        start=[Refused("sudo: a password is required"), started],
        waits=[Gone("No such container: x"), ended("exit.0.5.1", name)],
        present=[present],
    )
    assert finished(transport).state is State.SUCCEEDED
    assert transport.calls[:4] == ["start", "present", "start", "await"]


@pytest.mark.usefixtures("quick")
def test_a_reply_that_began_and_ends_in_such_words_is_a_cut_line() -> None:
    class Cut(Scripted):
        def call(self, *args: object) -> Answer:
            answer = super().call(*args)  # type: ignore[arg-type]
            return Answer(1, answer.stdout, WORDS[0].encode(), "docker")

    with pytest.raises(Unreachable, match="broke off"):
        ask(Cut(present=["NONCE begin hex\n"]), question(presence_request("0" * 16)), 1)


# --- over a real ssh ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    banner = tmp_path_factory.mktemp("banner") / "banner"
    banner.write_text("\n".join(WORDS) + "\n")
    with SSHServer(config=[f"Banner {banner}"]) as ours:
        yield ours


def test_a_cut_connection_is_no_refusal_whatever_was_printed_on_it(
    server: SSHServer, tmp_path: Path
) -> None:
    """A banner, and stdout and stderr full of such words; then the server's end dies."""
    host = testinfra.get_host("ssh://target", ssh_config=str(server.client_config))
    transport = HostTransport(host.backend, None, None)
    words = tmp_path / "words"
    words.write_text("\n".join(WORDS) + "\n")
    caught: list[TargetError] = []

    def wait() -> None:
        try:
            ask(transport, question(f"cat {words}; cat {words} >&2; sleep 31.0273"), 30)
        except TargetError as error:
            caught.append(error)

    calling = threading.Thread(target=wait)
    calling.start()
    assert wait_until(lambda: bool(with_argument("sleep\x0031.0273")), 20)
    server.go_down()
    server.come_back()
    calling.join(30)
    transport.close()
    assert [type(error) for error in caught] == [Unreachable]
    for process in with_argument("sleep\x0031.0273"):
        kill_tree(process.pid)


def test_ssh_that_is_refused_says_so_and_leaves_no_log(
    server: SSHServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(originals.tempfile, "tempdir", None)
    key = tmp_path / "key"
    shutil.copy("/dev/null", key)
    host = testinfra.get_host(
        "ssh://nobody-here@target",
        ssh_config=str(server.client_config),
        ssh_extra_args="-o IdentityFile=none -o IdentitiesOnly=yes",
    )
    transport = HostTransport(host.backend, None, None)
    with pytest.raises(Refused, match="Permission denied"):
        ask(transport, question("true"), 20)
    transport.close()
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
