"""What is remembered from run to run is bounded, and whatever stands in the cache does no harm."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bgcheck.run import durations


class Cache:
    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self, key: str, default: Any) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def set(self, key: str, value: Any) -> None:
        self.value = json.loads(json.dumps(value))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=9), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_stands_in_the_cache_durations_are_durations(value: object) -> None:
    for key, past in durations.read(Cache(value)).items():
        assert isinstance(key, str)
        assert 0 < len(past) <= durations.KEPT_RUNS
        assert all(type(seconds) is float and 0 <= seconds < 1e9 for seconds in past)


def test_what_is_not_as_expected_is_left_out_alone() -> None:
    told = {
        "a on b": [1, 2.5],
        "x" * 2000: [1.0],
        "c": "no",
        "d": [True, -1, float("nan"), 10**400],
    }
    assert durations.read(Cache(told)) == {"a on b": [1.0, 2.5]}
    assert durations.read(Cache(RecursionError())) == {}
    assert durations.read(None) == {}


def test_what_ran_last_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "KEPT_JOBS", 3)
    known = durations.remember({}, [("a", 1.0), ("b", 2.0), ("c", 3.0)])
    known = durations.remember(known, [("a", 4.0), ("d", 5.0)])
    assert known == {"c": [3.0], "a": [1.0, 4.0], "d": [5.0]}
    assert list(known) == ["c", "a", "d"]
    for seconds in (6.0, 7.0):
        known = durations.remember(known, [("a", seconds)])
    assert known["a"] == [4.0, 6.0, 7.0]
    more = [(str(n), 1.0) for n in range(5)]
    assert list(durations.remember(known, more)) == [key for key, _ in more]


def test_a_run_bounds_what_it_finds(pytester: pytest.Pytester, own_tmpdir: Path) -> None:
    old = {f"c{n} on host": [1.0] for n in range(durations.KEPT_JOBS + 500)}
    file = pytester.path / ".pytest_cache/v/bgcheck/durations"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({**old, "bad": {"x": 1}}))
    pytester.makepyfile(
        "import pytest\nfrom pytest_bgcheck import background_check\n"
        "quick = background_check('true')\n"
        "@pytest.mark.bgcheck('quick')\ndef test(quick): pass\n"
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    known = json.loads(file.read_text())
    assert len(known) == durations.KEPT_JOBS
    assert list(known)[-1] == "quick on local"
    file.write_text('["no", "mapping"]')
    pytester.runpytest_subprocess("-n1").assert_outcomes(passed=1)
    assert list(json.loads(file.read_text())) == ["quick on local"]
