"""What docs/services.md shows: each suite and each recipe, run."""

import http.server
import re
import shutil
import socketserver
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.machines import SSHServer, tool
from support.servers import Answers, free_port, serving

PAGE = Path(__file__).parents[1].joinpath("docs/services.md").read_text("utf-8")

PACKAGES = {
    "bash": "bash",
    "busybox": "busybox-static",
    "curl": "curl",
    "nc": "netcat-openbsd",
    "ss": "iproute2",
    "wget": "wget",
}


def recipes() -> list[str]:
    """Return each command of the table of what ``ready`` can wait for."""
    found = re.search(r"^\| until \| `ready=` \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.M)
    assert found is not None
    rows = re.findall(r"^\|.*?\| `(.*)` \|$", found[1].replace(r"\|", "\0"), re.M)
    return [row.replace("\0", "|") for row in rows]


# There is no systemd where the tests run.
@pytest.mark.once
@pytest.mark.parametrize("command", [row for row in recipes() if not row.startswith("systemctl")])
def test_a_recipe_is_true_once_what_it_waits_for_is_there(command: str, tmp_path: Path) -> None:
    for name, package in PACKAGES.items():
        if re.search(rf"(?:^|[( ]){name} ", command):
            tool(name, package)
    port = free_port()
    there = command.replace("8080", str(port)).replace("/var/log/", f"{tmp_path}/")
    there = there.replace("/run/", f"{tmp_path}/")
    assert there != command

    def ready() -> bool:
        ran = subprocess.run(there, shell=True, capture_output=True, timeout=30)
        return ran.returncode == 0

    assert not ready()
    with ExitStack() as stack:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers)
        sock = socketserver.UnixStreamServer(
            str(tmp_path / "app.sock"), socketserver.BaseRequestHandler
        )
        stack.enter_context(serving(server))
        stack.enter_context(serving(sock))
        tmp_path.joinpath("app.log").write_text("starting\nlistening on *:80\n")
        tmp_path.joinpath("app.pid").touch()
        assert ready()


def test_all_that_the_page_shows_passes(
    pytester: pytest.Pytester, tmp_path: Path, ssh_server: SSHServer
) -> None:
    for name in ("curl", "nc"):
        tool(name, PACKAGES[name])
    log = tmp_path / "app.log"
    log.touch()
    with ExitStack() as stack:
        taken = {n: free_port() for n in (8080, 8081, 8082)}
        # What the suites meet on their target: a server to load, and a database.
        for port in (8080, 5432):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
            stack.enter_context(serving(server))
            taken[port] = server.server_port
        python = shutil.which("python3") or sys.executable
        words = {str(port): str(free) for port, free in taken.items()} | {
            "/var/log/app.log": str(log),
            "systemctl reload nginx": "true",
            "python3": python,
            "ssh -N": f"ssh -F {ssh_server.client_config} -N",
            " db1": " target",
        }
        blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
        for n, block in enumerate(blocks):
            text = block
            if "background_service" in block and "8080" in block:  # it is the server itself
                text = text.replace("8080", str(free_port()))
            for word, real in words.items():
                text = text.replace(word, real)
            pytester.path.joinpath(f"test_{n}.py").write_text(text)
        result = pytester.runpytest_subprocess("-v", timeout=120)
    result.assert_outcomes(passed=len(blocks))
    result.stdout.no_fnmatch_line("*judged by no test*")
