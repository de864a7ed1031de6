"""A check that is pinned to several hosts: a job on each, found by its hostspec."""

from pathlib import Path

import pytest
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

OTHER = "local://?sudo_user=nobody"
"""Another host to testinfra, the same computer to us."""

DECLARED = f"c = background_check('echo $PYTEST_BGCHECK_JOB', host=['local://', '{OTHER}'])\n"


def inventory(pytester: pytest.Pytester, *names: str) -> str:
    """Write an inventory with a group ``web`` of these hosts; return the option that names it."""
    pytest.importorskip("ansible")
    lines = [f"{name} ansible_connection=local" for name in names]
    path = pytester.path / "inventory"
    path.write_text("\n".join(["[web]", *lines, "[none]", ""]))
    return f"--ansible-inventory={path}"


def test_the_mark_awaits_a_job_on_each(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=DECLARED + "@pytest.mark.bgcheck('c')\n"
        "def test(c):\n"
        f"    assert list(c) == ['local://', {OTHER!r}]\n"
        "    assert [job.done() for job in c.values()] == [True, True]\n"
        "    first, second = (job.stdout for job in c.values())\n"
        "    assert first != second\n"
        "    assert c['local://'].stdout == first\n",
    )
    result.assert_outcomes(passed=1)


def test_a_failure_names_the_hosts_that_failed_and_how_the_others_stood(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        inventory(pytester, "web1", "web2", "web3"),
        test_it="c = background_check('mkdir claimed', host=['ansible://web'], cwd='.')\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n",
    )
    result.assert_outcomes(failed=1)
    failed = [x for x in result.outlines if x.startswith("background check 'c' on ansible://web")]
    assert sum(": rc 1 after" in line for line in failed) == 2
    result.stdout.re_match_lines([r"  'c' on ansible://web\d: succeeded, rc 0, after .*"])


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_each_job_runs_once_under_any_n(pytester: pytest.Pytester, workers: str) -> None:
    out = pytester.path / "out"
    result = run(
        pytester,
        workers,
        test_it=f"c = background_check('echo x >>{out}', host=['local://', '{OTHER}'])\n"
        "@pytest.mark.bgcheck('c')\n@pytest.mark.parametrize('i', range(4))\n"
        "def test(c, i): assert len(c) == 2\n",
    )
    result.assert_outcomes(passed=4)
    assert out.read_text() == "x\nx\n"


def test_a_hostspec_that_stands_for_several_gives_each_by_its_own_name(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        inventory(pytester, "web1", "web2"),
        test_it="c = background_check('true', host=('ansible://web2', 'ansible://web'))\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(c): assert list(c) == ['ansible://web2', 'ansible://web1']\n",
    )
    result.assert_outcomes(passed=1)


def test_a_host_that_is_named_twice_is_one(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="c = background_check('true', host=['local://', 'local://', None or 'local://'])\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(c): assert list(c) == ['local://'] and c['local'] is c['local://']\n",
    )
    result.assert_outcomes(passed=1)


def test_hosts_that_are_called_the_same_have_a_job_each(pytester: pytest.Pytester) -> None:
    out = pytester.path / "out"
    result = run(
        pytester,
        inventory(pytester, "web1", "web2"),
        test_it=f"c = background_check('echo x >>{out}',\n"
        "    host=['ansible://web1', 'ansible://web', 'ansible://web?sudo_user=nobody'])\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(c):\n"
        "    assert list(c) == ['ansible://web1', 'ansible://web2',\n"
        "        'ansible://web1 (sudo_user=nobody)', 'ansible://web2 (sudo_user=nobody)']\n"
        "    assert [job.host for job in c.values()] == list(c)\n",
    )
    result.assert_outcomes(passed=1)
    assert out.read_text() == "x\n" * 4


