"""Daemons and containerds, killed at each step of bringing a container up and taking it down."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.containers import a_container_worker, needs_containers

pytestmark = needs_containers
# Fewer would mean that steps are not seen any more.
STEPS_MIN = 20


@pytest.mark.parametrize("whose", ["daemon", "containerd"])
async def test_nothing_is_left_whenever_it_is_killed(whose: str, tmp_path: Path) -> None:
    async with a_container_worker(tmp_path) as worker:
        await worker.worker.stop(keep_tasks=True)
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.dying"),
            *(whose, str(worker.directory), worker.node_id),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, errors = await program.communicate()
        await worker.restart_stopped()
    assert program.returncode == 0, (said, errors.decode()[-3000:])
    assert int(said) > STEPS_MIN
