"""No space, or no file, is left on the target."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.machines import require
from support.machines.machine import run, run_checked
from support.probes import takes
from support.supervisor_client import Client, running

from pytest_bgcheck import OutputCut
from pytest_bgcheck.model import State
from pytest_bgcheck.target import requests

pytestmark = pytest.mark.once


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Client]:
    """A target with a file system of 128 kB and 40 files for its runs."""
    require(os.getuid() == 0, "root, to mount", "run the tests as root")
    path = tmp_path / "small"
    path.mkdir()
    options = "size=128k,nr_inodes=40,mode=700"
    done = run("mount", "-t", "tmpfs", "-o", options, "bgcheck", str(path))
    require(done.returncode == 0, f"the right to mount ({done.stderr})", "run privileged")
    ours = Client(Path("/bin/sh"), path)
    yield ours
    path.joinpath("filler").unlink(missing_ok=True)
    for file in path.glob("inode.*"):
        file.unlink()
    ours.clean()
    run_checked("umount", "--lazy", str(path))


def fill_space(client: Client) -> None:
    run("dd", "if=/dev/zero", f"of={client.base}/filler", "bs=1k")


def fill_inodes(client: Client) -> None:
    for number in range(100):
        try:
            client.base.joinpath(f"inode.{number}").touch()
        except OSError:
            break


@pytest.mark.parametrize("fill", [fill_space, fill_inodes])
def test_a_full_disk_before_the_start_is_not_started_with_the_reason(
    small: Client, fill: Callable[[Client], None]
) -> None:
    fill(small)
    (reason,) = small.start(small.spec("c", "true")).refused.values()
    assert "No space left on device" in reason


def test_a_specification_that_does_not_fit_is_not_started(small: Client) -> None:
    (reason,) = small.start(small.spec("c", ["echo", "x" * 60_000])).refused.values()
    assert "o space left on device" in reason


def test_a_disk_that_fills_with_output_leaves_the_true_rc_and_says_so(small: Client) -> None:
    loud = "trap '' PIPE; yes 2>/dev/null; echo never >&2; exit 5"
    result = small.finish(loud)
    assert (result.state, result.rc) == (State.SUCCEEDED, 5)
    assert result.detail == "output cut short: no space left on the target"
    assert result.stdout_kept.text().startswith("y\ny\n")
    with pytest.raises(OutputCut, match="no space left"):
        assert "never" not in result.stderr


def test_a_wait_without_inodes_goes_on(small: Client) -> None:
    spec = running(small, "sleep 2; echo said")
    fill_inodes(small)
    result = small.results(spec)["c"]
    assert (result.state, result.rc, result.stdout) == (State.SUCCEEDED, 0, "said\n")


def test_a_service_becomes_ready_on_a_full_disk(small: Client) -> None:
    specs = [
        small.service("look", "exec sleep 91", ready="[ -s filler ]", cwd=str(small.base)),
        small.service("never", "exec sleep 91", ready="exit 1", ready_timeout_s=4.0),
    ]
    assert len(small.start(*specs).started) == 2
    fill_space(small)
    fill_inodes(small)
    told = small.decided(*specs)
    assert told["look"].ready_s is not None
    result = told["never"].result
    assert result is not None
    assert result.state is State.NOT_READY


def test_a_probe_goes_on_on_a_full_disk_and_says_what_it_cannot_tell(small: Client) -> None:
    spec = small.probe("c", "[ ! -e down ] || { echo why; exit 3; }", every_s=0.2,
                       cwd=str(small.base))  # fmt: skip
    small.start(spec)
    small.sampled(spec)
    small.open((spec, "w1"), (spec, "w2"))
    small.base.joinpath("down").touch()
    takes(small, 1)
    fill_space(small)
    fill_inodes(small)
    takes(small, 3)
    assert small.open((spec, "w3")).opened == {(spec.id, "w3")}
    life = small.life(spec)
    assert life.bad >= 4
    assert life.down_s >= 0.5
    refused = {spec.id: "no space left on the target"}
    assert small.close((spec, "w1"), expire_s=2).refused == refused
    for file in small.base.glob("inode.*"):
        file.unlink()
    assert small.close((spec, "w3"), expire_s=60).refused == refused
    small.base.joinpath("down").unlink()
    takes(small, 3)
    assert small.life(spec).good >= 4
    for file in (small.base / "filler", *small.base.glob("inode.*")):
        file.unlink()
    seen = small.seen(spec, "w2")
    assert seen.down_s >= 0.5
    # On a full disk the mark ahead of a sample's output has no room, nor what it says.
    assert [outage.rc for outage in seen.outages] == [3]
    small.ask(requests.cancel_request, [spec])
    result = small.results(spec)["c"]
    assert result.window is not None
    assert result.window.bad == seen.bad


def test_a_first_sample_is_told_on_a_full_disk(small: Client) -> None:
    spec = small.probe("c", "[ -e down ]", cwd=str(small.base), rc=frozenset({0, 1}))
    slow = small.probe("slow", "sleep 2", every_s=3)
    small.start(spec, slow)
    fill_space(small)
    fill_inodes(small)
    small.sampled(spec, slow)
    assert small.life(slow).good >= 1
