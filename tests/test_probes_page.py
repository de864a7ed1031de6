"""What docs/probes.md shows: each suite and each recipe, run."""

import http.server
import re
import socket
import socketserver
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.machines import SSHServer, tool
from support.servers import Answers, free_port, serving

PAGE = Path(__file__).parents[1].joinpath("docs/probes.md").read_text("utf-8")

PACKAGES = {
    "bash": "bash",
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "nc": "netcat-openbsd",
    "ping": "iputils-ping",
    "wget": "wget",
}

NOT_RUN = ("psql", "mysql", "redis-cli", "systemctl")
"""There is no database and no systemd where the tests run."""


def recipes() -> list[str]:
    """Return each command of the table of samples."""
    found = re.search(r"^\| what answers \| command \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.M)
    assert found is not None
    rows = re.findall(r"^\|.*?\| `(.*)` \|$", found[1].replace(r"\|", "\0"), re.M)
    return [row.replace("\0", "|") for row in rows]


class Names(socketserver.BaseRequestHandler):
    """A name server that answers each question with 127.0.0.1."""

    def handle(self) -> None:
        question, reply = self.request
        name_ends = question.index(b"\0", 12) + 5
        flags_and_counts = b"\x84\0\0\1\0\1\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1"
        answer = question[:2] + flags_and_counts + question[12:name_ends] + record
        reply.sendto(answer, self.client_address)


class AwayForAWhile(Answers):
    """Answers some requests, then some with 503, then all again."""

    count = 0

    def do_GET(self) -> None:
        AwayForAWhile.count += 1
        if 3 < AwayForAWhile.count < 8:
            self.send_error(503)
        else:
            super().do_GET()


@contextmanager
def taking_no_more() -> Iterator[int]:
    """Give a port whose listener is full: who connects to it waits. Over UDP nobody answers it."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listening.getsockname()[1]
        silent = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        silent.bind(("127.0.0.1", port))
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def good(recipe: str, port: int, words: dict[str, str]) -> bool:
    """Return whether a recipe finds that all is well on a port, where some words mean others."""
    known = {
        "//vip/": f"//127.0.0.1:{port}/",
        "vip 80": f"127.0.0.1 {port}",
        "/vip/80": f"/127.0.0.1/{port}",
        "dig ": f"dig -p {port} ",
        "@vip": "@127.0.0.1",
        "-W1 vip": "-W1 127.0.0.1",
        " app ": f" -p {port} -o HostName=127.0.0.1 target ",
    }
    command = recipe
    for word, real in {**known, **words}.items():
        command = command.replace(word, real)
    assert command != recipe
    return subprocess.run(command, shell=True, capture_output=True, timeout=30).returncode == 0


@pytest.mark.once
@pytest.mark.parametrize(
    "recipe", [row for row in recipes() if not any(name in row for name in NOT_RUN)]
)
def test_a_recipe_is_good_while_it_is_answered_and_else_bad_within_its_bound(
    recipe: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name, package in PACKAGES.items():
        if re.search(rf"(?:^|[( ]){name} ", recipe):
            tool(name, package)
    words = {}
    if "ssh " in recipe:
        server: SSHServer = request.getfixturevalue("ssh_server")
        words["ssh "] = f"ssh -F {server.client_config} "
    # Where nobody can be made to hang, only what is not there is bad.
    elsewhere = {
        "-W1 vip": "-W1 255.255.255.255",
        "shop.example": "shop.invalid",
        "/mnt/share": f"{tmp_path}/not-mounted",
    }
    assert not good(recipe, free_port(), {**words, **elsewhere})
    if not any(word in recipe for word in ("ping ", "getent ", "stat -f ")):
        with taking_no_more() as port:
            assert not good(recipe, port, words)
    there = {**words, "getent hosts shop.example": "getent hosts localhost", "/mnt/share": "/"}
    with ExitStack() as stack:
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        names = socketserver.UDPServer(("127.0.0.1", web.server_port), Names)
        stack.enter_context(serving(web))
        stack.enter_context(serving(names))
        port = server.port if "ssh " in recipe else web.server_port
        assert good(recipe, port, there)


def test_all_that_the_page_shows_passes(
    pytester: pytest.Pytester, tmp_path: Path, ssh_server: SSHServer
) -> None:
    for name in ("curl", "nc"):
        tool(name, PACKAGES[name])
    log = tmp_path / "app.log"
    log.touch()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    words = {
        "//vip/": f"//127.0.0.1:{web.server_port}/",
        "//gateway/": f"//127.0.0.1:{web.server_port}/",
        "vip 80": f"127.0.0.1 {web.server_port}",
        "localhost:8080": f"127.0.0.1:{web.server_port}",
        "ssh://bastion": "ssh://target",
        "/var/log/app.log": str(log),
        "/opt/app/verify-backup": "true",
        # What takes long enough for a sample.
        "/opt/app/": "sleep 1.5 && : ",
        '["ansible-playbook", ': '["sleep", "1.5"] or [',
        "(deploy): ...": "(deploy): __import__('time').sleep(1.5)",
    }
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    for n, block in enumerate(blocks):
        for word, real in words.items():
            block = block.replace(word, real)
        pytester.path.joinpath(f"test_{n}.py").write_text(block)
    with serving(web):
        result = pytester.runpytest_subprocess(
            "-v", f"--ssh-config={ssh_server.client_config}", timeout=120
        )
    result.assert_outcomes(passed=sum(block.count("\ndef test_") for block in blocks))
    result.stdout.no_fnmatch_line("*judged by no test*")


@pytest.mark.once
@pytest.mark.parametrize(
    ("vip", "gateway", "rc"),
    [(True, True, 0), (True, False, 0), (False, True, 1), (False, False, 127)],
)
def test_a_sample_tells_an_outage_from_that_of_its_own_network(
    vip: bool, gateway: bool, rc: int
) -> None:
    tool("curl", PACKAGES["curl"])
    found = re.search(r'^LOOK = """\n(.*?)"""', PAGE, re.M | re.S)
    assert found is not None
    command = found[1]
    with ExitStack() as stack:
        for name, answers in [("vip", vip), ("gateway", gateway)]:
            port = free_port()
            if answers:
                server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
                stack.enter_context(serving(server))
                port = server.server_port
            command = command.replace(f"//{name}/", f"//127.0.0.1:{port}/")
        ran = subprocess.run(["sh", "-c", command], capture_output=True, timeout=30)
    assert ran.returncode == rc


def test_an_outage_is_told_as_the_page_shows_it(
    pytester: pytest.Pytester, ssh_server: SSHServer
) -> None:
    tool("curl", PACKAGES["curl"])
    found = re.search(r"^A failure reads like this:\n\n```\n(.*?)```", PAGE, re.M | re.S)
    assert found is not None
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), AwayForAWhile)
    block = re.findall(r"```python\n(.*?)```", PAGE, re.S)[0]
    words = {
        "//vip/": f"//127.0.0.1:{web.server_port}/",
        "ssh://bastion": "ssh://target",
        '["ansible-playbook", ': '["sleep", "5"] or [',
        "max_outage=5": "max_outage=1",
    }
    shown = found[1]
    for word, real in words.items():
        block, shown = block.replace(word, real), shown.replace(word, real)
    pytester.makepyfile(test_upgrade=block)
    with serving(web):
        result = pytester.runpytest_subprocess(
            f"--ssh-config={ssh_server.client_config}", timeout=120
        )
    result.assert_outcomes(failed=1)
    lines = [re.escape(line) for line in re.sub(r"\d+(?:\.\d+)?", "0", shown).splitlines()]
    told = re.sub(r"\d+(?:\.\d+)?", "0", result.stdout.str())
    assert re.search("^" + "\n".join(lines) + "$", told, re.M), result.stdout.str()
