"""Clients that want something of the swarm itself: its nodes, its files, and room for what matters.

*Wardens* drain, pause and taint workers, and have tasks moved. *Archivists* make, renew and remove
secrets and configs. A *crowd* is three services of different priorities that together ask for more
than there is, so that some of them have to make room. A *registrar* changes who is a manager.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec.structs import replace

from swarmd.manager.cluster_service import CLUSTER
from swarmd.model.node import Node
from swarmd.model.spec import (
    ContainerSpec,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import Availability, Role, UpdateOrder
from swarmd.rpc.convert import node_from_pb
from swarmd.rpc.pb import cluster as own_pb
from swarmd.rpc.pb import control as control_pb
from swarmd.sim.client import REVISION, Client, Outcome
from swarmd.sim.file_calls import create_files, list_files, remove_file, renew_file
from swarmd.sim.furniture import TAINTS
from swarmd.sim.specs import STEADY, replicated
from swarmd.sim.workload import Patron

KEEPERS = ("warden", "archivist", "crowd", "registrar")
MANAGERS_MAX = 5
EXTRA_FILES = ("extra-1", "extra-2")
PRIORITIES = (-1, 0, 10)
CROWD_CPUS = 2  # of the four that a node has
CROWD_MAX = 8


class Warden(Patron):
    """Changes what is wanted of workers; once it has settled, each takes all tasks or none."""

    pause_s = (1.0, 6.0)

    def __init__(self, client: Client, workers: Callable[[], Sequence[str]]) -> None:
        super().__init__(client)
        self._workers = workers
        self._touched: set[str] = set()

    async def act(self) -> None:
        workers = self._workers()
        if not workers or self.rng.random() < 0.2:
            await self.client.call("Rebalance", own_pb.RebalanceRequest(), service=CLUSTER)
            return
        node_id = self.rng.choice(workers)
        self._touched.add(node_id)
        await self.client.change_node(node_id, self._changed)

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        return [partial(self._restore, node_id) for node_id in sorted(self._touched)]

    def _changed(self, node: Node) -> Node:
        spec = node.spec
        if self.rng.random() < 0.4:
            spec = replace(spec, taints=self.rng.choice(((), *((text,) for text in TAINTS))))
        else:
            spec = replace(
                spec,
                availability=self.rng.choice(tuple(Availability)),
                drain_order=self.rng.choice(tuple(UpdateOrder)),
            )
        return replace(node, spec=spec)

    async def _restore(self, node_id: str) -> bool:
        """Some stay drained, or tainted so that tasks have to go: they can go to managers."""
        if node_id not in self._workers():
            return True  # its machine has left the swarm
        drawn = self.rng.random()
        availability = Availability.DRAIN if drawn < 0.2 else Availability.ACTIVE
        taints = TAINTS[:1] if drawn > 0.7 else ()

        def restored(node: Node) -> Node:
            return replace(node, spec=replace(node.spec, availability=availability, taints=taints))

        return await self.client.change_node(node_id, restored)


class Archivist(Patron):
    """Sees to secrets and configs, some of which services refer to."""

    pause_s = (0.3, 3.0)

    async def act(self) -> None:
        if self.rng.random() < 0.2:
            await create_files(self.client, self.rng.choice(EXTRA_FILES), self._data())
            return
        files = await list_files(self.client)
        if not files:
            return
        file = self.rng.choice(files)
        if self.rng.random() < 0.4:
            await remove_file(self.client, file)
        else:
            await renew_file(self.client, file, self._data())

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        return [self._look]

    async def _look(self) -> bool:
        return await list_files(self.client) is not None

    def _data(self) -> bytes:
        return self.client.revision().encode()


class Crowd(Patron):
    """Three services of different priorities, too large for the swarm when they are all large."""

    pause_s = (0.5, 4.0)

    async def act(self) -> None:
        await self._change(self.rng.choice(PRIORITIES), least=0)

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        """Have them all settle at some size, the one of the highest priority last."""
        return [partial(self._insist, priority) for priority in PRIORITIES]

    async def _insist(self, priority: int) -> bool:
        return await self._change(priority, least=1)

    async def _change(self, priority: int, *, least: int) -> bool:
        """Create, scale or remove a service; whether that is certain."""
        name = f"{self.client.name}-priority-{priority}"
        certain, service = await self.client.find(name)
        if not certain:
            return False
        replicas = self.rng.randrange(least, CROWD_MAX + 1)
        if service is None:
            return await self.client.create(self._spec(name, priority, replicas)) is not None
        if not least and self.rng.random() < 0.2:
            return await self.client.remove(service)
        if self.rng.random() < 0.3:
            spec = self._spec(name, priority, replicas)
        else:
            labels = {REVISION: self.client.revision()}
            spec = replace(service.spec, mode=replicated(replicas), labels=labels)
        return await self.client.update(service, spec) is not None

    def _spec(self, name: str, priority: int, replicas: int) -> ServiceSpec:
        needs = Resources(nano_cpus=CROWD_CPUS * 10**9)
        return ServiceSpec(
            name=name,
            labels={REVISION: self.client.revision()},
            task_template=TaskSpec(
                container_spec=ContainerSpec(command=STEADY),
                resources=ResourceRequirements(reservations=needs),
                restart_policy=RestartPolicy(delay_ns=0),
                priority=priority,
                force_update=self.rng.randrange(10**6),
            ),
            mode=replicated(replicas),
            update_config=UpdateConfig(
                parallelism=self.rng.choice((0, 1, 2)), order=self.rng.choice(tuple(UpdateOrder))
            ),
            min_available=self.rng.choice((0, 0, 1, 2)),
        )


class Registrar(Patron):
    """Promotes and demotes nodes, and removes what is left of those that never got to join.

    Args:
        anchor: a manager that stays one, for machines that join know only those of the beginning.
        present: ids of all nodes that there are; None while some are still about to join.
    """

    pause_s = (0.3, 2.5)

    def __init__(
        self, client: Client, *, anchor: str, present: Callable[[], frozenset[str] | None]
    ) -> None:
        super().__init__(client)
        self._anchor = anchor
        self._present = present

    async def act(self) -> None:
        nodes = await self._nodes()
        managers = [node for node in nodes if node.spec.role is Role.MANAGER]
        others = [node for node in managers if node.id != self._anchor]
        workers = [node for node in nodes if node.spec.role is Role.WORKER]
        promotes = workers and len(managers) < MANAGERS_MAX and self.rng.random() < 0.6
        if promotes:
            await self._change_role(self.rng.choice(workers), Role.MANAGER)
        elif others:
            await self._change_role(self.rng.choice(others), Role.WORKER)

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        return [self._remove_strangers]

    async def _change_role(self, node: Node, role: Role) -> None:
        await self.client.change_node(
            node.id, lambda known: replace(known, spec=replace(known.spec, role=role))
        )

    async def _nodes(self) -> list[Node]:
        answer = await self.client.call("ListNodes", control_pb.ListNodesRequest())
        if answer.outcome is not Outcome.DONE:
            return []
        return [node_from_pb(message) for message in answer.message.nodes]

    async def _remove_strangers(self) -> bool:
        """A machine that died while it joined comes back as another node."""
        nodes, present = await self._nodes(), self._present()
        if not nodes or present is None:
            return False
        strangers = [node for node in nodes if node.id not in present]
        for node in strangers:
            request = control_pb.RemoveNodeRequest(node_id=node.id, force=True)
            await self.client.call("RemoveNode", request)
        return not strangers
