"""From committed records to the rows of a network's table, one record at a time.

What a row shows depends on the record, and for tasks on their node; nothing here remembers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from swarmd.model.ids import NetworkId, ServiceId
from swarmd.model.network import (
    MTU_OPTION,
    Network,
    NetworkAttachment,
    is_encrypted,
    is_node_local,
    mechanism_of,
    vxlan_ids,
)
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import Balance, NodeState, PublishMode, TaskState
from swarmd.model.task import Task
from swarmd.model.template import TemplateError, expand, template_context
from swarmd.network.core.tables import (
    Endpoint,
    NetworkTable,
    Peer,
    ServicePort,
    ServiceRow,
    Subnet,
)
from swarmd.orchestrator.allocator.wanted import attachments_of
from swarmd.store.held_addresses import bare
from swarmd.store.view import View

# A container's hostname where its spec names none, as Docker's clients know it.
SHORT_ID = 12
WEIGHT_MAX = 100
_WEIGHT = re.compile(r"[0-9]{1,3}")


def reach(node: Node) -> str:
    """The address at which other nodes reach this one; empty when it is down or has told none."""
    return "" if node.status.state is NodeState.DOWN else node.data_addr


def takes_connections(task: Task, node: Node | None) -> bool:
    """Whether a task is to be balanced to: it runs, is to go on running, is well, and reachable."""
    return (
        task.status.state is TaskState.RUNNING
        and task.desired_state <= TaskState.RUNNING
        and not task.status.unready
        and node is not None
        and bool(reach(node))
    )


def balance_of(service: Service) -> Balance:
    """How new connections find the tasks of a service."""
    spec = service.spec.endpoint_spec
    return spec.balance if spec is not None else Balance.ROUND_ROBIN


def weight_label_of(service: Service | None) -> str:
    """The label of nodes that is the weight of a service's tasks; empty when there is none."""
    spec = service.spec.endpoint_spec if service is not None else None
    return spec.weight_label if spec is not None else ""


def weight_of(node: Node | None, label: str) -> int:
    """The share of its service's connections that a task on `node` gets.

    1 where no label is asked for, the node has none, or its value is no whole number up to 100: a
    task that runs is never left without connections by a mistake in a label.
    """
    text = node.spec.labels.get(label, "") if label and node is not None else ""
    weight = int(text) if _WEIGHT.fullmatch(text) else 1
    return weight if 1 <= weight <= WEIGHT_MAX else 1


def head_of(network: Network) -> NetworkTable:
    """What a table says of its network itself, without any rows."""
    options = network.driver_state.options if network.driver_state else {}
    numbers = [int(number) for number in vxlan_ids(network)]
    configs = network.ipam.configs if network.ipam else ()
    return NetworkTable(
        network_id=network.id,
        name=network.spec.name,
        subnets=tuple(
            Subnet(config.subnet, config.gateway, numbers[at] if at < len(numbers) else 0)
            for at, config in enumerate(configs)
        ),
        internal=network.spec.internal,
        ingress=network.spec.ingress,
        attachable=network.spec.attachable,
        encrypted=is_encrypted(network),
        mechanism=mechanism_of(network),
        mtu=_number(options.get(MTU_OPTION, "")),
    )


def peer_of(node: Node, network_id: NetworkId) -> Peer | None:
    """A node's row; None while it takes no part in the network."""
    attachment = _on(node.attachments, network_id)
    if attachment is None:
        return None
    return Peer(
        node_id=node.id,
        underlay=reach(node),
        addresses=tuple(bare(address) for address in attachment.addresses),
        stream=node.description.tunnel_addr if node.description else "",
    )


def service_rows(service: Service, view: View) -> Mapping[NetworkId, ServiceRow]:
    """A service's rows on all its networks, also before it has its virtual addresses there."""
    vips = service.endpoint.virtual_ips if service.endpoint else ()
    aliases = {NetworkId(wanted.target): wanted.aliases for wanted in attachments_of(service, view)}
    networks = dict.fromkeys((*(vip.network_id for vip in vips), *aliases))
    if not networks:
        return {}
    ports = tuple(_ports(service))
    return {
        network_id: ServiceRow(
            service_id=service.id,
            name=service.spec.name,
            aliases=aliases.get(network_id, ()),
            virtual_ips=tuple(bare(vip.addr) for vip in vips if vip.network_id == network_id),
            ports=ports,
            balance=balance_of(service),
        )
        for network_id in networks
        if _is_overlay(view, network_id)
    }


def _is_overlay(view: View, network_id: NetworkId) -> bool:
    network = view.find_network(network_id)
    return network is not None and not is_node_local(network)


def endpoint_of(
    task: Task, node: Node | None, network_id: NetworkId, *, weight_label: str = ""
) -> Endpoint | None:
    """A task's row; None before it has an address on the network and once it has stopped."""
    attachment = _on(task.networks, network_id)
    if attachment is None or not attachment.addresses or not task.node_id:
        return None
    if task.status.state > TaskState.RUNNING:
        return None
    return Endpoint(
        task_id=task.id,
        service_id=task.service_id or ServiceId(""),
        node_id=task.node_id,
        addresses=tuple(bare(address) for address in attachment.addresses),
        names=names_of(task, node),
        aliases=attachment.aliases,
        ready=takes_connections(task, node),
        weight=weight_of(node, weight_label),
    )


def names_of(task: Task, node: Node | None) -> tuple[str, ...]:
    """What a task alone is called: its name, its slot's, its container's, its hostname.

    The task of a stateful service is called after its ordinal. A slot has two tasks for a moment
    when a new one starts before the old one stops.
    """
    names = [task.name, task.id[:SHORT_ID]]
    if task.slot:
        names.append(f"{task.service_name}.{task.slot}")
    hostname = _hostname(task, node)
    if hostname:
        names.append(hostname)
    return tuple(dict.fromkeys(names))


def _hostname(task: Task, node: Node | None) -> str:
    """The hostname that the spec names; a template that can't be expanded fails on the node."""
    spec = task.spec.container_spec
    if spec is None or "{{" not in spec.hostname:
        return spec.hostname if spec is not None else ""
    description = node.description if node is not None else None
    platform = description.platform if description is not None else None
    context = template_context(
        task,
        node_id=task.node_id,
        hostname=description.hostname if description else "",
        os=platform.os if platform else "",
        arch=platform.architecture if platform else "",
    )
    try:
        return expand(spec.hostname, context)
    except TemplateError:
        return ""


def _ports(service: Service) -> Iterator[ServicePort]:
    for port in service.endpoint.ports if service.endpoint else ():
        through_mesh = port.publish_mode is PublishMode.INGRESS
        published = port.published_port if through_mesh else 0
        yield ServicePort(port.protocol, port.target_port, published, port.name)


def _on(
    attachments: tuple[NetworkAttachment, ...], network_id: NetworkId
) -> NetworkAttachment | None:
    for attachment in attachments:
        if attachment.network_id == network_id:
            return attachment
    return None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
