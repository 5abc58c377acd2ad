"""Who holds which address of a network, read from the records that say so. Pure.

An address belongs to its network's gateway, to a service as its virtual address, to a node as its
balancing address, or to a task until that task has stopped for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from swarmd.model.states import TaskState
from swarmd.store.view import View


class HeldAddress(NamedTuple):
    network_id: str
    address: str  # without the length of its prefix
    holder: str  # "task abc", "service def", …


def bare(address: str) -> str:
    """An address in CIDR notation without its prefix length."""
    return address.partition("/")[0]


def held_addresses(view: View) -> Iterator[HeldAddress]:
    """Every address that is held, by network and holder."""
    for network in view.networks():
        for config in network.ipam.configs if network.ipam else ():
            if config.gateway:
                yield HeldAddress(network.id, bare(config.gateway), f"gateway of {network.id}")
    for service in view.services():
        for vip in service.endpoint.virtual_ips if service.endpoint else ():
            yield HeldAddress(vip.network_id, bare(vip.addr), f"service {service.id}")
    for node in view.nodes():
        for attachment in node.attachments:
            for address in attachment.addresses:
                yield HeldAddress(attachment.network_id, bare(address), f"node {node.id}")
    for task in view.tasks():
        if task.networks and task.status.state <= TaskState.RUNNING:
            for attachment in task.networks:
                for address in attachment.addresses:
                    yield HeldAddress(attachment.network_id, bare(address), f"task {task.id}")
