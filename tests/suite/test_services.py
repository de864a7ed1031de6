"""What a suite may declare as a service, and what its marks may say of one."""

import pytest
from support.suites import problems, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

WEB = "web = background_service('sleep 300', ready='true')\n"


def test_a_wrong_declaration_of_a_service_is_told_as_one(pytester: pytest.Pytester) -> None:
    said = problems(
        pytester,
        "a = background_service('true', ready='x', ready_output='y')\n"
        "background_service('lost')\n"
        "for name in 'xy':\n    loop = background_service(name)\n"
        "class TestIt:\n    c = background_service('true')\n    def test(self): pass\n"
        "d = background_service('true', name='twice')\n"
        "twice = background_service('true', rc=0)\n"
        "host = background_service('true')\n"
        "e = background_service(d)\n"
        "f = background_check('true', ready='x')\n",
    )
    service = "background service"
    assert sorted(line.removeprefix("test_it.py:") for line in said) == [
        f"10: {service} 'twice': the service at test_it.py:11 has the same name in this module",
        f"11: {service} 'twice': a service has no argument 'rc': it is one of background_check",
        f"12: {service} 'host': name must not be 'host': services need the fixture of that name",
        f"13: {service} 'e': command must not be the declaration of a service: where its name is"
        " meant, write that as a string",
        "14: background check 'f': a check has no argument 'ready': it is one of"
        " background_service",
        f"3: {service} 'a': ready and ready_output must not both be given: where both have to"
        " hold, let the command of ready look at what the service has written too",
        f"4: {service} without a name: command 'lost' would never run: assign it to a variable of"
        " the module, as in webapp = background_service(...)",
        f"6: {service} 'loop': command 'x' would never run: it stands in a loop, where each needs"
        " a variable of its own: write globals()[name] = background_service(..., name=name)",
        f"8: {service} 'c': it must be declared at module level, not in the class TestIt",
    ]


def test_a_declaration_of_a_service_is_not_its_fixture(pytester: pytest.Pytester) -> None:
    said = problems(
        pytester,
        WEB + "def test_forgotten(): assert web\n"
        "@pytest.mark.bgcheck(web)\ndef test_mark(): pass\n"
        "@pytest.mark.parametrize('job', [web])\ndef test_parameter(job): pass\n"
        "@pytest.fixture(scope='session')\ndef wide(web): pass\n"
        "def test_wide(wide): pass\n"
        "@pytest.mark.bg_check('web')\ndef test_misspelt(): pass\n",
    )
    assert sorted(said) == [
        "test_it.py:4: web is the declaration here, not its fixture: the parameter is missing, as"
        " in def test_forgotten(web)",
        "test_it.py:9: the fixture 'wide' has session scope, but the host of the background"
        " service 'web' can be another in each module: pin the service with host=..., or give the"
        " fixture scope='module'",
        "test_it.py::test_mark: the mark takes names, not the declarations: write"
        " mark.bgcheck('web')",
        "test_it.py::test_misspelt: there is no mark 'bg_check', so that this awaits nothing: did"
        " you mean 'bgcheck'? (Register a mark of your own in the ini setting 'markers'.)",
        "test_it.py::test_parameter: job is the declaration of web, not its fixture: give names to"
        " parametrize, and request.getfixturevalue(job) in a test that takes host too",
    ]


def test_what_starts_behind_a_service_needs_a_fixture_that_waits(
    pytester: pytest.Pytester,
) -> None:
    [said] = problems(
        pytester,
        WEB + "db = background_check('true', after='web')\ndef test(db, web): pass\n",
    )
    assert said == (
        "test_it.py:4: background check 'db': after='web' is a background service, whose fixture"
        " is set up at once, not when the service is ready: name a fixture that requests 'web' and"
        " calls its wait_ready()"
    )


RC = "rc is what a check ends with; 'web' is a service: give it a mark without rc"


def test_a_mark_that_names_a_service_takes_no_rc(pytester: pytest.Pytester) -> None:
    """Neither at collection, nor where a running test adds it; unless it names a check too."""
    db = "db = background_check('exit 2')\n"
    for mark in ("'web', rc=2", "rc=2"):
        said = problems(pytester, WEB + db + f"@pytest.mark.bgcheck({mark})\ndef test(web): pass")
        assert [line.replace("[local]", "") for line in said] == [f"test_it.py::test: {RC}"]
    result = run(
        pytester,
        test_it=WEB + db + "@pytest.mark.bgcheck('db', 'web', rc=2)\ndef test(): pass\n"
        "@pytest.fixture\n"
        "def marked(request): request.applymarker(pytest.mark.bgcheck('web', rc=0))\n"
        "def test_marked(marked, web): pass\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([RC])


def test_the_plan_tells_services_from_checks(pytester: pytest.Pytester) -> None:
    """And the order tells when they are expected: not after the time that they may live."""
    result = run(
        pytester,
        "--bgcheck-plan",
        "-obgcheck_service_timeout=1800",
        "-v",
        test_it="slow = background_check('sleep 1', timeout=100)\n"
        "quick = background_check('true', timeout=20)\n"
        "web = background_service(['serve', 'a b'], ready='curl -fs localhost')\n"
        "log = background_service('tail -F log', ready_output='^up', ready_timeout=9,"
        " after='made')\n"
        "raw = background_service('nc -l', timeout=60)\n"
        "@pytest.fixture(scope='module', autouse=True)\ndef made(): pass\n"
        "@pytest.mark.bgcheck('slow')\ndef test_slow(): pass\n"
        "@pytest.mark.bgcheck(rc=0)\ndef test_both(web, log, quick): pass\n"
        "@pytest.mark.bgcheck('quick')\ndef test_quick(raw): pass\n",
    )
    start = result.outlines.index("<Host local>")
    test = "test_it.py::test_"
    assert result.outlines[start : start + 18] == [
        "<Host local>",
        "  <Check quick> timeout=20: true",
        f"    awaited by {test}quick[local]",
        f"    awaited by {test}both[local]",
        "  <Service raw> timeout=60: nc -l",
        "    ready_timeout=30: ready as soon as it runs",
        f"    requested by {test}quick[local]",
        "  <Service web> timeout=1800: serve 'a b'",
        "    ready_timeout=30 ready: curl -fs localhost",
        f"    awaited by {test}both[local]",
        "  <Service log> timeout=1800 after made: tail -F log",
        "    ready_timeout=9 ready_output: ^up",
        f"    awaited by {test}both[local]",
        "  <Check slow> timeout=100: sleep 1",
        f"    awaited by {test}slow",
        "",
        "2 background checks and 3 services on 1 host would be started, awaited by 3 tests; 5 have"
        " never run here, with limits of up to 1 min 40 s",
        "",
    ]
