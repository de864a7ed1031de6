"""What the state of a job on its target says, and how its ready command ended: as a result, and for
people. Pure; imports only model.

A state is a file's name, in a directory that belongs to the job's own user: see
`supervisor/states.sh`.
"""

from __future__ import annotations

from dataclasses import replace

from ..model import Output, Result, State


def number(text: str) -> int:
    """Return the number that a word is: digits, and nothing else that Python takes for one."""
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number")
    return int(text)


REFUSED = {
    "cwd": "its directory (cwd) does not exist there",
    "cwd-closed": "its user may not enter its directory (cwd)",
    "cwd-file": "its cwd is no directory",
    "home": "the run's directory on the target was changed",
    "output": "its output cannot be written on the target",
}
ENDED = {
    "timeout": State.TIMED_OUT,
    "cancel": State.CANCELLED,
    "lost": State.LOST,
    "unready": State.NOT_READY,
}


def result_of(state: str, stdout: Output, stderr: Output) -> Result | None:
    """Return the result that a state says, None if it is no final one.

    An exit is a success here: which codes are accepted, the caller knows. Raises ValueError.
    """
    rc, detail = None, ""
    match state.split(".")[1:]:
        case ["run" | "end", *_]:
            return None
        case ["refused", why] if why in REFUSED:
            return Result(
                State.NOT_STARTED, detail=REFUSED[why], stdout_kept=stdout, stderr_kept=stderr
            )
        case ["exit", code, took_cs, attempts, *more] if len(more) <= 2:
            became, rc = State.SUCCEEDED, number(code)
            if rc > 255:
                raise ValueError(f"{code} is no exit code")
            full = more[:1] == ["full"]
            detail = _detail("exit", 0, *more[full:])
            if full:
                # Which of the two it was, and how much was lost, is not known.
                missing = "no space left on the target"
                detail = "; ".join([f"output cut short: {missing}", *filter(None, [detail])])
                stdout, stderr = replace(stdout, missing=missing), replace(stderr, missing=missing)
        case ["timeout" | "cancel" | "lost" | "unready" as kind, took_cs, attempts, left, *more]:
            became = ENDED[kind]
            detail = _detail(kind, number(left), *more[:2])
        case _:
            raise ValueError(f"an unknown state, {state!r}")
    took_s = number(took_cs) / 100
    return Result(became, rc, took_s, number(attempts), detail, stdout, stderr)


def _detail(kind: str, left: int, note: str = "x", last_rc: str = "") -> str:
    """Return what the state of a job that was ended says for a person."""
    why, *suspects = note.split("-")
    if why not in ("x", "T", "W"):
        raise ValueError(f"an unknown note, {note!r}")
    details = []
    if why == "W":
        details.append("its directory on the target can no longer be written")
    elif kind == "lost":
        details.append("its supervisor was killed, or the target restarted")
    elif why == "T":
        details.append("it had been stopped (SIGSTOP)")
    if last_rc:
        details.append(f"its last complete attempt ended with rc {number(last_rc)}")
    if left:
        details.append(f"{left} of its processes could not be killed")
    if suspects:
        details.append(
            "possibly of this job, so not killed: processes "
            + ", ".join(str(number(pid)) if pid != "0" else "and others" for pid in suspects)
        )
    return "; ".join(details)


def look_detail(look: str) -> str:
    """Return how the last run of a service's ready command ended, for a person."""
    if look == "none":
        return "its ready command has not ended once"
    if look == "killed":
        return "its ready command did not end within 10 s"
    return f"its ready command last ended with rc {number(look)}"
