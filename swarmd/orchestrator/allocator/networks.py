"""Addresses for services, tasks and nodes: one term's allocator.

A service gets a virtual address on each of its networks together with its published ports; a task
gets its addresses at the moment it gets its node, in the same write; a node gets a balancing
address on each network that its tasks take part in. Waiting tasks hold nothing.

Who finds a network full waits and says so. Only nodes do without: every node takes part in the
ingress network, and nodes that join must not keep tasks from running, so a part of it is left for
services and tasks. A node without an address is attached all the same, as its tasks need the rest
of what nodes are told of a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import Network, NetworkAttachment, VirtualIP
from swarmd.model.node import Node
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import NetworkAttachmentConfig
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.actions import Plan
from swarmd.orchestrator.allocator.book import AddressBook, Place
from swarmd.orchestrator.allocator.pool import Holder
from swarmd.orchestrator.allocator.wanted import attachments_of, vip_networks
from swarmd.orchestrator.attaching import Attach, Exhausted
from swarmd.store.view import View

INGRESS_LEFT_SHARE = 4  # one in so many addresses of the ingress network is not for nodes


class Networks:
    """The book of addresses, kept in step with the store, and the decisions made with it."""

    def __init__(self, view: View) -> None:
        self.book = AddressBook()
        self._view = view
        self._tentative: dict[TaskId, None] = {}  # given addresses in a pass that may be lost
        self._nodes: dict[NodeId, None] = {}  # to be compared with what they should have
        self._uses: dict[NodeId, dict[NetworkId, int]] = {}  # tasks by node and network
        self._without: dict[NodeId, None] = {}  # nodes that found no address on some network

    @property
    def dirty(self) -> bool:
        return bool(self._nodes)

    def scan(self) -> None:
        """Learn everything from the store; addresses are given where the last leader stopped."""
        for network in self._view.networks():
            self.book.put_network(network)
        for service in self._view.services():
            for vip in service.endpoint.virtual_ips if service.endpoint else ():
                self.book.restore(_service(service), vip.network_id, vip.addr, service.version)
        for node in self._view.nodes():
            self._nodes[node.id] = None
            self._restore(_node(node.id), node.attachments, node.version)
        for task in self._view.tasks():
            if task.networks:
                self._restore(_task(task) if _holds(task) else None, task.networks, task.version)
                self._count(task)

    def _restore(
        self, holder: Holder | None, attachments: tuple[NetworkAttachment, ...], version: int
    ) -> None:
        for attachment in attachments:
            for address in attachment.addresses:
                self.book.restore(holder, attachment.network_id, address, version)

    # --- following the store

    def observe_network(self, network_id: NetworkId, new: Network | None) -> None:
        if new is None:
            self.book.drop_network(network_id)
        else:
            self.book.put_network(new)
        self._nodes.update((node.id, None) for node in self._view.nodes())

    def observe_service(self, service_id: ServiceId, new: Service | None) -> None:
        if new is None:
            self.book.release(Holder("service", service_id))
        else:
            self.book.record(_service(new), _vips(new))

    def observe_node(self, node_id: NodeId, new: Node | None) -> None:
        if new is None:
            self.book.release(_node(node_id))
            self._nodes.pop(node_id, None)
            self._without.pop(node_id, None)
            self._nodes.update(self._without)
        else:
            places = _places(new.attachments)
            if self._without and len(self.book.held_by(_node(node_id))) > len(places):
                self._nodes.update(self._without)
            self.book.record(_node(node_id), places)
            self._nodes[node_id] = None

    def observe_task(self, old: Task | None, new: Task | None) -> None:
        """To be called for tasks that have, or had, networks."""
        task = new or old
        assert task is not None
        if new is None or not _holds(new):
            self.book.release(_task(task))
        elif old is None or old.networks is not new.networks or task.id in self._tentative:
            self.book.record(_task(task), _places(new.networks))
        self._tentative.pop(task.id, None)
        if old is not None:
            self._uncount(old)
        if new is not None:
            self._count(new)

    def settle(self) -> None:
        """Release what the last pass gave to tasks and was not committed."""
        for task_id in self._tentative:
            task = self._view.find_task(task_id)
            if task is not None and _holds(task):
                self.book.record(_task(task), _places(task.networks))
            else:
                self.book.release(Holder("task", task_id))
        self._tentative.clear()

    # --- deciding

    def endpoint(self, service: Service, endpoint: Endpoint | None) -> Endpoint | None:
        """`endpoint` with the virtual addresses of the service; it keeps those it has.

        Raises:
            Exhausted: one of its networks has none left.
        """
        wanted = vip_networks(service, self._view)
        holder = _service(service)
        self.book.record(holder, _vips(service))
        if not wanted:
            return endpoint
        present = service.endpoint.virtual_ips if service.endpoint else ()
        vips: list[VirtualIP] = []
        try:
            for network_id in wanted:
                kept = [vip for vip in present if vip.network_id == network_id]
                vips += kept or self._vips_on(network_id, holder)
        except Exhausted:
            self.book.record(holder, _vips(service))
            raise
        return replace(endpoint or Endpoint(), virtual_ips=tuple(vips))

    def _vips_on(self, network_id: NetworkId, holder: Holder) -> list[VirtualIP]:
        addresses = self.book.allocate(network_id, holder)
        return [VirtualIP(network_id=network_id, addr=address) for address in addresses]

    def attacher(self, service: Service) -> Attach | None:
        """What gives the tasks of a service their addresses; None when they need none.

        It answers the task with an address on each of its networks, held from now on, or raises
        `Exhausted` when there is none left on one of them; then the task holds nothing.
        """
        wanted = attachments_of(service, self._view)
        if not wanted:
            return None
        vips = service.endpoint.virtual_ips if service.endpoint else ()
        return lambda task: self._attach(task, vips, wanted)

    def would_attach(self, service: Service, leaving: Iterable[TaskId] = ()) -> bool:
        """Whether there are addresses for one more task, once those that leave have stopped."""
        gone = {("task", task_id) for task_id in leaving}
        return all(
            self.book.would_have(NetworkId(wish.target), wish.addresses, gone)
            for wish in attachments_of(service, self._view)
            if self.book.has(NetworkId(wish.target))
        )

    def attacher_of_one(self, task: Task) -> Attach:
        """The same for a task that belongs to no service."""
        wanted = [
            wish for wish in task.spec.networks if self._view.find_network(wish.target) is not None
        ]
        return lambda task: self._attach(task, (), wanted)

    def _attach(
        self,
        task: Task,
        vips: tuple[VirtualIP, ...],
        wanted: Sequence[NetworkAttachmentConfig],
    ) -> Task:
        holder = _task(task)
        self.book.release(holder)
        attachments = []
        try:
            for wish in wanted:
                network_id = NetworkId(wish.target)
                addresses: tuple[str, ...] = ()
                if self.book.has(network_id):
                    addresses = self.book.allocate(network_id, holder, wish.addresses)
                attachments.append(
                    NetworkAttachment(
                        network_id=network_id,
                        addresses=addresses,
                        aliases=wish.aliases,
                        driver_opts=wish.driver_opts,
                    )
                )
        except Exhausted:
            self.book.release(holder)
            raise
        self._tentative[task.id] = None
        return replace(task, networks=tuple(attachments), virtual_ips=vips)

    def tend_nodes(self, plan: Plan) -> None:
        """Give nodes the balancing addresses they lack, and take those they need no more."""
        for node_id in list(self._nodes):
            if plan.full:
                return
            node = self._view.find_node(node_id)
            attachments = self._attachments(node) if node is not None else ()
            if node is None or attachments == node.attachments:
                del self._nodes[node_id]
                continue
            # The node stays listed until the store shows that this was written.
            plan.write_node(
                replace(node, attachments=attachments), "networks of the node's tasks changed"
            )

    def _attachments(self, node: Node) -> tuple[NetworkAttachment, ...]:
        holder = _node(node.id)
        self.book.record(holder, _places(node.attachments))
        present = {attachment.network_id: attachment for attachment in node.attachments}
        attachments = []
        self._without.pop(node.id, None)
        for network_id, left in self._networks_of(node.id):
            attachment = present.get(network_id) or NetworkAttachment(network_id=network_id)
            if not attachment.addresses:
                try:
                    addresses = self.book.allocate(network_id, holder, leave=left)
                except Exhausted:
                    self._without[node.id] = None
                else:
                    attachment = replace(attachment, addresses=addresses)
            attachments.append(attachment)
        return tuple(sorted(attachments, key=lambda attachment: attachment.network_id))

    def _networks_of(self, node_id: NodeId) -> Iterator[tuple[NetworkId, int]]:
        """The networks of a node, each with how many addresses it has to leave for others."""
        ingress = self._view.find_ingress_network()
        if ingress is not None and self.book.has(ingress.id):
            yield ingress.id, self.book.size(ingress.id) // INGRESS_LEFT_SHARE
        for network_id in sorted(self._uses.get(node_id, ())):
            if (ingress is None or network_id != ingress.id) and self.book.has(network_id):
                yield network_id, 0

    # --- which networks the tasks of a node take part in

    def _count(self, task: Task) -> None:
        if not task.node_id or not _holds(task):
            return
        uses = self._uses.setdefault(task.node_id, {})
        for attachment in task.networks:
            network_id = attachment.network_id
            uses[network_id] = uses.get(network_id, 0) + 1
            if uses[network_id] == 1:
                self._nodes[task.node_id] = None

    def _uncount(self, task: Task) -> None:
        """The opposite of `_count`, for the same record."""
        if not task.node_id or not _holds(task):
            return
        uses = self._uses.get(task.node_id, {})
        for attachment in task.networks:
            network_id = attachment.network_id
            uses[network_id] -= 1
            if not uses[network_id]:
                del uses[network_id]
                self._nodes[task.node_id] = None
        if not uses:
            self._uses.pop(task.node_id, None)


def _holds(task: Task) -> bool:
    """Whether the addresses of a task are in use: until it has stopped for good."""
    return task.status.state <= TaskState.RUNNING


def _service(service: Service) -> Holder:
    return Holder("service", service.id)


def _node(node_id: NodeId) -> Holder:
    return Holder("node", node_id)


def _task(task: Task) -> Holder:
    return Holder("task", task.id, task.service_name)


def _vips(service: Service) -> tuple[Place, ...]:
    vips = service.endpoint.virtual_ips if service.endpoint else ()
    return tuple(Place(vip.network_id, vip.addr) for vip in vips)


def _places(attachments: Sequence[NetworkAttachment]) -> tuple[Place, ...]:
    return tuple(
        Place(attachment.network_id, address)
        for attachment in attachments
        for address in attachment.addresses
    )
