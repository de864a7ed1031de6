"""Where a check runs, with and without ``cwd``, and as another user; see the target suite too."""

from pathlib import Path

import pytest
from support.machines import DockerEngine, TestUser
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

WHERE = (
    "c = background_check('pwd -P', {})\n"
    "@pytest.mark.bgcheck('c')\n"
    "def test(host, c): print('ran in', c.stdout)\n"
)


def ran_in(result: pytest.RunResult) -> str:
    result.assert_outcomes(passed=1)
    (where,) = (line.partition("ran in ")[2] for line in result.outlines if "ran in " in line)
    return where


def test_in_a_container_it_is_the_images(
    pytester: pytest.Pytester, docker_engine: DockerEngine
) -> None:
    container = docker_engine.container(workdir="/tmp")
    result = run(
        pytester,
        f"--hosts=docker://{container.name}",
        test_it="c = background_check('pwd -P')\n@pytest.mark.bgcheck('c')\n"
        "def test(host, c): assert c.stdout == host.run('pwd -P').stdout == '/tmp\\n'\n",
    )
    result.assert_outcomes(passed=1)


def test_another_user_runs_there_too(
    pytester: pytest.Pytester, test_user: TestUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = pytester.makepyfile(
        "import pytest\nfrom pytest_bgcheck import background_check\n"
        + WHERE.format(f"sudo_user={test_user.name!r}")
    )
    monkeypatch.chdir("/usr")
    result = pytester.runpytest_subprocess("-s", f"--rootdir={suite.parent}", suite, timeout=120)
    assert ran_in(result) == "/usr"


def test_a_user_that_may_not_enter_it_runs_in_the_root(
    pytester: pytest.Pytester, test_user: TestUser
) -> None:
    pytester.path.chmod(0o700)
    result = run(pytester, "-s", test_it=WHERE.format(f"sudo_user={test_user.name!r}"))
    assert ran_in(result) == "/"


@pytest.mark.parametrize(
    ("cwd", "message"),
    [
        ("/no/such", "its directory (cwd) does not exist there"),
        ("no/such", "its directory (cwd) does not exist there"),
        ("/etc/passwd/x", "its directory (cwd) does not exist there"),
        ("/etc/passwd", "its cwd is no directory"),
    ],
)
def test_a_directory_that_is_none_is_told(
    pytester: pytest.Pytester, cwd: str, message: str
) -> None:
    result = run(pytester, test_it=WHERE.format(f"cwd={cwd!r}"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"background check 'c' on local not started: {message}", f"  cwd: {cwd}"]
    )
    result.stdout.no_fnmatch_line("*stderr*")


@pytest.mark.parametrize("within", ["", "/within", "/deep/within"])
def test_a_directory_that_its_user_may_not_enter_is_told(
    pytester: pytest.Pytester, test_user: TestUser, tmp_path: Path, within: str
) -> None:
    closed = tmp_path / "closed"
    closed.joinpath("within").mkdir(parents=True)
    closed.chmod(0o700)
    for arguments in (f"cwd='{closed}{within}'", "cwd='tmp'"):
        result = run(pytester, test_it=WHERE.format(f"{arguments}, sudo_user={test_user.name!r}"))
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*not started: its user may not enter its directory (cwd)"])
