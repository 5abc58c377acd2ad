"""`swarmd.v1.Doctor`: examines the networks of the swarm by asking its nodes.

Each node tries the ways to all managers and to the nodes next to it in the order of their ids, so
that every node is tried by several others, and a large swarm costs each of them no more than a
small one. First all are asked for their time, and to answer at the UDP ports that are to be tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from swarmd.manager.acknowledgements import Acknowledgements
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.manager.errands import Errands
from swarmd.model.errors import Code, Rejection, not_found
from swarmd.model.ids import NetworkId, NodeId
from swarmd.model.network import Mechanism, mechanism_of
from swarmd.model.node import Node
from swarmd.model.states import NodeState
from swarmd.network.core.acknowledged import TableState
from swarmd.network.core.encryption import RING
from swarmd.rpc.call import Call
from swarmd.rpc.pb import doctor as pb
from swarmd.rpc.pb import endpoints
from swarmd.runtime.clock import Clock
from swarmd.store.held_addresses import bare
from swarmd.store.view import View

DOCTOR = "swarmd.v1.Doctor"
EXAMINE = "/swarmd.v1.Checkup/Examine"
EXAMINE_S = 30.0
AT_ONCE = 64
NEIGHBOURS = 8


class Doctor:
    """Implements `swarmd.v1.Doctor` on the leader.

    Args:
        managers: where each manager serves, by the id of its node.
        read_barrier: returns once the replica holds everything acknowledged before the call.
        clock: of this machine, to compare those of others with.
    """

    def __init__(
        self,
        view: View,
        errands: Errands,
        endpoints_service: EndpointsService,
        acknowledgements: Acknowledgements,
        *,
        managers: Callable[[], Iterable[tuple[NodeId, str]]],
        read_barrier: Callable[[], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self._view = view
        self._errands = errands
        self._endpoints = endpoints_service
        self._acknowledgements = acknowledgements
        self._managers = managers
        self._read_barrier = read_barrier
        self._clock = clock

    async def Examine(self, call: Call, request: pb.ExamineSwarmRequest) -> pb.ExamineSwarmResponse:
        """All nodes beside each other; one that does not answer is named with the reason."""
        await self._read_barrier()
        nodes = sorted(self._view.nodes(), key=lambda node: node.id)
        managers = dict(self._managers())
        at_once = asyncio.Semaphore(AT_ONCE)

        async def greet(node: Node) -> pb.NodeFindings:
            async with at_once:
                return await self._greet(node)

        async def examine(node: Node, findings: pb.NodeFindings) -> None:
            async with at_once:
                await self._examine(findings, self._neighbours(node, nodes, managers))

        async with asyncio.TaskGroup() as group:
            greeted = [group.create_task(greet(node)) for node in nodes]
        found = [one.result() for one in greeted]
        async with asyncio.TaskGroup() as group:
            for node, findings in zip(nodes, found, strict=True):
                group.create_task(examine(node, findings))
        return pb.ExamineSwarmResponse(nodes=found)

    async def InspectTable(
        self, call: Call, request: pb.InspectTableRequest
    ) -> pb.InspectTableResponse:
        """What nodes have said of a network; those that said nothing are there without."""
        await self._read_barrier()
        network_id = NetworkId(request.network_id)
        if self._view.find_network(network_id) is None:
            raise not_found("network", network_id)
        return pb.InspectTableResponse(
            nodes=[
                pb.NodeTable(
                    node_id=node.id,
                    hostname=node.hostname,
                    state=node.status.state.value,
                    table=self._in_force(node.id).get(network_id),
                )
                for node in self._view.nodes()
                if any(one.network_id == network_id for one in node.attachments)
            ]
        )

    # --- inside

    async def _greet(self, node: Node) -> pb.NodeFindings:
        findings = pb.NodeFindings(
            node_id=node.id,
            hostname=node.hostname,
            state=node.status.state.value,
            tables=self._in_force(node.id).values(),
        )
        asked_at = self._clock.now()
        try:
            if node.status.state is NodeState.DOWN:
                raise Rejection(Code.UNAVAILABLE, "the node is down")
            clock = await self._errands.call(
                node.id,
                EXAMINE,
                pb.ExamineNodeRequest(answer_at=self._udp_addresses(node)),
                within_s=EXAMINE_S,
            )
        except Rejection as rejection:
            findings.absent = rejection.message
            return findings
        answered_at = self._clock.now()
        findings.round_trip = answered_at - asked_at
        findings.clock_ahead = clock.now - (asked_at + answered_at) // 2
        return findings

    async def _examine(self, findings: pb.NodeFindings, neighbours: list[pb.Neighbour]) -> None:
        if findings.absent:
            return
        request = pb.ExamineNodeRequest(neighbours=neighbours)
        node_id = NodeId(findings.node_id)
        try:
            answer = await self._errands.call(node_id, EXAMINE, request, within_s=EXAMINE_S)
        except Rejection as rejection:
            findings.absent = rejection.message
            return
        findings.found.MergeFrom(answer)

    def _udp_addresses(self, node: Node) -> list[str]:
        """Where a node takes what networks need besides VXLAN: the ports of WireGuard, if any is
        encrypted so."""
        needed = any(
            mechanism_of(network) is Mechanism.WIREGUARD for network in self._view.networks()
        )
        stream = node.description.tunnel_addr if node.description is not None else ""
        host, _, port = stream.rpartition(":")
        if not needed or not port.isdecimal():
            return []
        return [f"{host}:{int(port) + slot}" for slot in range(RING)]

    def _neighbours(
        self, node: Node, nodes: Sequence[Node], managers: dict[NodeId, str]
    ) -> list[pb.Neighbour]:
        at = nodes.index(node)
        ring = [*nodes[at + 1 :], *nodes[:at]]
        chosen = ring[:NEIGHBOURS] + [one for one in ring[NEIGHBOURS:] if one.id in managers]
        ingress = self._view.find_ingress_network()
        return [
            pb.Neighbour(
                node_id=one.id,
                address=one.data_addr,
                overlay_address=_address_on(one, ingress.id) if ingress is not None else "",
                manager_address=managers.get(one.id, ""),
                udp_addresses=self._udp_addresses(one),
            )
            for one in chosen
            if one.status.state is not NodeState.DOWN and one.data_addr
        ]

    def _in_force(self, node_id: NodeId) -> dict[NetworkId, pb.TableInForce]:
        states = self._acknowledgements.heard.states(node_id) or {}
        return {
            table: pb.TableInForce(
                applied=_applied(table, state), changed_at=self._endpoints.changed_at(table)
            )
            for table, state in states.items()
        }


def _address_on(node: Node, network_id: NetworkId) -> str:
    for attachment in node.attachments:
        if attachment.network_id == network_id and attachment.addresses:
            return bare(attachment.addresses[0])
    return ""


def _applied(table: NetworkId, state: TableState) -> endpoints.AppliedTable:
    return endpoints.AppliedTable(
        network_id=table,
        version=state.version,
        problems=state.problems,
        repaired=state.repaired,
    )
