"""Probes on hosts that are cut off, paused, killed or misled about the time."""

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.machines import ChrootDir, DockerEngine, Namespace, SSHServer, applets

pytestmark = [pytest.mark.usefixtures("own_tmpdir"), pytest.mark.once]

HEAD = """
import os, pathlib, shutil, signal, subprocess, threading, time
import pytest
from pytest_bgcheck import background_probe

FOLDER = pathlib.Path(__file__).parent

def ask(what):
    "Have the machine harmed, or mended, and wait until it is."
    (FOLDER / f"{what}.asked").touch()
    while not (FOLDER / f"{what}.done").exists():
        time.sleep(0.02)

def down_for(seconds, name="up"):
    (FOLDER / name).rename(FOLDER / "down")
    time.sleep(seconds)
    (FOLDER / "down").rename(FOLDER / name)
    time.sleep(0.5)

def processes(job, *kinds):
    "Return the pids of a probe's prober (run), of its guard (guard), of its sample (sample)."
    words = {f"{kind}:{job.id}".encode() for kind in kinds if kind != "sample"}
    mark = f"PYTEST_BGCHECK_JOB={job.id}".encode() if "sample" in kinds else None
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if words & set((entry / "cmdline").read_bytes().split(b"\\0")) or (
                mark in (entry / "environ").read_bytes().split(b"\\0")
            ):
                found.append(int(entry.name))
        except OSError:
            pass  # it has ended meanwhile
    return found

def send(number, job, *kinds):
    for pid in processes(job, *kinds):
        os.kill(pid, number)

def pause_in_sample(job, seconds):
    "Stop all of a probe for a while, beginning when a sample has just begun."
    before = processes(job, "sample")
    while not set(processes(job, "sample")) - set(before):
        time.sleep(0.01)
    kinds = "run", "guard", "sample"
    send(signal.SIGSTOP, job, *kinds)
    time.sleep(seconds)
    send(signal.SIGCONT, job, *kinds)
    time.sleep(1.5)

def probe(host, command="[ -e up ]", **given):
    return background_probe(command, every=0.2, host=host, cwd=str(FOLDER), **given)
"""

PATIENCE_S = 3.0
CONFTEST = f"""
from pytest_bgcheck.target import proving, watching
proving.ANSWER_S = watching.ANSWER_S = {PATIENCE_S}
"""
"""For runs whose targets stay away: what is decided stays the same."""


def harmed(
    pytester: pytest.Pytester,
    text: str,
    *options: str,
    actions: "Mapping[str, Callable[[], None]]" = {},  # noqa: B006
) -> dict[str, str]:
    """Run a suite, doing meanwhile what its tests ask for; return what each test said."""
    folder = pytester.path
    (folder / "up").touch()
    pytester.makepyfile(test_it=HEAD + text)
    command = [sys.executable, "-m", "pytest", "-pno:xdist", "--bgcheck-order=keep",
               "--junitxml=j.xml", "--bgcheck-report=r.json", *options]  # fmt: skip
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 150
            while process.poll() is None:
                assert time.monotonic() < deadline, (folder / "out").read_text()
                for name, act in actions.items():
                    asked, done = folder / f"{name}.asked", folder / f"{name}.done"
                    if asked.exists() and not done.exists():
                        act()
                        done.touch()
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
    print((folder / "out").read_text())
    said = {}
    for case in ET.parse(folder / "j.xml").iter("testcase"):
        bad = [part.text or "" for part in case if part.tag in ("failure", "error")]
        said[case.attrib["name"]] = "\n".join(bad)
    return said


def not_proven(said: str) -> bool:
    """Whether a test failed because nobody knows: it says neither up nor down."""
    first = said.partition("\n")[0]
    return (
        re.match(r"background probe '\w+' on \S+: not proven: \S", first) is not None
        and "down for" not in first
        and "available" not in first
    )


def down_s(said: str) -> float:
    """Return how long a failed test says that it was down."""
    found = re.match(r"background probe '\w+' on \S+: down for ([0-9.]+) s", said)
    assert found is not None, said
    return float(found[1])


# --- the prober and its files ---------------------------------------------------------------------

