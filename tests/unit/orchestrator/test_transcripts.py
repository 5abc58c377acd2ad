"""Golden transcripts: every decision of whole operations, word for word.

What is written beside this, one file for each story, is what people read in events and logs. `make
golden` writes it anew; its difference is to be read like that of code.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.stories import STORIES, Story, Told
from tests.support.transcript import transcript_of

TRANSCRIPTS = Path(__file__).parent / "transcripts"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_an_operation_is_told_as_it_was_written_down(story: Story) -> None:
    told = Told(elections=False)
    story(told)
    lines = transcript_of(told.swarm.log)
    path = TRANSCRIPTS / f"{story.__name__}.txt"
    if os.environ.get("SWARMD_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
    assert lines == path.read_text().splitlines()


def test_there_is_no_transcript_without_its_story() -> None:
    assert {path.stem for path in TRANSCRIPTS.iterdir()} == {story.__name__ for story in STORIES}
