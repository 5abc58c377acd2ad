"""Nodes: read them, change what is wanted of them, remove those that are gone."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from swarmd.ca.problems import CertificateProblem
from swarmd.ca.verify import read_node_certificate
from swarmd.manager.control.core import (
    Calls,
    ManagerMember,
    read_spec,
    require,
    require_id,
)
from swarmd.manager.control.filters import Common, NamedAs, has_labels
from swarmd.manager.validate import check_node_spec
from swarmd.model.cluster import Cluster
from swarmd.model.errors import Rejection, failed_precondition, not_found, out_of_sequence
from swarmd.model.instant import HOUR, Instant
from swarmd.model.node import Node, NodeSpec
from swarmd.model.states import NodeState, Role
from swarmd.rpc.call import Call
from swarmd.rpc.convert import NODE_SPEC, node_to_pb
from swarmd.rpc.pb import control, objects, types
from swarmd.store.changes import Delete, Kind, Transaction, Update

# A removed node stays listed for this long after its certificate has expired.
REMEMBERED_NS = 7 * 24 * HOUR
REMOVAL_ATTEMPTS = 5


class NodeCalls(Calls):
    async def GetNode(self, call: Call, request: control.GetNodeRequest) -> control.GetNodeResponse:
        node_id = require_id(request.node_id, "node")
        await self._synchronize()
        return control.GetNodeResponse(node=self._shown(self._view.get_node(node_id)))

    async def ListNodes(
        self, call: Call, request: control.ListNodesRequest
    ) -> control.ListNodesResponse:
        await self._synchronize()
        wanted = request.filters
        common = Common(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        members = self._members()
        chosen = (
            (node, node_to_pb(node))
            for node in self._view.nodes()
            if common.match(NamedAs(node.id, node.hostname, _engine_labels(node)))
            and has_labels(node.spec.labels, wanted.node_labels)
        )
        return control.ListNodesResponse(
            nodes=[
                _with_standing(message, members)
                for node, message in chosen
                if (not wanted.roles or message.role in wanted.roles)
                and (not wanted.memberships or message.spec.membership in wanted.memberships)
            ]
        )

    async def UpdateNode(
        self, call: Call, request: control.UpdateNodeRequest
    ) -> control.UpdateNodeResponse:
        node_id = require_id(request.node_id, "node")
        require(request, "node_version", "spec")
        spec: NodeSpec = read_spec(NODE_SPEC, request.spec)
        check_node_spec(spec)
        await self._synchronize()
        old = self._view.get_node(node_id)
        if old.version != request.node_version.index:
            raise out_of_sequence()
        if old.spec.role is Role.MANAGER and spec.role is Role.WORKER:
            self._check_demotion(old)
        new = replace(old, spec=spec)
        await self._env.writer.submit(
            Transaction((Update(new, base=old.version, reason="updated by a user"),))
        )
        return control.UpdateNodeResponse(node=self._shown(self._view.find_node(node_id) or new))

    async def RemoveNode(
        self, call: Call, request: control.RemoveNodeRequest
    ) -> control.RemoveNodeResponse:
        """Forget a node and refuse its certificate from now on; its tasks become orphans."""
        node_id = require_id(request.node_id, "node")
        await self._synchronize()
        for attempt in range(REMOVAL_ATTEMPTS):
            node = self._view.get_node(node_id)
            self._check_removal(node, force=request.force)
            try:
                await self._env.writer.submit(self._removal(node))
            except Rejection as rejection:
                # The cluster object or the node's status changed meanwhile: look again.
                if rejection != out_of_sequence() or attempt == REMOVAL_ATTEMPTS - 1:
                    raise
            else:
                break
        return control.RemoveNodeResponse()

    def _check_demotion(self, node: Node) -> None:
        managers = [other for other in self._view.nodes() if other.spec.role is Role.MANAGER]
        if len(managers) == 1:
            raise failed_precondition(
                "attempting to demote the last manager of the swarm: "
                "promote another node first, then demote this one"
            )
        if node.id not in self._members():
            raise not_found("raft member", node.id)
        blocker = self._env.demotion_blocker(node.id)
        if blocker is not None:
            raise failed_precondition(blocker)

    def _check_removal(self, node: Node, *, force: bool) -> None:
        if node.spec.role is Role.MANAGER and node.id in self._members():
            raise failed_precondition(
                f"node {node.id} is a cluster manager and is a member of the raft cluster. "
                "It must be demoted to worker before removal"
            )
        if node.status.state is NodeState.READY and not force:
            raise failed_precondition(
                f"node {node.id} is not down and can't be removed; "
                "stop its daemon or let it leave first, or force the removal"
            )

    def _removal(self, node: Node) -> Transaction:
        now = Instant(self._env.clock.now())
        cluster = self._view.cluster()
        removed = {
            node_id: expiry
            for node_id, expiry in cluster.removed_nodes.items()
            if not expiry or expiry + REMEMBERED_NS > now
        }
        removed[node.id] = certificate_expiry(node, cluster, now=now)
        reason = f"node {node.hostname or node.id} removed by a user"
        return Transaction(
            (
                Delete(Kind.NODE, node.id, base=node.version, reason=reason),
                Update(
                    replace(cluster, removed_nodes=removed), base=cluster.version, reason=reason
                ),
            )
        )

    def _members(self) -> dict[str, ManagerMember]:
        return {member.node_id: member for member in self._env.members()}

    def _shown(self, node: Node) -> objects.Node:
        return _with_standing(node_to_pb(node), self._members())


def certificate_expiry(node: Node, cluster: Cluster, *, now: Instant) -> Instant:
    """When the node's certificate ends by itself; a full life from now if it cannot be read."""
    try:
        return read_node_certificate(node.certificate.certificate).not_after
    except CertificateProblem:
        return Instant(now + cluster.spec.ca_config.node_cert_expiry_ns)


def _engine_labels(node: Node) -> Mapping[str, str]:
    engine = node.description.engine if node.description else None
    return engine.labels if engine else {}


def _with_standing(message: objects.Node, members: dict[str, ManagerMember]) -> objects.Node:
    """Add a manager's place in the Raft group, which no record holds."""
    member = members.get(message.id)
    if member is not None:
        reachability = types.RaftMemberStatus
        message.manager_status.CopyFrom(
            types.ManagerStatus(
                raft_id=member.raft_id,
                addr=member.addr,
                leader=member.leader,
                reachability=reachability.REACHABLE
                if member.reachable
                else reachability.UNREACHABLE,
            )
        )
    return message
