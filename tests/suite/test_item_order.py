"""Whatever else orders, cuts or adds the items: none is taken for run, or passes, by mistake."""

from collections import Counter

import pytest
from support.suites import HEAD, run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

SUITE = (
    "good = background_check('true')\n"
    "@pytest.mark.bgcheck('good')\ndef test_awaits(): pass\n"
    "def test_plain(): pass\n"
    "def test_last(): assert {}\n"
)
AS_COLLECTED = ["test_awaits", "test_plain", "test_last"]
MOVED = ["test_plain", "test_last", "test_awaits"]


def collected(pytester: pytest.Pytester, *args: str) -> list[str]:
    result = pytester.runpytest("--collect-only", "-q", *args)
    return [line.split("::")[1] for line in result.outlines if "::" in line]


def test_stepwise_skips_only_what_has_passed(pytester: pytest.Pytester) -> None:
    test = pytester.makepyfile(HEAD + SUITE.format(False))
    pytester.runpytest("--sw").assert_outcomes(passed=2, failed=1)
    test.write_text(HEAD + SUITE.format(True))
    pytester.runpytest("--sw").assert_outcomes(passed=1, deselected=2)


def test_an_order_that_pytest_was_asked_for_is_kept(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAD + SUITE.format(True))
    assert collected(pytester) == MOVED
    for option in ("--stepwise", "--sw-skip", "--ff", "--nf"):
        assert collected(pytester, option) == AS_COLLECTED, option
    assert collected(pytester, "--lf") == MOVED
    assert collected(pytester, "-p", "no:cacheprovider", "-p", "no:stepwise") == MOVED


def test_what_another_plugin_orders_after_all_others_is_ordered(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n    yield\n    items.reverse()\n"
    )
    pytester.makepyfile(HEAD + SUITE.format(True))
    assert collected(pytester) == ["test_last", "test_plain", "test_awaits"]


LATE = """
import pytest

class Late(pytest.Item):
    def runtest(self): pass

def late(session, name):
    item = Late.from_parent(session, name=name)
    item.add_marker(pytest.mark.bgcheck("bad"))
    session.items.append(item)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(session):
    yield
    late(session, "late")
"""
LATER = """
@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    late(session, "later")
"""


