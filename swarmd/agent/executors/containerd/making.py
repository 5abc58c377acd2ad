"""Making a container: its files, snapshot, address, ports, and the record containerd keeps.

The record carries as labels what the next run of the daemon has to know: whose container it is,
its address and ports, the signal that stops it, and in the end its exit.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import msgspec

from swarmd.agent.core import launch as launching
from swarmd.agent.core.mounts import Placed
from swarmd.agent.dataplane.plane import Home
from swarmd.agent.executors.base import NodeContext
from swarmd.agent.executors.containerd import node_access, words
from swarmd.agent.executors.containerd.apparmor import AppArmor
from swarmd.agent.executors.containerd.client import Client, is_there_already
from swarmd.agent.executors.containerd.container_groups import CGROUPS
from swarmd.agent.executors.containerd.files import ContainerFiles, layers, read_from_layers
from swarmd.agent.executors.containerd.image_mounts import KEEPS
from swarmd.agent.executors.containerd.installation import Installation
from swarmd.agent.executors.containerd.words import Exit
from swarmd.agent.images.manifest import ImageHealth
from swarmd.agent.images.store import Image
from swarmd.agent.images.unpack import SNAPSHOTTER
from swarmd.agent.oci import capabilities, cgroups, users
from swarmd.agent.oci import container as describing
from swarmd.agent.oci.runtime_spec import TYPE_URL, runtime_spec
from swarmd.agent.volumes.filling import View
from swarmd.model.host_access import HostAccess
from swarmd.model.ids import TaskId
from swarmd.model.record import Record
from swarmd.model.spec import ContainerSpec, HealthConfig, PortConfig, ResourceRequirements
from swarmd.model.task import Task
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import containers_pb2, runc_pb2, snapshots_pb2

# containerd takes no more for a label's name and value together.
LABEL_BYTES_MAX = 4096
NODE, ADDRESS, PORTS, SIGNAL, EXIT, HEALTH, IMAGES = (
    f"swarmd.{word}" for word in ("node", "address", "ports", "signal", "exit", "health", "images")
)


NODE_ADDRESS = IPv4Address("127.0.0.1")


class Found(Record, frozen=True):
    """A container as its record and containerd tell of it."""

    address: IPv4Address | IPv6Address  # by which the node reaches it, if it can
    ports: tuple[PortConfig, ...] = ()
    stop_signal: int = 0  # of the image; 0 when it names none
    health: HealthConfig | None = None  # of the image
    snapshots: Mapping[str, str] = {}  # of images that it mounts, by target
    exit: Exit | None = None
    pid: int = 0  # while it runs

    @property
    def shares_network(self) -> bool:
        """Whether it has the node's network instead of an address of its own."""
        return self.address == NODE_ADDRESS


def found_in(labels: Mapping[str, str], *, pid: int = 0) -> Found:
    """What the labels of a container say."""
    return Found(
        address=ip_address(labels[ADDRESS]),
        ports=msgspec.json.decode(labels[PORTS], type=tuple[PortConfig, ...]),
        stop_signal=int(labels[SIGNAL]),
        health=msgspec.json.decode(labels[HEALTH], type=HealthConfig) if HEALTH in labels else None,
        snapshots=msgspec.json.decode(labels.get(IMAGES, "{}"), type=dict[str, str]),
        exit=words.parse_exit(labels.get(EXIT, "")),
        pid=pid,
    )


