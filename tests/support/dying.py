"""Daemons, and containerds, that are killed at every step of a container's life, one by one.

`python -m tests.support.dying daemon DIRECTORY NODE` runs a worker in a process of its own for each
step: it sees to it that nothing is left of the one before, pulls an image, brings a container up
and takes it down, and is killed by the kernel right after the step. Steps are calls to containerd
and to the keeper, and what is done to files, volumes and interfaces. It ends when a worker has
outlived all steps, and prints how many there were.

With `containerd` in place of `daemon` one worker does so over and over; its containerd is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

from swarmd.agent.dataplane.plane import DataPlane
from swarmd.agent.executors.containerd import client as containerd
from swarmd.agent.executors.containerd.belongings import Belongings
from swarmd.agent.executors.containerd.client import listed
from swarmd.agent.executors.containerd.files import ContainerFiles
from swarmd.agent.executors.containerd.forwarder import Forwarder
from swarmd.agent.executors.keeper_link import KeeperLink
from swarmd.agent.volumes.store import VolumeStore
from swarmd.model.reference import parse
from swarmd.model.spec import Driver, Mount, PortConfig, VolumeOptions
from swarmd.model.states import MountType, TaskState
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import containers_pb2, leases_pb2, snapshots_pb2, tasks_pb2
from tests.support import images
from tests.support.containers import ContainerWorker, a_container, an_id
from tests.support.false_registry import a_false_registry
from tests.support.task_files import a_config, a_secret, uses_config, uses_secret
from tests.support.workers import eventually

OUTLIVED = 7
STEPS_MAX = 200
LOOKS_MAX = 100
STEPS: tuple[tuple[type, str], ...] = (
    (KeeperLink, "request"),
    (DataPlane, "attach"),
    (DataPlane, "detach"),
    (Forwarder, "add"),
    (Forwarder, "remove"),
    (Belongings, "deliver"),
    (Belongings, "ended"),
    (ContainerFiles, "make"),
    (ContainerFiles, "remove"),
    (VolumeStore, "use"),
    (VolumeStore, "own"),
    (VolumeStore, "release"),
    (VolumeStore, "forget"),
)
MOUNTS = (
    Mount(type=MountType.VOLUME, source="claimed-{{.Task.Slot}}", target="/claimed"),
    Mount(type=MountType.VOLUME, target="/own"),
    Mount(type=MountType.TMPFS, target="/memory"),
    Mount(
        type=MountType.VOLUME,
        source="shown",
        target="/shown",
        volume_options=VolumeOptions(
            driver_config=Driver(name="local", options={"type": "tmpfs", "device": "tmpfs"})
        ),
    ),
)


class Death:
    """Counts steps, once told to, and kills a process after the last: this one, unless told."""

    def __init__(self, last: int, *, victim: Callable[[], int] = os.getpid) -> None:
        self.last = last
        self._victim = victim
        self._done: int | None = None

    def begin(self) -> None:
        self._done = 0

    def end(self) -> bool:
        """Count no more steps; returns whether there were enough of them."""
        done, self._done = self._done, None
        return done is not None and done >= self.last

    def step(self) -> None:
        if self._done is not None:
            self._done += 1
            if self._done == self.last:
                os.kill(self._victim(), signal.SIGKILL)

    def lurk(self) -> None:
        """Have every step counted, in this process."""
        for owner, name in STEPS:
            self.count(owner, name)
        original = containerd.Service.__getattr__
        containerd.Service.__getattr__ = (  # type: ignore[method-assign]
            lambda service, name: self._counted(original(service, name))
        )

    def count(self, owner: Any, name: str) -> None:
        """Count calls of a method, or of a module's function, as steps."""
        setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if not asyncio.iscoroutine(result):
                self.step()
                return result

            async def awaited() -> Any:
                answer = await result
                self.step()
                return answer

            return awaited()

        return counted


async def live(directory: Path, node_id: str, image: str, death: Death) -> None:
    worker = ContainerWorker(directory, node_id=node_id)
    await worker.worker.start()
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the end of an earlier task")
    await nothing_left(worker)
    death.begin()
    await live_once(worker, image)
    await nothing_left(worker)


