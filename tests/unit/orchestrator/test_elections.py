"""A leader lost at any moment: the next one, knowing the store alone, comes to the same end.

Each operation is told twice, once by one leader and once with a new one before and after every
pass. What may differ are times; what the swarm has come to may not.
"""

from __future__ import annotations

import pytest

from tests.support.stories import STORIES, Story, Told


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_elections_around_every_pass_change_nothing(story: Story) -> None:
    calm, restless = Told(elections=False), Told(elections=True)
    story(calm)
    story(restless)
    assert restless.outcome() == calm.outcome()
    assert calm.outcome()[0]
