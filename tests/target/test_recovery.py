"""When a host is asked again after a call without a reply."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_bgcheck.target import recovery


@given(st.integers(1, 100), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1))
def test_recovery_asks_within_bounds_or_gives_up_at_the_deadline(
    failures: int, now_s: float, deadline_s: float, jitter: float
) -> None:
    decision = recovery.after_failure(failures, now_s, deadline_s, jitter)
    if now_s >= deadline_s:
        assert isinstance(decision, recovery.GiveUp)
    else:
        assert isinstance(decision, recovery.AskAgain)
        assert 0 < decision.after_s <= 1.5 * recovery.LONGEST_PAUSE_S