def test_each_declared_hostspec_finds_its_job(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        inventory(pytester, "web1", "web2"),
        test_it="HOSTS = ['ansible://web1', 'ansible://web1?sudo=false', 'ansible://web',\n"
        "    'ansible://web2']\n"
        "c = background_check('echo $PYTEST_BGCHECK_JOB', host=HOSTS)\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test(c):\n"
        "    assert list(c) == ['ansible://web1', 'ansible://web2'] and len(c) == 2\n"
        "    assert c[HOSTS[0]] is c[HOSTS[1]] is not c[HOSTS[3]]\n",
    )
    result.assert_outcomes(passed=1)


def test_bgcheck_finds_the_job_of_a_host_and_names_the_hosts(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        inventory(pytester, "web1", "web2"),
        test_it="c = background_check('true', host=['ansible://web'])\n"
        f"both = background_check('true', host=['local://', {OTHER!r}])\n"
        "@pytest.mark.bgcheck('c', 'both')\n"
        "def test(bgcheck, c, both):\n"
        "    assert bgcheck['c', 'ansible://web1'] is c['ansible://web1']\n"
        "    with pytest.raises(KeyError, match='ansible://web1, ansible://web2; name one'):\n"
        "        bgcheck['c']\n"
        "    for spec, job in both.items(): assert bgcheck['both', spec] is job\n",
    )
    result.assert_outcomes(passed=1)


def test_a_verdict_that_is_read_judges_that_job_alone(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=f"c = background_check('exit 3', host=['local://', '{OTHER}'])\n"
        "def test(c): assert c['local://'].rc == 3\n",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1)
    judged = [line for line in result.outlines if "was judged by no test" in line]
    assert len(judged) == 1, judged


def test_what_is_asked_of_all_jobs_at_once_says_how_to_ask_one(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it=DECLARED + "@pytest.mark.bgcheck('c')\n"
        "def test_output(c): c.stdout\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test_host(c): c['ssh://nowhere']\n"
        "@pytest.mark.bgcheck('c')\n"
        "def test_other(c):\n"
        "    assert not hasattr(c, 'nothing')\n"
        "    assert repr(c) == f\"<Jobs 'c' on {', '.join(c)}>\"\n",
    )
    result.assert_outcomes(failed=2, passed=1)
    hosts = "local://, local://?sudo_user=nobody"
    said = result.stdout.str()
    assert (
        f"background check 'c' has a job on each of: {hosts}; name one, as in c['local://']" in said
    )
    assert f"background check 'c' has no job on ssh://nowhere; it has one on: {hosts}" in said


WRONG = {
    "[]": "host must name at least one host, got []",
    "{'local://'}": "host must be a hostspec or a sequence of hostspecs, not *",
    "['local://', 3]": "host[1] must be a string, not int 3",
    "'odd://x'": "testinfra cannot make a host of odd://x: Unknown connection type 'odd'",
    "['ansible://none']": "host 'ansible://none' stands for no host: *",
    "'ansible://web'": "host 'ansible://web' must stand for one host, not for 2 (ansible://web1,"
    " ansible://web2); host=['ansible://web'] declares one that runs on each of them",
}


@pytest.mark.parametrize(("given", "message"), WRONG.items(), ids=WRONG)
def test_wrong_hosts_are_a_usage_error(pytester: pytest.Pytester, given: str, message: str) -> None:
    result = run(
        pytester,
        inventory(pytester, "web1", "web2"),
        test_it=f"c = background_check('true', host={given})\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    where = "*/test_it.py:[0-9]: background check 'c': "
    result.stderr.fnmatch_lines([f"ERROR: {where}" + message.replace("[", "[[]")])


def test_a_call_starts_one_job_and_says_so(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="def test(bgcheck):\n    bgcheck.start('true', name='c', host=['local://'])\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*background check 'c': host must be a hostspec or a testinfra Host, not [[]'local://']"]
    )


def test_the_plan_shows_each_host(pytester: pytest.Pytester, tmp_path: Path) -> None:
    result = run(
        pytester,
        inventory(pytester, "web1", "web2"),
        "--bgcheck-plan",
        test_it="c = background_check('true', host=['ansible://web'])\n"
        "@pytest.mark.bgcheck('c')\ndef test(): pass\n",
    )
    result.stdout.fnmatch_lines(["<Host ansible://web1>", "<Host ansible://web2>"])
