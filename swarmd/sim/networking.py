"""Addresses and ports once all is quiet: everybody has what is theirs, and nothing is left over.

That nothing has two holders is an invariant of the store, checked after every entry. Here it is
asked whether services, tasks and nodes have all the addresses they should have and no others, and
whether the leader's books say what the store says: what they hold without a reason is lost to all
others until the next election, and what they don't hold is given away twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TypeAlias

from swarmd.model.ids import ServiceId
from swarmd.model.network import has_addresses
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import Protocol, PublishMode, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.allocator.books import Books
from swarmd.orchestrator.allocator.pool import Holder
from swarmd.orchestrator.allocator.wanted import attachments_of
from swarmd.orchestrator.endpoint import is_allocated
from swarmd.store.held_addresses import bare, held_addresses
from swarmd.store.store import Store

Port: TypeAlias = tuple[ServiceId, Protocol, int]


def network_problems(store: Store) -> Iterator[str]:
    """What services, tasks and nodes lack, or have too much."""
    for service in store.services():
        if not is_allocated(service, store):
            yield f"service {service.spec.name} has not the ports and addresses of its spec"
        for task in store.tasks_of_service(service.id):
            if task.status.state is TaskState.RUNNING and task.desired_state is TaskState.RUNNING:
                yield from _task(task, service, store)
    for node in store.nodes():
        yield from _node(node, store)


def book_problems(books: Books, store: Store) -> Iterator[str]:
    """Where the leader's books and the store differ."""
    written = {
        (held.holder, str(held.network_id), held.address)
        for held in held_addresses(store)
        if not held.holder.startswith("gateway")
    }
    booked = {
        (f"{kind} {holder_id}", str(place.network_id), bare(place.address))
        for kind, holder_id in books.addresses.holders()
        for place in books.addresses.held_by(Holder(kind, holder_id))
    }
    for holder, network_id, address in sorted(booked - written):
        yield f"{address} on {network_id} is kept for {holder}, which does not have it"
    for holder, network_id, address in sorted(written - booked):
        yield f"{holder} has {address} on {network_id}, which counts as free"
    ports = {
        (service.id, port.protocol, port.published_port)
        for service in store.services()
        for port in (service.endpoint.ports if service.endpoint is not None else ())
        if port.publish_mode is PublishMode.INGRESS
    }
    held = books.ports.held()
    for service_id, protocol, number in _in_order(held - ports):
        yield f"port {number}/{protocol.value} is kept for {service_id}, which does not have it"
    for service_id, protocol, number in _in_order(ports - held):
        yield f"service {service_id} has port {number}/{protocol.value}, which counts as free"


def _in_order(ports: Set[Port]) -> list[Port]:
    return sorted(ports, key=lambda port: (port[0], port[1].value, port[2]))


def _task(task: Task, service: Service, store: Store) -> Iterator[str]:
    wanted = {
        wish.target
        for wish in attachments_of(service, store)
        if (network := store.find_network(wish.target)) is not None and has_addresses(network)
    }
    present = {place.network_id for place in task.networks if place.addresses}
    if wanted != present:
        yield f"task {task.name} has addresses on {sorted(present)}, not on {sorted(wanted)}"


def _node(node: Node, store: Store) -> Iterator[str]:
    ingress = store.find_ingress_network()
    wanted = {ingress.id} if ingress is not None else set()
    for task in store.tasks_of_node(node.id):
        if task.status.state <= TaskState.RUNNING:
            wanted |= {place.network_id for place in task.networks if place.addresses}
    present = {place.network_id for place in node.attachments}
    if wanted != present:
        yield f"node {node.id} is attached to {sorted(present)}, not to {sorted(wanted)}"
