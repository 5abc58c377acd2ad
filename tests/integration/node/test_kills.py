"""Managers killed at random, one after the other and together, while clients write."""

from __future__ import annotations

import asyncio
import random

from demo.machines import machines
from demo.swarm import Swarm
from tests.support.killing import count_under_fire
from tests.support.managers import MANAGERS, three_managers


def test_no_acknowledged_write_is_lost_when_managers_are_killed_at_random() -> None:
    with machines(MANAGERS) as made:
        swarm = Swarm(made)
        try:
            three_managers(swarm)
            counters = asyncio.run(count_under_fire(swarm, 10, random.Random(7)))
        finally:
            swarm.stop()
    assert all(counter.acknowledged for counter in counters)
