"""Daemons that are killed at each step of bringing a container up and taking it down."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.containers import a_container_worker, needs_containers

pytestmark = needs_containers


async def test_nothing_is_left_whenever_the_daemon_is_killed(tmp_path: Path) -> None:
    async with a_container_worker(tmp_path) as worker:
        await worker.worker.stop(keep_tasks=True)
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.dying", str(worker.directory), worker.node_id,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, errors = await program.communicate()
        await worker.restart_stopped()
    assert program.returncode == 0, (said, errors.decode()[-3000:])
    assert int(said) > 20  # steps: fewer would mean that they are not seen any more
