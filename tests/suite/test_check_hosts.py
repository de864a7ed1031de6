"""On which hosts a check runs, and which tests have to do with it."""

from pathlib import Path

import pytest
from support.machines import TestUser
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")


def test_the_nearest_declaration_wins(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HEAD + "c = background_check('echo outer')")
    for folder, text in (("a", "echo inner"), ("b", "")):
        pytester.mkpydir(folder)
        if text:
            pytester.path.joinpath(folder, "conftest.py").write_text(
                HEAD + f"c = background_check({text!r})"
            )
        wanted = "inner" if text else "outer"
        pytester.path.joinpath(folder, f"test_{folder}.py").write_text(
            HEAD + f"@pytest.mark.bgcheck('c')\ndef test(c): assert c.stdout == '{wanted}\\n'"
        )
    pytester.runpytest_subprocess(timeout=60).assert_outcomes(passed=2)


def test_a_test_without_a_host_awaits_the_check_on_every_host(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    other = "local://?sudo_user=nobody"  # another host to testinfra, the same to us
    result = run(
        pytester,
        f"--hosts=local://,{other}",
        test_it="c = background_check('exit 4')\n@pytest.mark.bgcheck('c')\ndef test(): pass",
    )
    result.assert_outcomes(failed=1)
    failed = [line for line in result.outlines if line.startswith("background check 'c' on local")]
    assert sum("failed: rc 4" in line for line in failed) == 2


def test_a_pinned_check_runs_on_its_host(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "--hosts=docker://no-such-container",
        test_it="c = background_check('true', host='local://')\n"
        "@pytest.mark.bgcheck('c')\ndef test(c): assert c.host == 'local'",
    )
    result.assert_outcomes(passed=1)


def test_a_suite_can_have_a_host_fixture_of_its_own(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        conftest="import testinfra\nc = background_check('true')\n"
        "@pytest.fixture(scope='module')\ndef host(): return testinfra.get_host('local://')",
        test_it="@pytest.mark.bgcheck('c')\ndef test(c): assert c.done()",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.usefixtures("docker_engine")
def test_a_host_that_is_not_there_fails_only_its_own_tests(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="gone = background_check('true', host='docker://no-such-container-bgcheck')\n"
        "c = background_check('true', host='local://')\n"
        "@pytest.mark.bgcheck('gone')\ndef test_gone(): pass\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines(
        [r"background check 'gone' on docker://no-such-container-bgcheck not started: .*[Nn]o such"]
    )


def test_a_check_is_the_hosts_own_user_though_a_test_is_another_meanwhile(
    pytester: pytest.Pytester, test_user: TestUser
) -> None:
    result = run(
        pytester,
        test_it="def test(host, bgcheck):\n"
        f"    with host.sudo({test_user.name!r}):\n"
        f"        assert host.check_output('id -un') == {test_user.name!r}\n"
        "        job = bgcheck.start('id -un', name='c', host=host)\n"
        "        made = bgcheck.start(lambda h: 'echo ' + h.check_output('id -un'), name='made',"
        " host=host)\n"
        "        assert job.stdout == made.stdout == 'root\\n'\n"
        "        assert job.succeeded and made.succeeded\n",
    )
    result.assert_outcomes(passed=1)
