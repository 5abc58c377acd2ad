"""The table of published ports on the wire: deltas to `swarmd.v1.PublishedDelta` and back."""

from __future__ import annotations

from collections.abc import Iterable

from swarmd.lb.core.tables import (
    Backend,
    BackendChange,
    Delta,
    PortMapping,
    PublishedPort,
    ServiceEndpoints,
)
from swarmd.model.errors import invalid
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import Balance, PortPolicy, Protocol
from swarmd.rpc.pb import endpoints as pb
from swarmd.rpc.pb import extensions

_TO_WIRE = {
    Protocol.TCP: pb.PROTOCOL_TCP,
    Protocol.UDP: pb.PROTOCOL_UDP,
    Protocol.SCTP: pb.PROTOCOL_SCTP,
}
_POLICY_TO_WIRE = {
    PortPolicy.SOURCE: extensions.PORT_POLICY_SOURCE,
    PortPolicy.MASQUERADE: extensions.PORT_POLICY_MASQUERADE,
    PortPolicy.LOCAL: extensions.PORT_POLICY_LOCAL,
}
_POLICY_FROM_WIRE: dict[int, PortPolicy] = {
    number: policy for policy, number in _POLICY_TO_WIRE.items()
}
_BALANCE_TO_WIRE = {
    Balance.ROUND_ROBIN: extensions.BALANCE_ROUND_ROBIN,
    Balance.SOURCE_HASH: extensions.BALANCE_SOURCE_HASH,
    Balance.LEAST_CONNECTION: extensions.BALANCE_LEAST_CONNECTION,
}
_BALANCE_FROM_WIRE: dict[int, Balance] = {
    number: balance for balance, number in _BALANCE_TO_WIRE.items()
}
_FROM_WIRE: dict[int, Protocol] = {number: protocol for protocol, number in _TO_WIRE.items()}


def delta_to_pb(delta: Delta) -> pb.PublishedDelta:
    """One message for one delta; cutting to size is the sender's business."""
    kind = pb.PublishedDelta.COMPLETE if delta.complete else pb.PublishedDelta.INCREMENTAL
    return pb.PublishedDelta(
        type=kind,
        applies_to=delta.applies_to,
        results_in=delta.results_in,
        services=[
            pb.ServiceEndpoints(
                service_id=row.service_id,
                service_name=row.service_name,
                ports=[
                    pb.Port(
                        protocol=protocol_to_pb(port.protocol),
                        published_port=port.published_port,
                        target_port=port.target_port,
                        policy=_POLICY_TO_WIRE[port.policy],
                        address=port.address,
                    )
                    for port in row.ports
                ],
                backends=_backends_to_pb(row.backends),
                balance=balance_to_pb(row.balance),
            )
            for row in delta.services
        ],
        removed_service_ids=delta.removed,
        changes=[
            pb.BackendChange(
                service_id=change.service_id,
                backends=_backends_to_pb(change.backends),
                removed_task_ids=change.removed,
            )
            for change in delta.changes
        ],
    )


def delta_from_pb(message: pb.PublishedDelta) -> Delta:
    """The delta in a message.

    Raises:
        Rejection: it names a protocol this version does not know.
    """
    return Delta(
        complete=message.type == pb.PublishedDelta.COMPLETE,
        applies_to=message.applies_to,
        results_in=message.results_in,
        services=tuple(
            ServiceEndpoints(
                service_id=ServiceId(row.service_id),
                service_name=row.service_name,
                ports=tuple(
                    PublishedPort(
                        protocol_from_pb(port.protocol),
                        port.published_port,
                        port.target_port,
                        _policy_from_pb(port.policy),
                        port.address,
                    )
                    for port in row.ports
                ),
                backends=_backends_from_pb(row.backends),
                balance=balance_from_pb(row.balance),
            )
            for row in message.services
        ),
        changes=tuple(
            BackendChange(
                service_id=ServiceId(change.service_id),
                backends=_backends_from_pb(change.backends),
                removed=tuple(TaskId(task_id) for task_id in change.removed_task_ids),
            )
            for change in message.changes
        ),
        removed=tuple(ServiceId(service_id) for service_id in message.removed_service_ids),
    )


def _backends_to_pb(backends: Iterable[Backend]) -> list[pb.Backend]:
    return [
        pb.Backend(
            task_id=backend.task_id,
            node_id=backend.node_id,
            address=backend.address,
            ingress_address=backend.ingress_address,
            weight=weight_to_pb(backend.weight),
            ports=[
                pb.PortMapping(
                    protocol=protocol_to_pb(mapping.protocol),
                    target_port=mapping.target_port,
                    host_port=mapping.host_port,
                    ipv6=mapping.ipv6,
                )
                for mapping in backend.ports
            ],
        )
        for backend in backends
    ]


def _backends_from_pb(messages: Iterable[pb.Backend]) -> tuple[Backend, ...]:
    return tuple(
        Backend(
            task_id=TaskId(message.task_id),
            node_id=NodeId(message.node_id),
            address=message.address,
            ingress_address=message.ingress_address,
            weight=weight_from_pb(message.weight),
            ports=tuple(
                PortMapping(
                    protocol_from_pb(mapping.protocol),
                    mapping.target_port,
                    mapping.host_port,
                    mapping.ipv6,
                )
                for mapping in message.ports
            ),
        )
        for message in messages
    )


def protocol_to_pb(protocol: Protocol) -> pb.Protocol:
    return _TO_WIRE[protocol]


def protocol_from_pb(number: int) -> Protocol:
    """The protocol with this number.

    Raises:
        Rejection: this version does not know it.
    """
    protocol = _FROM_WIRE.get(number)
    if protocol is None:
        raise invalid(f"endpoint table names transport protocol {number}, unknown to this version")
    return protocol


def balance_to_pb(balance: Balance) -> extensions.Balance:
    return _BALANCE_TO_WIRE[balance]


def balance_from_pb(number: int) -> Balance:
    """The balance with this number.

    Raises:
        Rejection: this version does not know it.
    """
    balance = _BALANCE_FROM_WIRE.get(number)
    if balance is None:
        raise invalid(f"endpoint table names balance {number}, unknown to this version")
    return balance


def weight_to_pb(weight: int) -> int:
    """What nearly all have takes no room."""
    return 0 if weight == 1 else weight


def weight_from_pb(number: int) -> int:
    return number or 1


def _policy_from_pb(number: int) -> PortPolicy:
    policy = _POLICY_FROM_WIRE.get(number)
    if policy is None:
        raise invalid(f"endpoint table names port policy {number}, unknown to this version")
    return policy
