"""A file that testinfra's options name, and that is not there: said before anything is started."""

import importlib.util

import pytest
from support.suites import run

SUITE = "c = background_check('true')\n@pytest.mark.bgcheck('c')\ndef test(host): pass\n"


@pytest.mark.parametrize("args", [[], ["-n1"]], ids=["alone", "worker"])
@pytest.mark.parametrize(
    ("spec", "option"),
    [
        ("ssh://web1", "--ssh-config"),
        ("safe-ssh://web1", "--ssh-config"),
        ("paramiko://web1", "--ssh-config"),
        ("paramiko://web1", "--ssh-identity-file"),
    ],
)
def test_a_missing_file_is_a_usage_error_with_the_option_and_the_path(
    pytester: pytest.Pytester, spec: str, option: str, args: list[str]
) -> None:
    if spec.startswith("paramiko"):
        pytest.importorskip("paramiko")
    result = run(pytester, f"--hosts={spec}", f"{option}=gone.cfg", *args, test_it=SUITE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"*test_it.py::test*: host {spec}: there is no file {pytester.path}/gone.cfg,"
            f" as {option} or its hostspec says"
        ]
    )


def test_the_file_of_a_hostspec_is_looked_for_too(pytester: pytest.Pytester) -> None:
    suite = "c = background_check('true', host='ssh://web1?ssh_config=/gone.cfg')\n" + (
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n"
    )
    result = run(pytester, test_it=suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no file /gone.cfg, as --ssh-config or its hostspec*"])


@pytest.mark.skipif(importlib.util.find_spec("ansible") is None, reason="needs ansible")
def test_a_missing_inventory_is_named(pytester: pytest.Pytester) -> None:
    suite = SUITE.replace("'true'", "'true', host='ansible://web1'").replace("host)", ")")
    result = run(pytester, "--ansible-inventory=gone.ini", test_it=suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*ansible://web1: there is no file {pytester.path}/gone.ini, as --ansible-inventory says"]
    )


@pytest.mark.parametrize(
    "args",
    [
        ["--hosts=local://", "--ssh-config=gone.cfg", "--ssh-identity-file=gone.key"],
        ["--hosts=ssh://web1", "--ssh-config=none", "--ssh-identity-file=gone.key"],
    ],
    ids=["no such host", "no need"],
)
def test_a_file_that_no_check_needs_may_be_missing(
    pytester: pytest.Pytester, args: list[str]
) -> None:
    result = run(pytester, *args, "--bgcheck-plan", test_it=SUITE)
    assert result.ret == 0


def test_a_suite_without_checks_is_left_to_testinfra(pytester: pytest.Pytester) -> None:
    result = run(
        pytester, "--hosts=ssh://web1", "--ssh-config=gone.cfg", test_it="def test(host): pass"
    )
    result.assert_outcomes(passed=1)
