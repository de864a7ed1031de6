"""When a host is asked again after a call without a reply."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_bgcheck.target import recovery


@given(st.integers(1, 100), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1))
def test_recovery_asks_within_bounds_or_gives_up_at_the_deadline(
    failures: int, now_s: float, deadline_s: float, jitter: float
) -> None:
    pause_s = recovery.pause_s(failures, now_s, deadline_s, jitter)
    if now_s >= deadline_s:
        assert pause_s is None
    else:
        assert pause_s is not None
        assert 0 < pause_s <= 1.5 * recovery.LONGEST_PAUSE_S