HARMED = """
SSH = "ssh://target"
killed = probe(SSH)
guard_killed = probe(SSH)
both_killed = probe(SSH)
stopped = probe(SSH)
removed = probe(SSH)
paused = probe(SSH)
held = probe(SSH, "sleep 0.7")
held_over = probe(SSH, "sleep 0.7", timeout=2)
hangs = probe(SSH, "[ -e hangs ] || exec sleep 94", timeout=1)

@pytest.mark.bgcheck("killed")
def test_killed(killed):
    send(signal.SIGKILL, killed, "run")

@pytest.mark.bgcheck("guard_killed")
def test_guard_killed(guard_killed):
    send(signal.SIGKILL, guard_killed, "guard")
    time.sleep(1)

@pytest.mark.bgcheck("both_killed")
def test_both_killed(both_killed):
    send(signal.SIGKILL, both_killed, "run", "guard")

@pytest.mark.bgcheck("stopped")
def test_stopped(stopped):
    time.sleep(0.5)
    send(signal.SIGSTOP, stopped, "run")

@pytest.mark.bgcheck("removed")
def test_removed(removed):
    (directory,) = pathlib.Path(os.environ["TMPDIR"]).glob(f"pytest-bgcheck-*/*/{removed.id}")
    shutil.rmtree(directory)

@pytest.mark.bgcheck("paused", max_outage=1)
def test_paused(paused):
    send(signal.SIGSTOP, paused, "run", "guard")
    time.sleep(3)
    send(signal.SIGCONT, paused, "run", "guard")
    time.sleep(0.5)

@pytest.mark.bgcheck("held", max_outage=1.5)
def test_held(held):
    pause_in_sample(held, 3)

@pytest.mark.bgcheck("held_over", max_outage=1.5)
def test_held_over(held_over):
    pause_in_sample(held_over, 3)

@pytest.mark.bgcheck("hangs")
def test_hangs():
    down_for(2, "hangs")
"""


def test_a_harmed_prober_proves_nothing_and_a_new_guard_loses_nothing(
    pytester: pytest.Pytester, own_tmpdir: Path, ssh_server: SSHServer
) -> None:
    (pytester.path / "hangs").touch()
    pytester.makeconftest(CONFTEST)
    said = harmed(
        pytester, HARMED, f"--ssh-config={ssh_server.client_config}", f"--bgcheck-dir={own_tmpdir}"
    )
    for name in (
        *("killed", "both_killed", "stopped", "removed"),
        *("paused", "held", "held_over"),
    ):
        assert not_proven(said[f"test_{name}"]), said[f"test_{name}"]
    assert said["test_guard_killed"] == ""
    assert down_s(said["test_hangs"]) > 1.0
    assert "killed" in said["test_hangs"]


# --- the line -------------------------------------------------------------------------------------

CUT_OFF = """
def later(what):
    threading.Timer(2, ask, [what]).start()

near, far = "ssh://near", "ssh://far"
for host in near, far:
    for name in "briefly", "leaving", "for_good":
        globals()[f"{name}_{host[6:]}"] = probe(host)

@pytest.mark.bgcheck("briefly_near", "briefly_far")
def test_briefly():
    ask("cut")
    down_for(1)
    time.sleep(1)
    ask("mend")

@pytest.mark.bgcheck("leaving_near", "leaving_far", max_outage=0.4)
def test_while_it_leaves():
    ask("cut_again")
    down_for(1)
    later("mend_again")

@pytest.mark.bgcheck("for_good_near")
def test_for_good_near():
    ask("cut_for_good")

@pytest.mark.bgcheck("for_good_far")
def test_for_good_far():
    pass
"""


def test_a_host_that_is_cut_off_for_a_while_has_seen_all_and_else_nothing_is_proven(
    pytester: pytest.Pytester, own_tmpdir: Path
) -> None:
    pytester.makeconftest(CONFTEST)
    with Namespace() as network, SSHServer(names=["near"]) as near, SSHServer(
        names=["far"], runner=network.enter, address=network.address
    ) as far:  # fmt: skip

        def cut() -> None:
            network.cut()
            near.go_down()

        def mend() -> None:
            network.mend()
            near.come_back()

        config = pytester.path / "ssh_config"
        config.write_text(f"Include {near.client_config}\nInclude {far.client_config}\n")
        actions = {"cut": cut, "mend": mend, "cut_again": cut, "mend_again": mend}
        actions["cut_for_good"] = cut
        said = harmed(
            pytester,
            CUT_OFF,
            f"--ssh-config={config}",
            f"--bgcheck-dir={own_tmpdir}",
            actions=actions,
        )
        mend()
    for test in ("test_briefly", "test_while_it_leaves"):
        for host in ("near", "far"):
            assert f"on ssh://{host}: down for " in said[test]
    assert not_proven(said["test_for_good_near"])
    assert not_proven(said["test_for_good_far"])


# --- the machine ----------------------------------------------------------------------------------

