"""What is true of the tables at every version: the store's promises and those of its proposers.

Tests and simulations check after every entry; the daemon at start and after a restored snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise

from swarmd.model.custom import Extension, Resource
from swarmd.model.ids import ServiceId
from swarmd.model.network import Network, vxlan_ids
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.states import PublishMode, TaskState
from swarmd.model.task import Task
from swarmd.store.changes import Kind
from swarmd.store.held_addresses import held_addresses
from swarmd.store.view import View

DESIRED_STATES = frozenset(
    {
        TaskState.NEW,
        TaskState.READY,
        TaskState.RUNNING,
        TaskState.COMPLETE,
        TaskState.SHUTDOWN,
        TaskState.REMOVE,
    }
)


def check(view: View) -> tuple[str, ...]:
    """Every violation found, as sentences with the ids in them; none is the only good answer."""
    return (
        *_check_records(view),
        *_check_services(view),
        *_check_tasks(view),
        *_check_slots(view),
        *_check_names(view),
        *_check_addresses(view),
    )


def assert_sound(view: View) -> None:
    """Raises AssertionError with all violations: the state was corrupted or a decision is wrong."""
    violations = check(view)
    if violations:
        raise AssertionError("; ".join(violations))


def _check_records(view: View) -> Iterator[str]:
    for kind in Kind:
        for record in view.all(kind):
            if view.find(kind, record.id) is not record:
                yield f"{kind.value} {record.id} is listed but not found under its id"
            if record.version > view.index:
                yield (
                    f"{kind.value} {record.id} has version {record.version}, "
                    f"beyond the log's {view.index}"
                )


def _check_services(view: View) -> Iterator[str]:
    holders: dict[tuple[str, int], Service] = {}
    for service in view.services():
        named = view.find_service_by_name(service.spec.name)
        if named is None or named.id != service.id:
            yield f"service {service.id} shares its name {service.spec.name} with another"
        for port in service.endpoint.ports if service.endpoint else ():
            if port.publish_mode is not PublishMode.INGRESS:
                continue
            if not port.published_port:
                yield f"service {service.id} has an endpoint port without a number"
            other = holders.setdefault((port.protocol.value, port.published_port), service)
            if other.id != service.id:
                yield (
                    f"services {other.id} and {service.id} both hold port "
                    f"{port.published_port}/{port.protocol.value}"
                )


def _check_tasks(view: View) -> Iterator[str]:
    on_nodes = of_services = 0
    for task in view.tasks():
        on_nodes += bool(task.node_id)
        of_services += bool(task.service_id)
        if task.desired_state not in DESIRED_STATES:
            yield f"task {task.id} is wanted {task.desired_state.word}, which nobody can want"
        placed = TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
        if placed and not task.node_id:
            yield f"task {task.id} is {task.status.state.word} without a node"
    if on_nodes != sum(len(view.tasks_of_node(node_id)) for node_id in view.nodes_with_tasks()):
        yield "the index of tasks by node is not complete"
    services = view.services_with_tasks()
    if of_services != sum(len(view.tasks_of_service(service_id)) for service_id in services):
        yield "the index of tasks by service is not complete"


def _check_slots(view: View) -> Iterator[str]:
    """No slot has two tasks of one version, or of one run of a job, that both may run.

    A task on the move may run beside the one that takes its place. An ordinal has no two tasks that
    are wanted at all.
    """
    running: dict[tuple[ServiceId, int | str, int, int], Task] = {}
    ordinals: dict[tuple[ServiceId, int], Task] = {}
    for task in view.tasks():
        if task.desired_state > TaskState.COMPLETE or task.status.state.terminal:
            continue
        if task.lease_ns:
            wanted = ordinals.setdefault((task.service_id, task.slot), task)
            if wanted.id != task.id:
                yield f"tasks {wanted.id} and {task.id} are both wanted as {task.name}"
        if task.desired_state < TaskState.RUNNING:
            continue
        version = task.spec_version if task.job_iteration is None else 0
        slot = (task.service_id, task.slot or task.node_id, version, task.job_iteration or 0)
        other = running.setdefault(slot, task)
        moves = task.replaces == other.id or other.replaces == task.id
        if other.id != task.id and task.service_id and not moves:
            yield f"tasks {other.id} and {task.id} both run in slot {slot[1]} of {slot[0]}"


def _check_names(view: View) -> Iterator[str]:
    """What has a unique name is found under it, and a resource's kind exists."""
    found: list[tuple[Kind, str, str, str | None]] = [
        *(
            (Kind.NETWORK, row.id, row.spec.name, _id(view.find_network_by_name(row.spec.name)))
            for row in view.networks()
        ),
        *(
            (Kind.SECRET, row.id, row.spec.name, _id(view.find_secret_by_name(row.spec.name)))
            for row in view.secrets()
        ),
        *(
            (Kind.CONFIG, row.id, row.spec.name, _id(view.find_config_by_name(row.spec.name)))
            for row in view.configs()
        ),
        *(
            (Kind.EXTENSION, row.id, row.name, _id(view.find_extension_by_name(row.name)))
            for row in view.extensions()
        ),
        *(
            (Kind.RESOURCE, row.id, row.name, _id(view.find_resource_by_name(row.name)))
            for row in view.resources()
        ),
    ]
    for kind, object_id, name, found_id in found:
        if found_id != object_id:
            yield f"{kind.value} {object_id} shares its name {name} with another"
    for resource in view.resources():
        if view.find_extension_by_name(resource.kind) is None:
            yield f"resource {resource.id} is of kind {resource.kind}, which no extension names"


def _id(row: Network | Secret | Config | Extension | Resource | None) -> str | None:
    return row.id if row is not None else None


def _check_addresses(view: View) -> Iterator[str]:
    """No address, block or VXLAN id has two holders."""
    holders: dict[tuple[str, str], str] = {}
    for held in held_addresses(view):
        other = holders.setdefault((held.network_id, held.address), held.holder)
        if other != held.holder:
            yield f"{other} and {held.holder} both hold {held.address} on {held.network_id}"
    ids: dict[str, str] = {}
    blocks: list[tuple[IPv4Network | IPv6Network, str]] = []
    for network in view.networks():
        for vxlan_id in vxlan_ids(network):
            other = ids.setdefault(vxlan_id, network.id)
            if other != network.id:
                yield f"networks {other} and {network.id} both hold VXLAN id {vxlan_id}"
        configs = network.ipam.configs if network.ipam else ()
        blocks += [(ip_network(config.subnet), network.id) for config in configs]
    blocks.sort(key=lambda block: (block[0].version, int(block[0].network_address), block[1]))
    for (one, one_id), (next_one, next_id) in pairwise(blocks):
        if one.version == next_one.version and one.overlaps(next_one):
            yield f"networks {one_id} and {next_id} share addresses of {one} and {next_one}"
