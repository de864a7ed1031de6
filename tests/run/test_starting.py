"""Which jobs a run starts, and when it starts none."""

import pytest
from support.suites import UNAWAITED, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")


ONE = (
    "c = background_check('>ran')\nother = background_check('>other')\n"
    "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
    "@pytest.mark.bgcheck('other')\ndef test_other(): pass\n"
)


@pytest.mark.parametrize(
    "options",
    [
        ["--collect-only"],
        ["--setup-only"],
        ["--setup-plan"],
        ["--bgcheck-plan"],
        ["--fixtures"],
        ["--fixtures-per-test"],
        ["--fixtures", "-n2"],
        ["--markers"],
        ["--help"],
        ["--cache-show"],
    ],
    ids=" ".join,
)
def test_nothing_is_started_by(pytester: pytest.Pytester, options: list[str]) -> None:
    report = pytester.path.joinpath("report.json")
    report.write_text("of an earlier run")
    result = run(
        pytester,
        *options,
        "--bgcheck-report=report.json",
        test_it=ONE.replace("'>", "'cd %s; >" % pytester.path),  # noqa: UP031
    )
    assert result.ret == 0
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert not pytester.path.joinpath("ran").exists()
    assert report.read_text() == "of an earlier run"


def test_only_what_a_selected_test_wants_is_started(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-k", "test_c", test_it=ONE)
    result.assert_outcomes(passed=1, deselected=1)
    assert pytester.path.joinpath("ran").exists()
    assert not pytester.path.joinpath("other").exists()


def test_nothing_is_started_when_collection_failed(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_it=ONE, test_bad="import nothing_of_this_name")
    result.assert_outcomes(errors=1)
    assert not pytester.path.joinpath("ran").exists()


def test_a_handle_can_be_set_up_where_nothing_is_started(pytester: pytest.Pytester) -> None:
    blocks = (
        "@pytest.fixture\ndef log(bgcheck):\n"
        "    with bgcheck.running('>ran', name='log') as log: yield log\n"
        "def test_one(log): pass\n"
        "def test_two(log): pass\n"
    )
    result = run(pytester, "--setup-only", test_it=UNAWAITED + blocks)
    assert result.ret == 0
    assert not pytester.path.joinpath("ran").exists()
    result.stdout.fnmatch_lines(["*SETUP*M c*"])