CONTAINERS = """
def docker(*words):
    subprocess.run(["docker", *words], check=True, stdout=subprocess.DEVNULL)

def of(name):
    return background_probe("[ ! -e /tmp/down ]", every=0.2, host=f"docker://{name}")

paused, paused_as_it_closes, down_and_paused = of(PAUSED), of(PAUSED), of(PAUSED)
killed, restarted = of(KILLED), of(RESTARTED)

@pytest.mark.bgcheck("paused", max_outage=1)
def test_paused():
    docker("pause", PAUSED)
    time.sleep(3)
    docker("unpause", PAUSED)
    time.sleep(0.5)

@pytest.mark.bgcheck("down_and_paused", max_outage=1)
def test_down_and_paused():
    docker("exec", PAUSED, "touch", "/tmp/down")
    time.sleep(2)
    docker("exec", PAUSED, "rm", "/tmp/down")
    time.sleep(0.5)
    docker("pause", PAUSED)
    time.sleep(3)
    docker("unpause", PAUSED)

@pytest.mark.bgcheck("paused_as_it_closes")
def test_paused_as_it_closes():
    docker("pause", PAUSED)
    threading.Timer(3, docker, ["unpause", PAUSED]).start()

@pytest.mark.bgcheck("killed")
def test_killed():
    docker("kill", KILLED)

@pytest.mark.bgcheck("restarted")
def test_restarted():
    docker("restart", "-t0", RESTARTED)
"""


def test_a_container_that_is_paused_or_ended_proves_nothing_but_what_was_seen_before(
    pytester: pytest.Pytester, docker_engine: DockerEngine
) -> None:
    containers = {
        name: docker_engine.container(stays=name == "RESTARTED")
        for name in ("PAUSED", "KILLED", "RESTARTED")
    }
    names = "".join(f"{name} = {c.name!r}\n" for name, c in containers.items())
    said = harmed(pytester, names + CONTAINERS)
    containers["RESTARTED"].remove()
    containers["PAUSED"].remove()
    for name in ("paused", "paused_as_it_closes", "killed", "restarted"):
        assert not_proven(said[f"test_{name}"]), said[f"test_{name}"]
    assert 1.0 < down_s(said["test_down_and_paused"]) < 3.0


# --- its clock ------------------------------------------------------------------------------------

STEPPING = """#!/bin/sh
# The time as date +%s tells it; from one moment on an hour later, and then not any more.
: >/tmp/now.$$; at=$(stat -c %Y /tmp/now.$$); rm /tmp/now.$$
[ ! -e /tmp/forth ] || at=$((at + 3600))
[ ! -e /tmp/back ] || at=$((at - 3600))
echo $at
"""

STEPS = """
TMP = pathlib.Path(ROOT, "tmp")
(TMP / "up").touch()
sees = background_probe("[ -e /tmp/up ]", every=1, host=ROOT)

@pytest.mark.bgcheck("sees")
def test_no_step():
    time.sleep(2)
    (TMP / "up").unlink()
    time.sleep(4)
    (TMP / "up").touch()
    time.sleep(3)

@pytest.mark.bgcheck("sees", max_outage=60)
def test_up():
    time.sleep(3)

@pytest.mark.bgcheck("sees", max_outage=60)
def test_forth():
    time.sleep(2)
    (TMP / "forth").touch()
    time.sleep(3)

@pytest.mark.bgcheck("sees")
def test_back():
    time.sleep(2)
    (TMP / "back").touch()
    time.sleep(3)

@pytest.mark.bgcheck("sees", max_outage=60)
def test_after_it():
    time.sleep(3)
"""


def test_without_proc_a_clock_that_is_stepped_proves_nothing(pytester: pytest.Pytester) -> None:
    """There is nothing but the clock on the wall to tell how long anything took."""
    # An applet of busybox would be found ahead of the program.
    with ChrootDir(proc=False, applets=applets() - {"date"}) as chroot:
        date = chroot.path / "bin/date"
        date.write_text(STEPPING)
        date.chmod(0o755)
        said = harmed(
            pytester,
            f"ROOT = {str(chroot.path)!r}\n" + STEPS,
            "--connection=chroot",
            "--bgcheck-dir=/tmp",
        )
    assert 2.0 <= down_s(said["test_no_step"]) <= 7.0
    assert said["test_up"] == ""
    assert not_proven(said["test_forth"])
    assert not_proven(said["test_back"])
    assert said["test_after_it"] == ""


JUMPING = """#!/bin/sh
# Forward by a year, and back.
n=$(($(cat {folder}/n) + 1)); echo $n >{folder}/n
echo $(($(/bin/date +%s) + n % 2 * 31000000))
"""


def test_with_proc_a_clock_that_jumps_changes_nothing(
    pytester: pytest.Pytester, own_tmpdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "n").write_text("0\n")
    (programs / "date").write_text(JUMPING.format(folder=programs))
    (programs / "date").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    suite = """
sees = probe("local://")
@pytest.mark.bgcheck("sees")
def test_it(): down_for(1)
"""
    said = harmed(pytester, suite, f"--bgcheck-dir={own_tmpdir}")
    assert 0.5 < down_s(said["test_it"]) < 10
