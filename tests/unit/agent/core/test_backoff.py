"""Delays between attempts."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from swarmd.agent.core.backoff import Backoff


@given(st.integers(0, 1000), st.integers(0, 2**32))
def test_a_delay_is_between_half_and_all_of_what_the_attempt_may_wait(
    attempt: int, seed: int
) -> None:
    backoff = Backoff(first_ns=100, longest_ns=2_000)
    bound = min(100 * 2**attempt, 2_000)
    assert bound // 2 <= backoff.delay_ns(attempt, random.Random(seed)) <= bound
