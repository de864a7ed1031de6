"""The wall time of 20 checks of 3 s on one host: a plain connection, a shared one, a long line."""

from __future__ import annotations

from dataclasses import replace

from .contenders import Contender, interleaved, timed
from .lab import Lab, Target, Task
from .playbooks import AS_IT_STANDS, BEST, PATIENT, Play

NAME = "wall"
TITLE = "20 checks of 3 s on one ssh host"
CHECKS, SECONDS = 20, 3
ROUND_TRIP_S = 0.05
US, LIMIT = "pytest-bgcheck", "limit: pytest with one `true`, + 3 s"


def run(lab: Lab) -> None:
    _case(lab, "ssh", lab.ssh, aim=1.10)
    _case(lab, "ssh, shared connection", lab.shared, aim=1.10, warm=True)
    with lab.line(ROUND_TRIP_S) as (_, target):
        _case(lab, "ssh, 50 ms a round trip", target, aim=1.15)
    lab.record.note(
        NAME,
        "One after the other is what the first check took, and 19 times what the second and the"
        " third took. The 50 ms are those of a TCP proxy on loopback, which also models the"
        " connection's set-up and TCP's slow start, because not every kernel has netem.",
    )
    lab.record.note(
        NAME,
        "What takes long was measured once. Ansible shares connections by its own default; where"
        " the line is shared they are there already, for it as for the others.",
    )


def _case(lab: Lab, case: str, target: Target, aim: float, warm: bool = False) -> None:
    record = lab.record
    task = Task(target, [f"sleep {SECONDS}"] * CHECKS)
    if target == lab.shared:
        lab.pytest("one_true", task)  # makes the shared connection

    def limit() -> None:
        wall_s = lab.pytest("one_true", task).usage.wall_s
        record.add(NAME, case, LIMIT, "wall", "s", wall_s + SECONDS)

    def serial() -> None:
        first_s, third_s = (
            lab.pytest("blocking", replace(task, commands=task.commands[:n])).usage.wall_s
            for n in (1, 3)
        )
        all_s = first_s + (CHECKS - 1) * (third_s - first_s) / 2
        record.add(NAME, case, "one after the other", "wall", "s", all_s)

    def ansible(play: Play) -> Contender:
        return timed(record, NAME, case, play.name, lambda: lab.ansible(play, task, warm), 1)

    others = [
        timed(
            record, NAME, case, "pytest -n 20 that blocks",
            lambda: lab.pytest("blocking", task, "-n20"), 1,
        ),
        ansible(BEST),
        ansible(PATIENT),
        ansible(AS_IT_STANDS),
        timed(
            record, NAME, case, "nohup, polled each second",
            lambda: lab.pytest("polling", task), 1,
        ),
        Contender("one after the other", serial, 1),
    ]  # fmt: skip
    interleaved(
        record,
        NAME,
        lab.repeats(5, 2),
        [
            Contender(LIMIT, limit),
            timed(record, NAME, case, US, lambda: lab.pytest("background", task)),
            *(others[: 2 if target == lab.ssh else 0] if lab.quick else others),
        ],
    )  # fmt: skip
    ratio = record.median(NAME, case, US, "wall") / record.median(NAME, case, LIMIT, "wall")
    record.aim(NAME, f"{case}: at most {aim:.2f} x the limit", f"{ratio:.3f} x", ratio <= aim)
