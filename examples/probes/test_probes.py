"""Two servers behind a front, restarted while a probe asks the front whether it answers."""

import os
import tempfile

import pytest

from pytest_bgcheck import background_probe, background_service

# Unix sockets, for a port may be taken. Their names are the same for all workers of one run.
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")[:8]
A, B, FRONT = (f"{tempfile.gettempdir()}/shop-{RUN}-{name}" for name in ("a", "b", "front"))

server_a = background_service(script="server.py", args=[A], ready_output="^start 1 listens")
server_b = background_service(script="server.py", args=[B], ready_output="^start 1 listens")
front = background_service(script="front.py", args=[FRONT, A, B], ready_output="^listens")

# `-m1` bounds a sample, and `after` has the first one taken when there is something to see.
vip = background_probe(
    f"curl -fsS -m1 -o /dev/null --unix-socket {FRONT} http://shop/", every=0.2, after="shop"
)


@pytest.fixture(scope="module")
def shop(front, server_a, server_b):
    for service in (front, server_a, server_b):
        service.wait_ready()


@pytest.fixture
def restart(host, shop, server_a, server_b):
    """Return what restarts one server, or both at once, and waits until they listen again."""
    servers = {A: server_a, B: server_b}

    def restart(*sockets):
        ask = "curl -fsS -X POST --unix-socket {} http://shop/restart"
        answers = host.check_output(" && ".join(ask.format(socket) for socket in sockets))
        for socket, answer in zip(sockets, answers.splitlines(), strict=True):
            start = answer.removesuffix(" comes")
            servers[socket].wait_for_output(f"^{start} listens", timeout=30)

    return restart


@pytest.mark.bgcheck("front", "server_a", "server_b", "vip", max_outage=0.5)
def test_the_shop_stays_up_while_one_server_after_the_other_restarts(restart):
    restart(A)
    restart(B)


@pytest.mark.xfail(strict=True, reason="nobody answers while both are away")
@pytest.mark.bgcheck("vip", max_outage=0.5)
def test_the_shop_stays_up_while_both_servers_restart_at_once(restart):
    restart(A, B)


@pytest.mark.bgcheck("server_a", "server_b", "front")
def test_how_long_the_shop_is_away_in_each_step(restart, vip):
    with vip.window() as one:
        restart(A)
    with vip.window() as both:
        restart(A, B)
    assert one.max_outage_s == 0
    assert 0.5 < both.max_outage_s < 10
    assert both.outages[0].last_line.startswith("curl: (22)")