async def live_once(worker: ContainerWorker, image: str) -> None:
    """A container that comes up and goes, with everything that there is to be left."""
    store = worker.node_executor.images
    assert store is not None
    await store.remove(parse(image))
    worker.give(a_secret("key", b"hunter2"), a_config("app", b"red"))
    task_id = an_id()
    worker.assign(
        a_container(
            task_id, "sh", "-c", "cat /run/secrets/key /app; exec sleep 1000", image=image,
            ports=(PortConfig(target_port=80),), grace_ns=1, mounts=MOUNTS,
            secrets=(uses_secret("key"),), configs=(uses_config("app"),),
        )
    )  # fmt: skip
    await worker.reaches(task_id, TaskState.RUNNING)
    assert not list((worker.directory / "downloads").iterdir())
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the removal")


async def outlive_containerds(directory: Path, node_id: str, image: str) -> int:
    """Kill the containerd of one worker at each step; returns how many there were."""
    worker = ContainerWorker(directory, node_id=node_id)
    await worker.worker.start()
    death = Death(0, victim=lambda: worker.engine_pid)
    death.lurk()
    try:
        await live_once(worker, image)  # the first has made the bridge
        for death.last in range(1, STEPS_MAX):
            death.begin()
            await live_once(worker, image)
            has_come = death.end()
            await nothing_left(worker)
            if not has_come:
                return death.last - 1
    finally:
        await worker.worker.stop(keep_tasks=True)
    raise AssertionError(f"more than {STEPS_MAX} steps")


async def nothing_left(worker: ContainerWorker) -> None:
    """Interfaces go a moment after their namespace, when the kernel finds the time."""
    left: list[str] = []
    for _ in range(LOOKS_MAX):
        try:
            left = await leftovers(worker)
        except RpcError as error:
            left = [error.message]  # of a containerd that has died just now
        if not left:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(left)


async def leftovers(worker: ContainerWorker) -> list[str]:
    """What is there of containers, though none is assigned."""
    executor = worker.node_executor.containers
    assert executor is not None
    client = await executor.engine.client()
    containers = await client.containers.List(containers_pb2.ListContainersRequest())
    tasks = await client.tasks.List(tasks_pb2.ListTasksRequest())
    request = snapshots_pb2.ListSnapshotsRequest(snapshotter="overlayfs")
    snapshots = await listed(client.snapshots.List(request))
    leases = await client.leases.List(leases_pb2.ListRequest())
    left = [f"container {one.id}" for one in containers.containers]
    left += [f"task {one.id}" for one in tasks.tasks]
    left += [f"snapshot {one.name}" for one in snapshots if one.kind == snapshots_pb2.ACTIVE]
    left += [f"lease {one.id}" for one in leases.leases]
    for name in ("containers", "logs"):
        left += [str(path) for path in (worker.directory / name).iterdir()]
    left += [f"namespace of {task_id}" for task_id in executor.plane.left()]
    bridge = f"sw-{worker.node_id}"[:15]
    left += [str(path) for path in Path("/sys/class/net", bridge, "brif").glob("*")]
    mounts = Path("/proc/mounts").read_text().splitlines()
    shown = (f"{worker.directory}/containers/", f"{worker.directory}/volumes/")
    left += [line for line in mounts if any(path in line for path in shown)]
    left += [str(path) for path in (worker.directory / "volumes" / ".own").glob("*")]
    left += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/*/{worker.node_id}/*/")]
    return left


def _live_and_exit(life: Coroutine[Any, Any, None]) -> NoReturn:
    """Never returns: what the parent has open, threads among it, is not for a child to close."""
    try:
        asyncio.run(life)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(OUTLIVED)


def deaths(live: Callable[[Death], Coroutine[Any, Any, None]]) -> int:
    """Have `live` lived over and over, a step longer each time; prints how many steps there are."""
    for last in range(1, STEPS_MAX):
        pid = os.fork()
        if pid == 0:
            _live_and_exit(live(Death(last)))
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            print(last - 1)
            return 0 if os.WEXITSTATUS(status) == OUTLIVED else 1
    return 1


def main(whose: str, directory: Path, node_id: str) -> int:
    async def once(death: Death) -> None:
        death.lurk()
        await live(directory, node_id, image, death)

    with a_false_registry() as registry:
        registry.honest = True
        layers = [images.busybox_layer(), images.layer([images.a_file("more", b"more" * 9999)])]
        image = registry.add("image", layers)
        if whose == "daemon":
            return deaths(once)
        print(asyncio.run(outlive_containerds(directory, node_id, image)))
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
