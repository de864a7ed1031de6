"""A check's name means what the test can see, whatever other tests have started."""

import pytest
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

OTHER = (
    "theirs = background_check('true')\nhidden = background_check('true')\n"
    "@pytest.mark.bgcheck\ndef test_theirs(theirs, hidden): pass\n"
)
MINE = (
    "import shared\nmine = background_check('exit 3')\n"
    "@pytest.fixture\ndef hidden(): return 0\n"
    "@pytest.mark.bgcheck('theirs')\ndef test_unseen(): pass\n"
    "@pytest.mark.bgcheck('hidden')\ndef test_hidden(): pass\n"
    "@pytest.mark.bgcheck('shared')\ndef test_not_imported(): pass\n"
    "@pytest.mark.bgcheck('thiers')\ndef test_mistyped(): pass\n"
    "@pytest.mark.bgcheck('called')\ndef test_called(called): pass\n"
)
CONFTEST = (
    "@pytest.fixture(scope='session')\ndef called(bgcheck): bgcheck.start('true', name='called')\n"
)


@pytest.mark.parametrize("args", [[], ["-n2", "--dist=loadfile"]], ids=["alone", "workers"])
def test_a_check_of_another_module_is_not_found(pytester: pytest.Pytester, args: list[str]) -> None:
    # The other module's run first, in this process or in the other worker.
    result = run(
        pytester,
        "--bgcheck-order=keep",
        *args,
        conftest=CONFTEST,
        shared="shared = background_check('true')",
        test_a=OTHER,
        test_b=MINE,
    )
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines_random(
        [
            "background check, service or probe 'theirs' is not visible to this test; *test_a.py:3",
            "background check, service or probe 'hidden' is not visible to this test; *test_a.py:4",
            "background check, service or probe 'shared' is not visible to this test; *shared.py:3",
            "a test sees those of its own module, of its conftests and of plugins; *",
            "no background check, service or probe 'thiers' was declared or started for this test*",
            "known: *mine*",
        ]
    )
    result.stdout.no_fnmatch_line("*did you mean 'theirs'*")


def test_a_check_of_another_folder_is_not_found(pytester: pytest.Pytester) -> None:
    for folder in ("one", "two"):
        pytester.mkpydir(folder)
    pytester.path.joinpath("one/conftest.py").write_text(HEAD + "c = background_check('exit 3')\n")
    pytester.path.joinpath("one/test_one.py").write_text(
        HEAD + "@pytest.mark.bgcheck('c', rc=3)\ndef test_one(): pass\n"
    )
    pytester.path.joinpath("two/test_two.py").write_text(
        HEAD + "@pytest.mark.bgcheck('c', rc=3)\ndef test_two(): pass\n"
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["background *service or probe 'c' is not visible*conftest.py:3"])
