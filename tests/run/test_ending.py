"""How a run ends where a host does not answer."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SUITE = """
from pytest_bgcheck import background_check
dead = background_check("true", host="ssh://dead", timeout=60)
local = background_check("true", host="local://")

def test_that_waits_for_nothing(dead):
    pass

@pytest.mark.bgcheck("local")
def test_that_waits(local):
    pass
"""


@pytest.fixture
def dead(pytester: pytest.Pytester) -> Iterator[Path]:
    """Yield an ssh_config with a host that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = pytester.path / "ssh_config"
        config.write_text(
            f"Host dead\n HostName 127.0.0.1\n Port {listening.getsockname()[1]}\n"
            " IdentityFile none\n UserKnownHostsFile /dev/null\n"
        )
        yield config


@pytest.mark.parametrize("workers", ["-pno:xdist", "-n1"])
def test_a_dead_host_holds_the_end_for_its_bound_only_and_is_named(
    pytester: pytest.Pytester, dead: Path, own_tmpdir: Path, workers: str
) -> None:
    if workers != "-pno:xdist":
        pytest.importorskip("xdist")
    pytester.makeconftest(
        "from pytest_bgcheck.target import cleaner, runner\n"
        "cleaner.CLEAN_S, cleaner.SETTLE_S = 2.0, 0.5\n"
    )
    pytester.makepyfile("import pytest" + SUITE)
    begun = time.monotonic()
    result = pytester.runpytest_subprocess(workers, f"--ssh-config={dead}")
    took = time.monotonic() - begun
    print(f"{took:.1f} s")
    assert took < 55  # a start is tried for a minute
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["not cleaned up: ssh://dead: *${TMPDIR:-/tmp}/pytest-bgcheck-UID/* may be left there"]
    )
    assert not list(own_tmpdir.glob("pytest-bgcheck-*"))


@pytest.mark.started
def test_a_signal_that_comes_as_the_end_begins_does_not_tear_it_apart(
    pytester: pytest.Pytester, own_tmpdir: Path
) -> None:
    # What ends a run is imported then, and that takes a while.
    pytester.makeconftest(
        "import signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pytest_bgcheck.run.ending': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    pytester.makepyfile(
        "from pytest_bgcheck import background_check\n"
        "check = background_check('true')\n"
        "def test_it(check): assert check.succeeded\n"
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 background check on 1 host: *"])
    assert "KeyboardInterrupt" not in str(result.stderr)
