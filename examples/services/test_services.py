"""A server beside all tests, a load generator during its restart, and a recorder of its log."""

import pytest

from pytest_bgcheck import background_service

# Runs from before the first test until the end of the run. It takes any free port.
web = background_service(script="server.py", ready_output="^listening on ")

LOAD = "while :; do curl -fsS -m5 {url} || echo FAILED; sleep 0.05; done"


@pytest.fixture
def url(web):
    """Return where the server listens: it says so itself."""
    return web.wait_for_output(r"listening on (\S+)")[1]


@pytest.mark.parametrize("page", ["users", "orders", "invoices", "logs"])
@pytest.mark.bgcheck("web")
def test_page(host, url, page):
    assert "version" in host.check_output(f"curl -fsS {url}/{page}")


@pytest.mark.bgcheck("web")
def test_no_request_fails_during_a_restart(host, bgcheck, url):
    # Entered when the first answer is there, left when the load has ended.
    with bgcheck.running(
        LOAD.format(url=url), name="load", host=host, ready_output="^version 1"
    ) as load:
        host.check_output(f"curl -fsS -X POST {url}/restart")
        load.wait_for_output("version 2", timeout=10)
    assert "FAILED" not in load.stdout


@pytest.mark.bgcheck("web")
def test_each_request_is_logged(host, bgcheck, web, url):
    log = web.wait_for_output("logging to (.+)")[1]
    # `tail` has opened the log when the block is entered: no line is missed.
    with bgcheck.running(["tail", "-n0", "-F", log], name="log", host=host) as recorder:
        host.check_output(f"curl -fsS {url}/secret-page")
        recorder.wait_for_output(r"GET /secret-page .* 200", timeout=5)


def test_ordinary_tests_run_meanwhile(host):
    assert host.file("/bin/sh").exists
