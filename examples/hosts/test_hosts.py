"""One check on several hosts: started side by side, each test waits for its own."""

import pytest

from pytest_bgcheck import background_check

uptime = background_check("sleep 1; cat /proc/uptime", timeout=60)
local = background_check("sleep 1; echo here", host="local://", timeout=60)


@pytest.mark.bgcheck("uptime")
def test_each_host_is_up(host, uptime):
    assert float(uptime.stdout.split()[0]) > 0


@pytest.mark.bgcheck("uptime")
def test_all_hosts_are_up():
    """A test without a host of its own awaits the check on every host."""


@pytest.mark.bgcheck("local")
def test_pinned(local):
    assert local.stdout == "here\n"
