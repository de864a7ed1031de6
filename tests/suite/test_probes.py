"""What a suite may declare as a probe, and what its marks may say of one."""

import pytest
from support.suites import problems, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

VIP = "vip = background_probe('ping -c1 vip')\n"
WEB = "web = background_service('sleep 300')\n"
DB = "db = background_check('true')\n"


def test_a_wrong_declaration_of_a_probe_is_told_as_one(pytester: pytest.Pytester) -> None:
    said = problems(
        pytester,
        "a = background_probe('true', rc=None)\n"
        "background_probe('lost')\n"
        "b = background_probe('true', every=0)\n"
        "c = background_probe('true', ready='x')\n"
        "class TestIt:\n    d = background_probe('true')\n    def test(self): pass\n"
        "host = background_probe('true')\n"
        "e = background_check(a)\n"
        "f = background_check('true', every=3)\n"
        "g = background_probe('true', max_outage=5)\n",
    )
    probe = "background probe"
    assert sorted(line.removeprefix("test_it.py:") for line in said) == [
        f"10: {probe} 'host': name must not be 'host': probes need the fixture of that name",
        "11: background check 'e': command must not be the declaration of a probe: where its name"
        " is meant, write that as a string",
        "12: background check 'f': a check has no argument 'every': did you mean 'retry_every'?",
        f"13: {probe} 'g': a probe has no argument 'max_outage': it is one of the mark:"
        " @pytest.mark.bgcheck(..., max_outage=...)",
        f"3: {probe} 'a': rc=None would make every sample a good one: name the codes of a good one",
        f"4: {probe} without a name: command 'lost' would never run: assign it to a variable of"
        " the module, as in webapp = background_probe(...)",
        f"5: {probe} 'b': every must be more than 0 seconds, not 0",
        f"6: {probe} 'c': a probe has no argument 'ready': it is one of background_service",
        f"8: {probe} 'd': it must be declared at module level, not in the class TestIt",
    ]


def test_a_declaration_of_a_probe_is_not_its_fixture(pytester: pytest.Pytester) -> None:
    said = problems(
        pytester,
        VIP + "def test_forgotten():\n    with vip.window(): pass\n"
        "@pytest.mark.bgcheck(vip)\ndef test_mark(): pass\n"
        "@pytest.mark.background_probe('vip')\ndef test_misspelt(): pass\n"
        "@pytest.mark.bgprobe('vip')\ndef test_shortened(): pass\n"
        "@pytest.mark.bgp('vip')\ndef test_of_a_routing_protocol(): pass\n",
    )
    no_mark = (
        "so that this awaits nothing: did you mean 'bgcheck'? (Register a mark of your own in the"
        " ini setting 'markers'.)"
    )
    assert sorted(said) == [
        "test_it.py:5: vip is the declaration here, not its fixture: the parameter is missing, as"
        " in def test_forgotten(vip)",
        "test_it.py::test_mark: the mark takes names, not the declarations: write"
        " mark.bgcheck('vip')",
        f"test_it.py::test_misspelt: there is no mark 'background_probe', {no_mark}",
        f"test_it.py::test_shortened: there is no mark 'bgprobe', {no_mark}",
    ]


def test_what_starts_behind_a_probe_needs_a_fixture_that_waits(pytester: pytest.Pytester) -> None:
    [said] = problems(
        pytester,
        VIP + "late = background_check('true', after='vip')\ndef test(late, vip): pass\n",
    )
    assert said == (
        "test_it.py:4: background check 'late': after='vip' is a background probe, whose fixture is"
        " set up at once, not when its first sample was taken: name a fixture that requests 'vip'"
        " and enters its window(), which waits for that"
    )


def test_a_probe_that_a_test_would_declare_is_refused(pytester: pytest.Pytester) -> None:
    result = run(pytester, test_it="def test_it(): background_probe('true')\n")
    result.stdout.fnmatch_lines(
        ["E *WrongUse: a test or a fixture runs here, which is too late to declare a probe: do it"
         " at module level"]
    )  # fmt: skip


OUTAGE = "max_outage is what a probe may see"
AVAILABLE = "min_available is what a probe has to see"


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (
            "'vip', rc=1",
            "rc is what a check ends with; 'vip' is a probe: give it a mark without rc",
        ),
        ("'db', max_outage=1", f"{OUTAGE}; 'db' is a check: give it a mark without max_outage"),
        (
            "'db', 'web', min_available=99",
            f"{AVAILABLE}; 'db' is a check and 'web' is a service: give them a mark without"
            " min_available",
        ),
        (
            "'vip', 'web', rc=0",
            "rc is what a check ends with; 'vip' is a probe and 'web' is a service: give them a"
            " mark without rc",
        ),
        ("'vip', max_outage=-1", "max_outage must be 0 or more seconds, not -1"),
        (
            "'vip', min_available=101",
            "min_available must be more than 1 and at most 100 percent, not 101",
        ),
        (
            "'vip', min_available=0.995",
            "min_available must be a percentage, not a share: 99.5, not 0.995",
        ),
    ],
)
def test_what_fits_none_of_the_jobs_of_a_mark_is_refused(
    pytester: pytest.Pytester, mark: str, said: str
) -> None:
    """Whether it names them, or has no names."""
    suite = VIP + WEB + DB + "@pytest.mark.bgcheck({})\ndef test({}): pass\n"
    names = [word.strip("'") for word in mark.split(", ") if word.startswith("'")]
    nameless = mark.split(", ")[-1]
    for text in (suite.format(mark, ""), suite.format(nameless, ", ".join(names))):
        told = [line.replace("[local]", "") for line in problems(pytester, text)]
        assert told == [f"test_it.py::test: {said}"]


def test_a_limit_for_probes_on_a_job_that_a_call_has_started_fails_the_test(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        test_it="@pytest.fixture\n"
        "def started(bgcheck): return bgcheck.start('true', name='c')\n"
        "@pytest.mark.bgcheck('c', max_outage=3)\n"
        "def test_it(started): pass\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{OUTAGE}; 'c' is a check: give it a mark without max_outage"])
