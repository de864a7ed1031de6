"""Declarations that a loop makes: each needs a variable of its own, and is told so."""

import re
from pathlib import Path

import pytest
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

REFERENCE = Path(__file__).parents[2].joinpath("docs/reference.md").read_text("utf-8")


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_the_loop_of_the_reference_declares_each(pytester: pytest.Pytester, workers: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", REFERENCE, re.S)
    (block,) = (block for block in blocks if "globals()" in block)
    pytester.makepyfile(test_it=block.replace("nc -z localhost", "echo"))
    result = pytester.runpytest_subprocess("-v", workers, timeout=120)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["2 background checks on 1 host*"])


def test_a_loop_in_a_conftest_declares_for_the_modules_below(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="for name in ('a', 'b'):\n"
        "    globals()[f'check_of_{name}'] = background_check(f'echo {name}', name=name)\n",
        test_it="@pytest.mark.bgcheck('a', 'b')\n"
        "def test(a, b): assert (a.stdout, b.stdout) == ('a\\n', 'b\\n')\n",
    )
    result.assert_outcomes(passed=1)


LOOPS = {
    "not assigned": "for name in ('a', 'b'):\n    background_check('true', name=name)",
    "one variable": "for name in ('a', 'b'):\n    check = background_check('true', name=name)",
    "a list": "checks = [background_check('true', name=name) for name in ('a', 'b')]",
    "a function": "def declare():\n"
    "    for name in ('a', 'b'): background_check('true', name=name)\ndeclare()",
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_another_loop_is_told_what_to_write(pytester: pytest.Pytester, loop: str) -> None:
    result = run(pytester, test_it=f"{loop}\ndef test(): pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *test_it.py:*: background check 'a': command 'true' would never run: it stands in"
         " a loop, where each needs a variable of its own: write globals()[[]name] ="
         " background_check(..., name=name)"]
    )  # fmt: skip
