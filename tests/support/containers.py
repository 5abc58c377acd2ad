"""A worker on this machine with the real containerd executor, and images to give it."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.agent.describe import node_platform
from swarmd.agent.executors.base import NodeContext
from swarmd.agent.executors.containerd.installation import find_installation
from swarmd.agent.executors.node import NodeExecutor
from swarmd.lb.kernel import Balancer
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.model.task import Task
from swarmd.runtime.clock import SystemClock
from tests.support import images
from tests.support.workers import WorkerUnderTest, a_task, alive, eventually

IMAGE = "box:1"
_COUNT = itertools.count()


def why_none() -> str:
    """What this machine lacks for containers of the tests; empty when nothing."""
    found = find_installation()
    if isinstance(found, str):
        return found
    return "" if images.BUSYBOX else "no busybox; apt-get install busybox-static"


needs_containers = pytest.mark.skipif(bool(why_none()), reason=why_none() or "-")


def an_id() -> str:
    """A task id that no other test on this machine has; interfaces are named after it."""
    return f"t{os.getpid()}x{next(_COUNT)}"


def a_container(task_id: str, *words: str, image: str = IMAGE, **fields: object) -> Task:
    """A task of `image` with `words` as arguments."""
    return a_task(task_id, image=image, args=words, **{"command": (), **fields})  # type: ignore[arg-type]


class ContainerWorker(WorkerUnderTest):
    """A worker whose executor runs containers under a containerd of its own."""

    def make_executor(self) -> NodeExecutor:  # type: ignore[override]
        def make_proxy() -> Balancer:
            return ProxyBalancer(
                place=Place(node_name="host1", listen=("127.0.0.1",)),
                clock=SystemClock(),
                rng=random.Random(1),
            )

        node = NodeContext(node_id=self.node_id, hostname="host1", platform=node_platform())
        return NodeExecutor(
            self.directory,
            node,
            make_proxy=make_proxy,
            clock=SystemClock(),
            ports_start=21_000,
            files=self.files,
        )

    @property
    def node_executor(self) -> NodeExecutor:
        executor = self.executor
        assert isinstance(executor, NodeExecutor)
        return executor

    @property
    def keeper_pid(self) -> int:
        return self.node_executor.processes.link.keeper_pid

    @property
    def engine_pid(self) -> int:
        """The process of the node's containerd; 0 when none runs."""
        path = self.directory / "containerd" / "containerd.pid"
        return int(path.read_text() or 0) if path.exists() else 0

    async def load(self, path: Path) -> None:
        store = self.node_executor.images
        assert store is not None
        await store.import_archive(path)

    async def run_to_end(self, *words: str, **fields: object) -> str:
        """Run words in a container of their own, which must end well; returns what they said."""
        task_id = an_id()
        self.assign(a_container(task_id, *words, **fields))
        status = await self.ends(task_id)
        assert not status.err, status
        return self.output(task_id)

    def swept(self) -> list[str]:
        """Kill and unmount whatever is left below the directory, and say what there was."""
        left = []
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and int(path.name) != os.getpid():
                with contextlib.suppress(OSError):
                    words = (path / "cmdline").read_bytes().decode(errors="replace")
                    if str(self.directory) in words:
                        left.append(words.replace("\0", " "))
                        os.kill(int(path.name), signal.SIGKILL)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            point = line.split()[1]
            if point.startswith(str(self.directory)):
                left.append(point)
                subprocess.run(["umount", "-l", point], check=False)
        bridge = f"sw-{self.node_id}"[:15]
        if Path("/sys/class/net", bridge).exists():
            left.append(bridge)
            subprocess.run(["ip", "link", "del", bridge], check=False)
        left += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/*/{self.node_id}")]
        return left


@contextlib.asynccontextmanager
async def a_container_worker(directory: Path) -> AsyncIterator[ContainerWorker]:
    """A started worker with an image; afterwards nothing of it is left, or the test has failed."""
    # Sockets and mounts have short paths only.
    directory = directory.parent / f"w{next(_COUNT)}"
    directory.mkdir()
    worker = ContainerWorker(directory)
    await worker.worker.start()
    try:
        archive = directory / "box.tar"
        images.docker_archive(archive, IMAGE, [images.busybox_layer()])
        await worker.load(archive)
        yield worker
    finally:
        try:
            await worker.worker.stop(keep_tasks=False)
            await worker.node_executor.retire()
            keeper = worker.keeper_pid
            await eventually(lambda: not alive(keeper), "the end of an idle keeper")
            left = worker.swept()
            assert not left, left
        finally:
            worker.swept()
            shutil.rmtree(directory, ignore_errors=True)
