"""What the suites do, as Ansible playbooks, and the environment to run them in."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Play:
    """How Ansible is to do it. ``pipelining`` also shares connections for longer."""

    delay_s: int
    pipelining: bool = False
    forks: int = 5
    moments: bool = False
    """Say the moment at which it goes on after each command's end, and what that printed."""
    seed: bool = False
    """The tasks that this project began with: two commands, of which one is awaited."""

    @property
    def name(self) -> str:
        return f"Ansible, delay {self.delay_s}" + (", pipelining" if self.pipelining else "")


AS_IT_STANDS = Play(delay_s=10)
PATIENT = Play(delay_s=1)
# No delay at all: it asks again as soon as it has an answer.
BEST = Play(delay_s=0, pipelining=True, forks=100)

_ASYNC_S = 360


def write(directory: Path, play: Play, commands: Sequence[str], hosts: Sequence[str]) -> None:
    """Write a playbook that starts all commands with async, then waits for each, and its hosts."""
    plays = [{"hosts": "all", "gather_facts": False, "tasks": _tasks(play, commands)}]
    (directory / "playbook.json").write_text(json.dumps(plays, indent=1))
    lines = [f"{host} ansible_python_interpreter={sys.executable}" for host in hosts]
    (directory / "inventory").write_text("\n".join(lines) + "\n")


def _tasks(play: Play, commands: Sequence[str]) -> list[dict[str, Any]]:
    if play.seed:
        return _seed_tasks(play, *commands)
    start = {
        "shell": "{{ item }}",
        "loop": list(commands),
        "async": _ASYNC_S,
        "poll": 0,
        "register": "started",
    }
    patience = {
        "until": "job.finished",
        "retries": _ASYNC_S // max(1, play.delay_s) if play.delay_s else 10_000,
        "delay": play.delay_s,
    }
    if not play.moments:
        wait = {
            "async_status": {"jid": "{{ item.ansible_job_id }}"},
            "loop": "{{ started.results }}",
            "loop_control": {"label": "{{ item.ansible_job_id }}"},
            "register": "job",
            "failed_when": "job.rc | default(0) != 0",
            **patience,
        }
        return [start, wait]
    tasks: list[dict[str, Any]] = [start]
    for number in range(len(commands)):
        jid = f"{{{{ started.results[{number}].ansible_job_id }}}}"
        tasks.append({"async_status": {"jid": jid}, "register": "job", **patience})
        said = f"BENCH check_{number} {{{{ now().timestamp() }}}} {{{{ job.stdout }}}}"
        tasks.append({"debug": {"msg": said}})
    return tasks


def _seed_tasks(play: Play, webapp: str, db: str) -> list[dict[str, Any]]:
    return [
        {
            "name": "Start web app check in background",
            "command": webapp,
            "async": 360,
            "poll": 0,
            "register": "webapp_result",
        },
        {
            "name": "Start DB check in background",
            "command": db,
            "async": 360,
            "poll": 0,
            "register": "db_result",
        },
        {
            "name": "Wait for web app check to finish",
            "async_status": {"jid": "{{ webapp_result.ansible_job_id }}"},
            "register": "job_result",
            "until": "job_result.finished",
            "retries": 36,
            "delay": play.delay_s,
            "failed_when": "job_result.rc != 0",
        },
    ]


def moments(output: str) -> Iterator[tuple[str, float, str]]:
    """Yield name, time and output of each moment that a playbook has told."""
    for name, time, said in re.findall(r"BENCH (\S+) ([\d.]+) ([\d. ]*)", output):
        yield name, float(time), said


def environment(
    base: Mapping[str, str], directory: Path, control: Path, ssh_config: Path, play: Play
) -> dict[str, str]:
    """Return the environment that makes Ansible keep its files to a directory of ours."""
    # ControlMaster and ControlPersist are Ansible's own defaults.
    return {
        **base,
        "ANSIBLE_HOME": f"{directory}/home",
        "ANSIBLE_LOCAL_TEMP": f"{directory}/local",
        "ANSIBLE_REMOTE_TEMP": f"{directory}/remote",
        "ANSIBLE_ASYNC_DIR": f"{directory}/async",
        "ANSIBLE_SSH_CONTROL_PATH": f"{control}/%%n",
        "ANSIBLE_SSH_ARGS": f"-F {ssh_config} -C -o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_PIPELINING": str(play.pipelining),
        "ANSIBLE_FORKS": str(play.forks),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
    }