class Maker:
    """Makes the containers of one node."""

    def __init__(
        self, node: NodeContext, installation: Installation | None, *, runtime_root: str
    ) -> None:
        self._node = node
        self._installation = installation
        self._runtime_root = runtime_root
        self._facts = node_facts()
        self._apparmor = AppArmor()

    def cgroup(self, task_id: TaskId, spec: ContainerSpec) -> str:
        """The cgroup of a task's container, below the parent that its spec may name."""
        access = spec.host_access or HostAccess()
        parent = access.cgroup_parent.rstrip("/") or f"/{CGROUPS}/{self._node.node_id}"
        return f"{parent}/{task_id}"

    def unenforced(self, task: Task) -> tuple[str, ...]:
        """Sentences on the bounds of a task that this node can't enforce."""
        return cgroups.unenforced(
            task.spec.resources or ResourceRequirements(), self._facts.cgroups
        )

    async def make(
        self,
        client: Client,
        task: Task,
        spec: ContainerSpec,
        image: Image,
        *,
        files: ContainerFiles,
        home: Home | None,
        ports: tuple[PortConfig, ...],
        snapshots: Mapping[str, str],
        place: Callable[[View], Awaitable[tuple[Placed, ...]]],
    ) -> Found:
        """Make the container of `task` unless it is there.

        Args:
            home: where it is on the node's networks; None if it shares the node's own.
            snapshots: of images that it mounts, by target; they are kept with it.
            place: makes ready what it mounts, given its root file system.

        Raises:
            RpcError, launching.Unfit, TaskFailure
        """
        mounts = await _snapshot(client, task.id, image.snapshot)
        account = await asyncio.to_thread(_account, spec, image, layers(mounts))
        given = await asyncio.to_thread(node_access.given, spec, self._apparmor)
        hostname = self._hostname(task, spec)
        address = home.address if home is not None else NODE_ADDRESS
        nameserver = home.nameserver if home is not None else ""
        await asyncio.to_thread(
            files.make, spec, hostname=hostname, address=address, nameserver=nameserver
        )
        placed = await place(_view(mounts))
        container = describing.container(
            task,
            spec,
            image.config.run,
            account=account,
            hostname=hostname,
            cgroup=self.cgroup(task.id, spec),
            files=files.mounts(),
            mounts=placed,
            node=self._facts,
            given=given,
            ports=ports,
            network_namespace=str(home.place.namespace) if home is not None else "",
            architecture=self._node.platform.architecture,
            node_id=self._node.node_id,
        )
        stop_signal = image.config.run.stop_signal
        labels = {
            **{k: v for k, v in container.labels.items() if len(k) + len(v) <= LABEL_BYTES_MAX},
            NODE: self._node.node_id,
            ADDRESS: str((home.place.address if home is not None else None) or address),
            PORTS: msgspec.json.encode(ports).decode(),
            SIGNAL: str(launching.signal_number(stop_signal) if stop_signal else 0),
        }
        if snapshots:
            labels[IMAGES] = msgspec.json.encode(snapshots).decode()
            labels |= {f"{KEEPS}{n}": name for n, name in enumerate(snapshots.values())}
        health = image_health(image.config.run.healthcheck)
        if health and len(health) + len(HEALTH) <= LABEL_BYTES_MAX:
            labels[HEALTH] = health
        request = containers_pb2.CreateContainerRequest()
        record = request.container
        record.id = record.snapshot_key = task.id
        record.image = image.name
        record.snapshotter = SNAPSHOTTER
        self._set_runtime(record.runtime, spec)
        record.spec.type_url = TYPE_URL
        record.spec.value = msgspec.json.encode(runtime_spec(container))
        for name, value in labels.items():
            record.labels[name] = value
        try:
            await client.containers.Create(request)
        except RpcError as error:
            if not is_there_already(error):
                raise
            answer = await client.containers.Get(containers_pb2.GetContainerRequest(id=task.id))
            return found_in(dict(answer.container.labels))
        return found_in(labels)

    def _hostname(self, task: Task, spec: ContainerSpec) -> str:
        access = spec.host_access or HostAccess()
        if access.uts:
            return self._node.hostname
        if spec.hostname:
            return spec.hostname
        if task.lease_ns:
            return task.name  # of its ordinal, whose tasks come and go
        # A container that shares the node's network is known there by the node's name.
        return self._node.hostname if access.network else task.id[: describing.SHORT_ID]

    def _set_runtime(self, runtime: containers_pb2.Container.Runtime, spec: ContainerSpec) -> None:
        wanted = (spec.host_access or HostAccess()).runtime
        shim, program = node_access.runtime(wanted, self._installation)
        runtime.name = shim
        if shim == node_access.RUNC_SHIM:
            options = runc_pb2.Options(root=self._runtime_root, binary_name=program)
            runtime.options.type_url = "containerd.runc.v1.Options"
            runtime.options.value = options.SerializeToString()


def image_health(check: ImageHealth | None) -> str:
    """The health check of an image as a label; empty for none."""
    if check is None or not check.test:
        return ""
    health = HealthConfig(
        test=check.test,
        interval_ns=check.interval,
        timeout_ns=check.timeout,
        retries=check.retries,
        start_period_ns=check.start_period,
        start_interval_ns=check.start_interval,
    )
    return msgspec.json.encode(health).decode()


async def _snapshot(client: Client, task_id: TaskId, parent: str) -> Any:
    """The writable layer of a container; nothing but the container's own end collects it."""
    request = snapshots_pb2.PrepareSnapshotRequest(
        snapshotter=SNAPSHOTTER,
        key=task_id,
        parent=parent,
        labels={"containerd.io/gc.root": "container"},
    )
    try:
        return (await client.snapshots.Prepare(request)).mounts
    except RpcError as error:
        if not is_there_already(error):
            raise
    mounts = snapshots_pb2.MountsRequest(snapshotter=SNAPSHOTTER, key=task_id)
    return (await client.snapshots.Mounts(mounts)).mounts


def _view(mounts: Any) -> View:
    """The root file system as a mount; there is one, with every snapshotter that we use."""
    [one] = mounts
    return View(kind=one.type, source=one.source, options=tuple(one.options))


def node_facts() -> describing.NodeFacts:
    """What containers depend on of this machine's kernel."""
    return describing.NodeFacts(
        kernel=_kernel(),
        capabilities=capabilities.in_mask(_capabilities()),
        cgroups=cgroups.detect(_text("/proc/mounts"), read=_text, exists=os.path.exists),
    )


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _kernel() -> tuple[int, int]:
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int("".join(char for char in minor if char.isdigit()) or 0)


def _account(spec: ContainerSpec, image: Image, directories: list[str]) -> users.ImageAccount:
    try:
        return users.look_up(
            spec.user or image.config.run.user,
            spec.groups,
            passwd=read_from_layers(directories, "passwd"),
            group=read_from_layers(directories, "group"),
        )
    except users.UnknownUser as error:
        raise launching.Unfit(f"{error} ({spec.image}); use an id, or another name") from None


def _capabilities() -> int:
    """The set that this process has, and so all that it can give."""
    [line] = [line for line in _text("/proc/self/status").splitlines() if "CapEff" in line]
    return int(line.split()[1], 16)
