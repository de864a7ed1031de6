"""What ``--bgcheck-plan`` shows."""

import re

import pytest
from support.suites import run

CONFTEST = "idle = background_check('true', retry_every=5)\n"
SUITE = (
    "a = background_check('sleep 0.5', rc=[0, 2], timeout=7)\n"
    "b = background_check('true', host='local://?sudo_user=nobody', timeout=9)\n"
    "c = background_check('touch ran')\n"
    "@pytest.mark.bgcheck('a', 'b')\ndef test_one(): pass\n"
    "@pytest.mark.bgcheck\ndef test_two(a): pass\n"
    "def test_three(c): pass\n"
)


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_the_plan_is_a_tree(pytester: pytest.Pytester, args: list[str]) -> None:
    result = run(pytester, "--bgcheck-plan", *args, conftest=CONFTEST, test_it=SUITE)
    assert result.ret == 0
    assert not pytester.path.joinpath("ran").exists()
    start = result.outlines.index("<Host local>")
    assert result.outlines[start : start + 14] == [
        "<Host local>",
        "  <Check c> timeout=360: touch ran",
        "    requested by test_it.py::test_three[local]",
        "  <Check a> timeout=7 rc=0,2: sleep 0.5",
        "    awaited by test_it.py::test_two[local]",
        "    awaited by test_it.py::test_one",
        "<Host local (sudo_user=nobody)>",
        "  <Check b> timeout=9: true",
        "    awaited by test_it.py::test_one",
        "<Declared, but no selected test uses it>",
        "  <Check idle> timeout=360 retry_every=5: true",
        "",
        "3 background checks on 2 hosts would be started, awaited by 2 tests;"
        " 3 have never run here, with limits of up to 6 min 0 s",
        "",
    ]


def test_the_plan_knows_earlier_runs(pytester: pytest.Pytester) -> None:
    run(pytester, "-k", "two", conftest=CONFTEST, test_it=SUITE)
    plan = pytester.runpytest_subprocess("--bgcheck-plan")
    (line,) = (line for line in plan.outlines if "would be started" in line)
    assert re.search(
        r"by earlier runs, the last would be ready after 0\.\d+ s \(a on local\); 2 have never",
        line,
    )


def test_the_plan_of_a_suite_without_checks_is_empty(pytester: pytest.Pytester) -> None:
    plan = run(pytester, "--bgcheck-plan", test_it="def test(): pass")
    assert "no background checks" in plan.outlines
