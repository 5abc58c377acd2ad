"""The executor that runs tasks as containers: what its controllers share, and what it adopts.

The output of containers is logged by the node's keeper, which outlives the daemon as they do. A
container's end is learnt from the call that waits for it; nothing is polled.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Coroutine, Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from swarmd.agent.core import launch as launching
from swarmd.agent.core.mounts import Placed
from swarmd.agent.dataplane.plane import DataPlane, Home
from swarmd.agent.executors.base import NodeContext, TaskFailure, TemporaryFailure
from swarmd.agent.executors.containerd import container_groups
from swarmd.agent.executors.containerd.belongings import Belongings
from swarmd.agent.executors.containerd.client import is_missing
from swarmd.agent.executors.containerd.controller import ContainerController
from swarmd.agent.executors.containerd.engine import Engine, EngineDown
from swarmd.agent.executors.containerd.fencing import ContainerLeases
from swarmd.agent.executors.containerd.files import STDERR, STDIN, STDOUT, ContainerFiles
from swarmd.agent.executors.containerd.forwarder import Forwarder
from swarmd.agent.executors.containerd.image_mounts import ImageMounts
from swarmd.agent.executors.containerd.installation import Installation
from swarmd.agent.executors.containerd.making import (
    EXIT,
    NODE,
    Found,
    Maker,
    found_in,
)
from swarmd.agent.executors.containerd.running import RunningTasks
from swarmd.agent.executors.containerd.session import Sessions
from swarmd.agent.executors.containerd.words import Exit
from swarmd.agent.executors.keeper_link import KeeperLink, KeeperLost
from swarmd.agent.executors.ports import NoPortLeft, Ports, refused_address
from swarmd.agent.files import NodeFiles
from swarmd.agent.images.puller import Puller
from swarmd.agent.images.unpack import remove_snapshot
from swarmd.agent.leases import Leases
from swarmd.agent.oci.container import expanded
from swarmd.agent.policy import NodePolicy
from swarmd.agent.volumes.filling import View
from swarmd.agent.volumes.mounting import Mounter
from swarmd.model import reference
from swarmd.model.host_access import HostAccess
from swarmd.model.ids import TaskId
from swarmd.model.mounts import images_of
from swarmd.model.registry_login import NOBODY, BadCredentials, Credentials, decode_credentials
from swarmd.model.spec import ContainerSpec, PortConfig
from swarmd.model.states import Protocol, TaskState
from swarmd.model.task import Task
from swarmd.model.template import template_context
from swarmd.network.bridge import BridgeUnavailable
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import containers_pb2, process_pb2, tasks_pb2
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

RETRY_S = 0.2
STARTS_PER_CPU = 2
FIND_ATTEMPTS = 5
FIND_AGAIN_S = 1.0


class ContainerdExecutor:
    """Runs the container tasks of one node.

    Args:
        directory: for what belongs to containers; their logs go to `logs`.
        plane: connects them.
        keeper: logs their output.
        policy: what containers may have of the node.
        leases: the node's contact with the managers, for tasks that may not outlast it.
        published: ports on which the node answers for services; they are not given to tasks.
    """

    def __init__(
        self,
        directory: Path,
        node: NodeContext,
        *,
        engine: Engine,
        installation: Installation | None,
        puller: Puller,
        plane: DataPlane,
        forwarder: Forwarder,
        keeper: KeeperLink,
        ports: Ports,
        mounter: Mounter,
        node_files: NodeFiles,
        policy: NodePolicy,
        leases: Leases,
        logs: Path,
        published: Callable[[], Iterable[tuple[Protocol, int]]] = tuple,
    ) -> None:
        self.node = node
        self.engine = engine
        self.puller = puller
        self.plane = plane
        self.forwarder = forwarder
        self.ports = ports
        self.tasks = RunningTasks(engine, self.files)
        self._directory = directory
        self._logs = logs
        self.keeper = keeper
        self._node_files = node_files
        self._published = published
        self._policy = policy
        self._images = ImageMounts(engine, puller)
        self.leases = ContainerLeases(keeper, leases)
        self.belongings = Belongings(
            node, mounter, node_files, directory=lambda task_id: self.files(task_id).directory
        )
        self._maker = Maker(node, installation, runtime_root=str(engine.directory / "runc"))
        self._controllers: dict[TaskId, ContainerController] = {}
        self._known: dict[TaskId, Found] = {}
        self._supervisor = Supervisor("containers")
        # More at once than the machine has processors for only get in each other's way.
        self.bringing_up = asyncio.Semaphore(STARTS_PER_CPU * (os.cpu_count() or 1))
        self.sessions = Sessions(engine, self.files, self.spawn)

    def log_directory(self, task_id: TaskId) -> Path:
        return self._logs / task_id

    def files(self, task_id: TaskId) -> ContainerFiles:
        return ContainerFiles(self._directory / task_id)

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Do `work` in the background for as long as the executor is open."""
        return self._supervisor.spawn(work, name=name)

    async def start(self) -> frozenset[TaskId]:
        """Find what an earlier run has left; containerd is started only if there is something."""
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        left = {TaskId(path.name) for path in self._directory.iterdir()}
        if left:
            await self._find_patiently()
        return frozenset((*left, *self._known))

    def owns(self, task_id: TaskId) -> bool:
        """Whether something of the task is here."""
        return task_id in self._controllers or self.files(task_id).exists

    def controller(self, task: Task) -> ContainerController:
        """The controller of `task`; raises TaskFailure for a spec that can never run here."""
        node = self.node
        context = template_context(
            task,
            node_id=node.node_id,
            hostname=node.hostname,
            os=node.platform.os,
            arch=node.platform.architecture,
        )
        try:
            spec = expanded(task, context)
            reference.parse(spec.image)
            decode_credentials(spec.registry_auth)
            stop_signal = launching.signal_number(spec.stop_signal) if spec.stop_signal else None
            log_policy = launching.log_policy(task.log_driver or task.spec.log_driver)
        except (launching.Unfit, reference.BadReference, BadCredentials) as error:
            raise TaskFailure(str(error)) from None
        controller = ContainerController(
            self, task, spec, stop_signal=stop_signal, log_policy=log_policy
        )
        self._controllers[task.id] = controller
        if not task.status.state.terminal:
            self.leases.hold(task)
        published = [
            (port.protocol, port.published_port) for port in task.ports if port.published_port
        ]
        self.ports.publish(task.id, published)
        self.belongings.adopt(task, spec)
        found = self._known.pop(task.id, None)
        if found is not None:
            controller.adopt(found)
            if found.pid:
                self.sessions.end_leftovers(task.id)
                self.spawn(self._resume(controller, found), name=f"resume.{task.id}")
        if task.status.state == TaskState.RUNNING and not controller.started:
            controller.lost()
        return controller

    # --- for controllers

    def images_in_use(self) -> tuple[str, ...]:
        """The images of the tasks that this node has, as their specs name them."""
        controllers = self._controllers.values()
        return tuple(image for each in controllers for image in images_of(each.spec))

    def pulling(self, image: str) -> str:
        """How far the pull of an image has come, as a phrase; empty when there is none."""
        fetch = self.puller.progress(reference.parse(image))
        return fetch.phrase(reference.parse(image).familiar) if fetch is not None else ""

    def note(self, task: Task, spec: ContainerSpec) -> str:
        """What the user should know of a container that runs here: what it can't reach or have."""
        said = self._maker.unenforced(task)
        bridge = self.plane.networks.bridge
        if not (spec.host_access or HostAccess()).network and bridge.note:
            said = (bridge.note, *said)
        return "; ".join(said)

    async def make(self, controller: ContainerController) -> Found:
        """Make a task's container, with its image if need be."""
        task, spec = controller.task, controller.spec
        self._policy.check(spec, task.allow)
        image = await self.puller.ensure(
            reference.parse(spec.image), lambda: self._logins(spec, spec.image)
        )
        await self.puller.store.used(image)
        snapshots = await self._images.snapshots(spec, lambda name: self._logins(spec, name))
        client = await self.engine.client()
        self.engine.trim_log()
        home = await self.connect(controller)
        files = self.files(task.id)

        async def place(view: View) -> tuple[Placed, ...]:
            images = await self._images.show(task.id, files.directory, spec, snapshots)
            return await self.belongings.placed(task, spec, view, images)

        try:
            return await self._maker.make(
                client,
                task,
                spec,
                image,
                files=files,
                home=home,
                ports=self._allocate(task, shares_node=home is None),
                snapshots=snapshots,
                place=place,
            )
        except BaseException:
            await self.belongings.ended(task.id)
            raise

    async def deliver(self, controller: ContainerController, found: Found) -> None:
        """Give a container that is about to come up what it mounts, and its secrets and configs.

        Raises:
            TaskFailure, TemporaryFailure, RpcError, EngineDown, OSError
        """
        task, spec = controller.task, controller.spec
        directory = self.files(task.id).directory
        images = await self._images.show(task.id, directory, spec, found.snapshots)
        await self.belongings.deliver(task, spec, images)

    async def connect(self, controller: ContainerController) -> Home | None:
        """Make the namespace of a container and connect it; None if it shares the node's.

        Again is fine.

        Raises:
            TaskFailure, TemporaryFailure
        """
        task = controller.task
        if not self.plane.wants_namespace(task, is_container=True):
            return None
        return await self.plane.attach(task)

    async def forward(self, task_id: TaskId, found: Found, home: Home | None) -> None:
        """Lead the container's ports of the node to it, as far as the node reaches it."""
        if home is not None and home.place.address is not None:
            await self.forwarder.add(task_id, home.place.address, found.ports)

    async def collect(self, controller: ContainerController) -> None:
        """Have the keeper log a container's output.

        Raises:
            OSError: it cannot.
        """
        task_id, policy = controller.task.id, controller.log_policy
        files = self.files(task_id)
        try:
            answer = await self.keeper.request(
                "collect",
                id=task_id,
                pipes={files.pipe(STDOUT): "o", files.pipe(STDERR): "e"},
                held=[files.pipe(STDIN)] if controller.spec.open_stdin else [],
                log={
                    "directory": str(self.log_directory(task_id)),
                    "max_bytes": policy.max_bytes,
                    "max_files": policy.max_files,
                },
            )
        except KeeperLost as error:
            raise OSError(str(error)) from None
        if "error" in answer:
            raise OSError(f"its output cannot be logged: {answer['error']['about']}")

    async def guard(self, controller: ContainerController) -> None:
        """Have the keeper keep the lease of a container that exists, if its task has one.

        Raises:
            TemporaryFailure: it has run out.
        """
        group = self._maker.cgroup(controller.task.id, controller.spec)
        await self.leases.guard(controller.task, container_groups.directories(group))

    def keeper_renewed(self) -> None:
        """There is another keeper, which has to be told what to log and whose leases to keep."""
        for controller in list(self._controllers.values()):
            if controller.is_running:
                self.spawn(self._keep(controller), name=f"collect.{controller.task.id}")

    async def finish(self, task: Task, spec: ContainerSpec, code: int) -> Exit:
        """Note how a container ended, end its shim, and complete its log.

        Raises:
            RpcError, EngineDown: nothing is lost; call it again.
        """
        task_id = task.id
        self.plane.withdraw(task_id)
        exit = Exit(
            code=code,
            oom=container_groups.oom_kills(self._maker.cgroup(task_id, spec)) > 0,
            lapsed=await self.leases.has_lapsed(task),
        )
        client = await self.engine.client()
        update = containers_pb2.UpdateContainerRequest()
        update.container.id = task_id
        update.container.labels[EXIT] = str(exit)
        update.update_mask.paths.append(f"labels.{EXIT}")
        await client.containers.Update(update)
        await self.tasks.delete(task_id)
        await self.released(task_id)
        return exit

    async def released(self, task_id: TaskId) -> None:
        """A container has ended: complete its log, free its ports, forget its secrets."""
        await self.belongings.ended(task_id)
        await self.forwarder.remove(task_id)
        self.ports.release(task_id)
        self.leases.drop(task_id)
        try:
            await self.keeper.request("release", id=task_id)
        except KeeperLost as error:
            log.warning("container.log.incomplete task.id=%s reason=%s", task_id, error)

    async def destroy(self, task_id: TaskId) -> None:
        """End a container, if it runs, and delete all that is left of it."""
        while self.files(task_id).exists or task_id in self._known:
            try:
                await self._delete(task_id)
                break
            except (RpcError, EngineDown) as error:
                log.warning("container.destroy.delayed task.id=%s reason=%s", task_id, error)
            await asyncio.sleep(RETRY_S)
        await self.released(task_id)
        await self._detach(task_id)
        self.ports.publish(task_id, ())
        self._controllers.pop(task_id, None)
        self._known.pop(task_id, None)
        await asyncio.to_thread(self.files(task_id).remove)
        await self.belongings.forget(task_id)
        await asyncio.to_thread(shutil.rmtree, self.log_directory(task_id), ignore_errors=True)

    async def close(self) -> None:
        """Let go; containers go on. A containerd that nobody needs ends."""
        await self._supervisor.stop()
        await self.forwarder.close()
        if any(controller.is_running for controller in self._controllers.values()):
            await self.engine.let_go()
        elif self.engine.is_running():
            await self.engine.stop()

    async def retire(self) -> None:
        """Remove what is shared by containers; none is left."""
        if not self.engine.directory.exists():
            return  # there never was a container
        await self.engine.stop()
        await asyncio.to_thread(container_groups.remove_shared, self.node.node_id)

    # --- inside

    def _logins(self, spec: ContainerSpec, image: str) -> tuple[Credentials, ...]:
        """As whom to pull: the spec's own credentials first, which may have expired since."""
        own = decode_credentials(spec.registry_auth)
        if reference.parse(image).registry != reference.parse(spec.image).registry:
            own = NOBODY  # they are none of another registry's business
        swarms = self._node_files.login_for(image)
        return tuple(login for login in (own, swarms) if login != NOBODY)

    def _allocate(self, task: Task, *, shares_node: bool) -> tuple[PortConfig, ...]:
        refusal = refused_address(task) if shares_node else ""
        if refusal:
            raise TaskFailure(refusal)
        self.ports.publish("node", self._published())
        held = task.status.ports
        if held and not task.status.state.terminal:
            self.ports.adopt(task.id, held)
            return held
        self.ports.release(task.id)
        try:
            return self.ports.allocate(task.id, task.ports, privileged=True)
        except NoPortLeft as error:
            raise TaskFailure(str(error)) from None

    async def _find_patiently(self) -> None:
        for _ in range(FIND_ATTEMPTS):
            try:
                self._known = await self._find()
                return
            except (EngineDown, RpcError) as error:
                log.error("containers.not_found reason=%s", error)
            await asyncio.sleep(FIND_AGAIN_S)

    async def _find(self) -> dict[TaskId, Found]:
        """This node's containers, and which of them run."""
        client = await self.engine.client()
        request = containers_pb2.ListContainersRequest(
            filters=[f'labels."{NODE}"=={self.node.node_id}']
        )
        containers = (await client.containers.List(request)).containers
        processes = (await client.tasks.List(tasks_pb2.ListTasksRequest())).tasks
        # Also those that have ended meanwhile: waiting for them tells at once how.
        pids = {p.id: p.pid for p in processes if p.status != process_pb2.CREATED}
        found = {}
        for container in containers:
            task_id = TaskId(container.id)
            one = found_in(dict(container.labels), pid=pids.get(container.id, 0))
            if not one.shares_network:
                await self._hold(task_id, one)
            self.ports.adopt(task_id, one.ports)
            found[task_id] = one
        return found

    async def _detach(self, task_id: TaskId) -> None:
        while True:
            try:
                return await self.plane.detach(task_id)
            except TemporaryFailure as error:
                log.warning("container.detach.delayed task.id=%s reason=%s", task_id, error)
            await asyncio.sleep(RETRY_S)

    async def _hold(self, task_id: TaskId, found: Found) -> None:
        """Keep others from being given the address of a container that is there already."""
        bridge = self.plane.networks.bridge
        if isinstance(found.address, IPv4Address) and bridge.may_hold(found.address):
            try:
                await bridge.hold(task_id, found.address)
            except BridgeUnavailable as error:
                log.warning("container.address_lost task.id=%s reason=%s", task_id, error)

    async def _resume(self, controller: ContainerController, found: Found) -> None:
        """Serve a container that was adopted as it was served before."""
        if found.exit is not None:
            # The daemon was killed when it had noted the end and not yet ended the shim.
            await self.tasks.delete(controller.task.id)
            await self.released(controller.task.id)
            return
        if not found.shares_network:
            home = await self.plane.adopt(controller.task, pid=found.pid)
            await self.forward(controller.task.id, found, home)
        await self._keep(controller)

    async def _keep(self, controller: ContainerController) -> None:
        """Have the keeper look after a container that runs."""
        try:
            await self.guard(controller)
        except TemporaryFailure as error:
            # Its end will be seen as any other; without a keeper, the next one is told again.
            log.warning("container.lease task.id=%s reason=%s", controller.task.id, error)
        await self.collect(controller)

    async def _delete(self, task_id: TaskId) -> None:
        client = await self.engine.client()
        await self.tasks.end_at_once(task_id)
        try:
            await client.containers.Delete(containers_pb2.DeleteContainerRequest(id=task_id))
        except RpcError as error:
            if not is_missing(error):
                raise
        await remove_snapshot(client, task_id)
