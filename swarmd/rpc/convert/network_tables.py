"""Tables of networks on the wire: deltas to `swarmd.v1.NetworkDelta` and back."""

from __future__ import annotations

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import Mechanism
from swarmd.network.core.deltas import NetworkDelta
from swarmd.network.core.tables import (
    Endpoint,
    NetworkTable,
    Peer,
    ServicePort,
    ServiceRow,
    Subnet,
)
from swarmd.rpc.convert.endpoints import (
    balance_from_pb,
    balance_to_pb,
    protocol_from_pb,
    protocol_to_pb,
    weight_from_pb,
    weight_to_pb,
)
from swarmd.rpc.pb import endpoints as pb

_MECHANISMS = {mechanism.value: mechanism for mechanism in Mechanism}


def network_delta_to_pb(delta: NetworkDelta) -> pb.NetworkDelta:
    """One message for one delta; cutting to size is the sender's business."""
    return pb.NetworkDelta(
        network_id=delta.network_id,
        complete=delta.complete,
        applies_to=delta.applies_to,
        results_in=delta.results_in,
        head=_head_to_pb(delta.head) if delta.head is not None else None,
        peers=[
            pb.NetworkPeer(
                node_id=row.node_id,
                underlay=row.underlay,
                addresses=row.addresses,
                stream=row.stream,
            )
            for row in delta.peers
        ],
        services=[_service_to_pb(row) for row in delta.services],
        endpoints=[
            pb.NetworkEndpoint(
                task_id=row.task_id,
                service_id=row.service_id,
                node_id=row.node_id,
                addresses=row.addresses,
                names=row.names,
                aliases=row.aliases,
                ready=row.ready,
                weight=weight_to_pb(row.weight),
            )
            for row in delta.endpoints
        ],
        removed_node_ids=delta.removed_peers,
        removed_service_ids=delta.removed_services,
        removed_task_ids=delta.removed_endpoints,
    )


def network_delta_from_pb(message: pb.NetworkDelta) -> NetworkDelta:
    """The delta in a message.

    Raises:
        Rejection: it names a protocol this version does not know.
    """
    network_id = NetworkId(message.network_id)
    return NetworkDelta(
        network_id=network_id,
        complete=message.complete,
        applies_to=message.applies_to,
        results_in=message.results_in,
        head=_head_from_pb(network_id, message.head) if message.HasField("head") else None,
        peers=tuple(
            Peer(NodeId(row.node_id), row.underlay, tuple(row.addresses), row.stream)
            for row in message.peers
        ),
        services=tuple(_service_from_pb(row) for row in message.services),
        endpoints=tuple(
            Endpoint(
                task_id=TaskId(row.task_id),
                service_id=ServiceId(row.service_id),
                node_id=NodeId(row.node_id),
                addresses=tuple(row.addresses),
                names=tuple(row.names),
                aliases=tuple(row.aliases),
                ready=row.ready,
                weight=weight_from_pb(row.weight),
            )
            for row in message.endpoints
        ),
        removed_peers=tuple(NodeId(one) for one in message.removed_node_ids),
        removed_services=tuple(ServiceId(one) for one in message.removed_service_ids),
        removed_endpoints=tuple(TaskId(one) for one in message.removed_task_ids),
    )


def _head_to_pb(head: NetworkTable) -> pb.NetworkHead:
    return pb.NetworkHead(
        name=head.name,
        subnets=[
            pb.NetworkSubnet(cidr=one.cidr, gateway=one.gateway, vxlan_id=one.vxlan_id)
            for one in head.subnets
        ],
        internal=head.internal,
        ingress=head.ingress,
        attachable=head.attachable,
        encrypted=head.encrypted,
        mtu=head.mtu,
        mechanism=head.mechanism.value if head.mechanism is not None else "",
    )


def _head_from_pb(network_id: NetworkId, head: pb.NetworkHead) -> NetworkTable:
    return NetworkTable(
        network_id=network_id,
        name=head.name,
        subnets=tuple(Subnet(one.cidr, one.gateway, one.vxlan_id) for one in head.subnets),
        internal=head.internal,
        ingress=head.ingress,
        attachable=head.attachable,
        encrypted=head.encrypted,
        mtu=head.mtu,
        mechanism=_MECHANISMS.get(head.mechanism),
    )


def _service_to_pb(row: ServiceRow) -> pb.NetworkService:
    return pb.NetworkService(
        service_id=row.service_id,
        name=row.name,
        aliases=row.aliases,
        virtual_ips=row.virtual_ips,
        ports=[
            pb.NetworkServicePort(
                protocol=protocol_to_pb(port.protocol),
                target_port=port.target_port,
                published_port=port.published_port,
                name=port.name,
            )
            for port in row.ports
        ],
        balance=balance_to_pb(row.balance),
    )


def _service_from_pb(row: pb.NetworkService) -> ServiceRow:
    return ServiceRow(
        service_id=ServiceId(row.service_id),
        name=row.name,
        aliases=tuple(row.aliases),
        virtual_ips=tuple(row.virtual_ips),
        ports=tuple(
            ServicePort(
                protocol_from_pb(port.protocol), port.target_port, port.published_port, port.name
            )
            for port in row.ports
        ),
        balance=balance_from_pb(row.balance),
    )
