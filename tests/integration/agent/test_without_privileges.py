"""Process tasks of a daemon that is not run by root: no cgroups, no namespaces, no orphans."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nobody import NOBODY, PATHS, interpreter

SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from swarmd.model.spec import PortConfig, Resources
from swarmd.model.states import TaskState
from tests.support.workers import a_task, a_worker, alive, eventually

WORDS = ("sh", "-c", "setsid sh -c 'setsid sleep 1000 & echo $!' & wait; exec sleep 1000")

async def main():
    async with a_worker(Path(sys.argv[1])) as worker:
        limits, ports = Resources(memory_bytes=10**8), (PortConfig(target_port=80),)
        worker.assign(
            a_task("t1", *WORDS, limits=limits, ports=ports), a_task("t2", "true", user="root")
        )
        started = await worker.reaches("t1", TaskState.RUNNING)
        refused = await worker.reaches("t2", TaskState.REJECTED)
        await eventually(lambda: worker.output("t1").strip().isdigit(), "the descendant's pid")
        descendant = int(worker.output("t1"))
        before = alive(descendant)
        worker.assign(a_task("t1", *WORDS, desired=TaskState.SHUTDOWN))
        await worker.reaches("t1", TaskState.SHUTDOWN)
        print(json.dumps({
            "describe": worker.executor.describe(),
            "message": started.message,
            "port": started.ports[0].published_port,
            "refused": refused.err,
            "descendant": [before, alive(descendant)],
        }))

asyncio.run(main())
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory anybody can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming user nobody needs root")
def test_tasks_run_and_die_whole_and_the_node_says_what_it_lacks(open_directory: Path) -> None:
    done = subprocess.run(
        [interpreter(), "-c", SCRIPT, str(open_directory / "worker")],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        env={"PYTHONPATH": PATHS, "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.defpath},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "no namespaces: not privileged" in seen["describe"]
    assert seen["descendant"] == [True, False]
    assert "only a daemon run by root can do" in seen["refused"]
    if "no limits" in seen["describe"]:
        assert "runs without some limits" in seen["message"]
    assert seen["port"] != 80