@pytest.mark.started
@pytest.mark.parametrize("args, failed", [([], 2), (["-n2"], 1)], ids=["alone", "workers"])
def test_items_that_come_late_await_too(
    pytester: pytest.Pytester, args: list[str], failed: int
) -> None:
    # xdist runs nothing that comes after its word of what was collected.
    pytester.makeconftest(LATE + ("" if args else LATER))
    # Where only a plugin declares, and no other item has to do with checks.
    pytester.makepyfile(checks=HEAD + "bad = background_check('exit 3')\n", test_it="def test(): 0")
    result = pytester.runpytest_subprocess("-p", "checks", *args)
    result.assert_outcomes(passed=1, failed=failed)
    result.stdout.fnmatch_lines(["background check 'bad' on local failed: rc 3*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_tests_that_await_come_last_soonest_first(pytester: pytest.Pytester) -> None:
    text = (
        "slow = background_check('sleep 0.6', timeout=50)\n"
        "fast = background_check('true', timeout=60)\n"
        "@pytest.mark.bgcheck('slow')\ndef test_slow(): pass\n"
        "@pytest.mark.bgcheck('fast')\ndef test_fast(): pass\n"
        "def test_plain(): pass\n"
    )
    first = run(pytester, "-v", test_it=text)
    first.stdout.fnmatch_lines(["*test_plain PASSED*", "*test_slow PASSED*", "*test_fast PASSED*"])
    again = pytester.runpytest_subprocess("-v")
    again.stdout.fnmatch_lines(["*test_plain PASSED*", "*test_fast PASSED*", "*test_slow PASSED*"])
    kept = pytester.runpytest_subprocess("-v", "--bgcheck-order=keep")
    kept.stdout.fnmatch_lines(["*test_slow PASSED*", "*test_fast PASSED*", "*test_plain PASSED*"])


LIFE = """
gone = background_check("true")

class TestLife:
    def test_create(self): assert not made; made.append(1)
    class TestUse:
        @pytest.mark.bgcheck("gone")
        def test_use(self): assert made
    def test_delete(self): made.remove(1)

def test_plain(): assert not made

made = []
"""
UNITTEST_LIFE = """
import unittest
gone = background_check("true", host="local://")

class TestLife(unittest.TestCase):
    def test_1_create(self): assert not made; made.append(1)
    @pytest.mark.bgcheck("gone")
    def test_2_use(self): assert made
    def test_3_delete(self): made.remove(1)

def test_plain(): assert not made

made = []
"""


@pytest.mark.parametrize("text", [LIFE, UNITTEST_LIFE], ids=["class", "TestCase"])
def test_a_class_runs_as_a_whole_and_in_its_order(pytester: pytest.Pytester, text: str) -> None:
    result = run(pytester, "-v", test_it=text)
    result.assert_outcomes(passed=4)
    passed = [line.split()[0].split("::")[-1] for line in result.outlines if "PASSED" in line]
    assert passed[0] == "test_plain"
    assert [name.rpartition("_")[2] for name in passed[1:]] == ["create", "use", "delete"]


FIXTURES = """
import pytest
from pytest_bgcheck import background_check

check = background_check("true", host="local://")

@pytest.fixture(scope="package", autouse=True)
def of_package(): pass

@pytest.fixture(scope="module", params=["h1", "h2"])
def of_host(): pass

@pytest.fixture(scope="module")
def of_host_too(of_host): pass

@pytest.fixture(scope="module", params=["s1", "s2"])
def service(): pass

@pytest.fixture(scope="module")
def of_module(): pass

@pytest.fixture(scope="class")
def of_class(): pass

@pytest.fixture(scope="session", params=["v1", "v2"])
def version(): pass
"""
MODULES = {
    "test_a_shared.py": """
def test_plain(of_module): pass
@awaits
def test_awaits(of_module): pass

def test_plain_on_host(of_host_too): pass
@awaits
def test_awaits_on_host(of_host_too, of_module): pass

class TestClass:
    def test_one(self, of_host, of_class): pass
    @awaits
    def test_two(self, of_host, of_class): pass

def test_plain_again(of_module, of_host): pass
""",
    "test_b_two_values.py": """
@awaits
def test_awaits(of_host, service): pass
def test_plain(of_host, service, of_module): pass
""",
    "test_c_of_session.py": """
@awaits
def test_awaits(version, of_module): pass
@awaits
def test_awaits_too(of_module): pass
def test_plain(of_module): pass
""",
    "test_d_plain.py": "def test_plain(of_module): pass\n",
}


def test_no_fixture_is_set_up_more_than_once_more(pytester: pytest.Pytester) -> None:
    for package in ("one", "two"):
        directory = pytester.mkpydir(package)
        (directory / "conftest.py").write_text(FIXTURES)
        for name, text in MODULES.items():
            text = f"import pytest\nawaits = pytest.mark.bgcheck('check')\n{text}"
            (directory / name.replace("test_", f"test_{package}_")).write_text(text)

    def set_ups(order: str) -> Counter[tuple[str, ...]]:
        result = pytester.runpytest("--setup-only", "-p", "no:randomly", f"--bgcheck-order={order}")
        assert result.ret == 0
        count: Counter[tuple[str, ...]] = Counter()
        host, new = "", list[tuple[str, str]]()
        for words in map(str.split, result.outlines):
            if words[:1] == ["SETUP"]:
                fixture = words[2]
                host = fixture if fixture.startswith("of_host[") else host
                new.append((fixture, host if fixture == "of_host_too" else ""))
            elif words and "::" in words[0]:
                count.update((words[0].partition("::")[0], *what) for what in new)
                new.clear()
        return count

    kept, moved = set_ups("keep"), set_ups("last")
    assert kept.keys() == moved.keys()
    assert kept["one/test_one_a_shared.py", "of_module", ""] == 1
    assert moved["one/test_one_a_shared.py", "of_module", ""] == 2
    assert {what: n for what, n in moved.items() if n > kept[what] + 1} == {}


def test_one_that_does_not_set_up_what_its_check_starts_behind_is_last(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        HEAD + "soon = background_check('true', timeout=5, after='deploy')\n"
        "slow = background_check('true', timeout=50)\n"
        "@pytest.fixture\ndef deploy(): pass\n"
        "@pytest.mark.bgcheck('soon')\ndef test_without(): pass\n"
        "@pytest.mark.bgcheck('slow')\ndef test_slow(deploy): pass\n"
        "def test_plain(): pass\n"
    )
    assert collected(pytester) == ["test_plain", "test_slow", "test_without"]
