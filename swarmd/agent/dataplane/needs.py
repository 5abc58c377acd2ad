"""What a task needs of its node's networks. Pure."""

from __future__ import annotations

from swarmd.model.host_access import HostAccess
from swarmd.model.network import NetworkAttachment
from swarmd.model.record import Record
from swarmd.model.states import PublishMode, ResolutionMode
from swarmd.model.task import Task


class Needs(Record, frozen=True):
    """The networks a task is to be connected to.

    Attachments without addresses are to networks that each node has by itself, such as its bridge.
    """

    overlays: tuple[NetworkAttachment, ...] = ()  # the ingress network first, if it is on it
    on_ingress: bool = False
    shares_node: bool = False  # it asked for the node's own network

    @property
    def beyond_ingress(self) -> bool:
        """Whether it can't do without overlays: published ports have other ways to it."""
        return len(self.overlays) > int(self.on_ingress)


def needs_of(task: Task) -> Needs:
    """What `task` needs."""
    container = task.spec.container_spec
    access = (container.host_access if container is not None else None) or HostAccess()
    if access.network:
        return Needs(shares_node=True)
    overlays = tuple(attachment for attachment in task.networks if attachment.addresses)
    return Needs(overlays=overlays, on_ingress=bool(overlays) and _publishes(task))


def _publishes(task: Task) -> bool:
    """Whether it is on the ingress network, which then is the first of its networks."""
    endpoint = task.endpoint_spec
    return (
        endpoint is not None
        and endpoint.mode is ResolutionMode.VIP
        and any(port.publish_mode is PublishMode.INGRESS for port in endpoint.ports)
    )
