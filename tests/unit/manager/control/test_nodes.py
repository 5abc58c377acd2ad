"""Nodes through the API: reading, demotion guards, removal."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.ca.verify import read_node_certificate
from swarmd.manager.control.nodes import REMEMBERED_NS
from swarmd.model.cluster import DEFAULT_CERT_EXPIRY_NS
from swarmd.model.errors import Code, Rejection
from swarmd.model.node import (
    EngineDescription,
    NodeCertificate,
    NodeDescription,
    NodeSpec,
    NodeStatus,
)
from swarmd.model.states import Availability, NodeState, Role
from swarmd.rpc.convert import node_spec_to_pb
from swarmd.rpc.pb import control, types
from swarmd.store.changes import Update
from tests.support.api import Api
from tests.support.certs import issue, shared_ca


@pytest.fixture
def api() -> Api:
    return Api()


def update(node: Any, **fields: Any) -> control.UpdateNodeRequest:
    request = control.UpdateNodeRequest(
        node_id=node.id, spec=node_spec_to_pb(replace(node.spec, **fields))
    )
    request.node_version.index = node.version
    return request


async def refused(api: Api, method: str, request: Any) -> Rejection:
    with pytest.raises(Rejection) as refusal:
        await api.call(method, request)
    return refusal.value


async def listed(api: Api, **filters: Any) -> list[str]:
    request = control.ListNodesRequest(filters=control.ListNodesRequest.Filters(**filters))
    return [node.id for node in (await api.call("ListNodes", request)).nodes]


async def test_a_managers_standing_is_added_to_its_node(api):
    api.add_manager("m1", leader=True)
    api.add_manager("m2", reachable=False)
    api.add_node("w1")
    nodes = (await api.call("ListNodes", control.ListNodesRequest())).nodes
    reachability = types.RaftMemberStatus
    assert [
        (n.id, n.manager_status.addr, n.manager_status.leader, n.manager_status.reachability)
        for n in nodes
    ] == [
        ("m1", "10.0.0.1:2377", True, reachability.REACHABLE),
        ("m2", "10.0.0.2:2377", False, reachability.UNREACHABLE),
        ("w1", "", False, reachability.UNKNOWN),
    ]
    assert not nodes[2].HasField("manager_status")
    one = (await api.call("GetNode", control.GetNodeRequest(node_id="m2"))).node
    assert one.manager_status.raft_id == 2


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["alpha", "beta", "gamma"]),
        ({"names": ["alpha", "gamma"]}, ["alpha", "gamma"]),
        ({"name_prefixes": ["b"]}, ["beta"]),
        ({"id_prefixes": ["ga"]}, ["gamma"]),
        ({"roles": [types.MANAGER]}, ["gamma"]),
        ({"memberships": [0]}, []),
        ({"memberships": [1]}, ["alpha", "beta", "gamma"]),
        ({"labels": {"os": "debian"}}, ["alpha"]),
        ({"node_labels": {"rack": ""}}, ["beta"]),
        ({"node_labels": {"rack": "r2"}}, []),
    ],
)
async def test_nodes_are_filtered(api, filters, found):
    engine = EngineDescription(labels={"os": "debian"})
    api.add_node("alpha", description=NodeDescription(hostname="alpha", engine=engine))
    api.add_node("beta", spec=NodeSpec(labels={"rack": "r1"}))
    api.add_manager("gamma")
    assert await listed(api, **filters) == found


async def test_an_update_replaces_the_spec(api):
    node = api.add_node("w1")
    request = update(node, availability=Availability.DRAIN, labels={"rack": "r1"})
    answer = (await api.call("UpdateNode", request)).node
    stored = api.store.get_node("w1")
    assert stored.spec.availability is Availability.DRAIN
    assert answer.meta.version.index == stored.version
    assert await refused(api, "UpdateNode", request) == Rejection(
        Code.UNKNOWN, "update out of sequence"
    )


async def test_an_update_needs_a_version_and_a_spec(api):
    node = api.add_node("w1")
    for field in ("node_id", "node_version", "spec"):
        request = update(node)
        request.ClearField(field)
        assert (await refused(api, "UpdateNode", request)).code is Code.INVALID_ARGUMENT


async def test_a_manager_is_demoted_when_the_quorum_survives(api):
    api.add_manager("m1", leader=True)
    node = api.add_manager("m2")
    await api.call("UpdateNode", update(node, role=Role.WORKER))
    assert api.store.get_node("m2").spec.role is Role.WORKER


async def test_the_last_manager_is_not_demoted(api):
    node = api.add_manager("m1", leader=True)
    refusal = await refused(api, "UpdateNode", update(node, role=Role.WORKER))
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "attempting to demote the last manager of the swarm" in refusal.message


async def test_a_demotion_that_costs_the_quorum_is_refused_with_the_reason(api):
    api.add_manager("m1", leader=True)
    node = api.add_manager("m2")
    api.blocker = "removing m2 would leave 1 of 2 managers"
    refusal = await refused(api, "UpdateNode", update(node, role=Role.WORKER))
    assert refusal == Rejection(Code.FAILED_PRECONDITION, api.blocker)


async def test_a_manager_that_never_joined_raft_is_not_demoted(api):
    api.add_manager("m1", leader=True)
    node = api.add_node("m2", role=Role.MANAGER)
    refusal = await refused(api, "UpdateNode", update(node, role=Role.WORKER))
    assert refusal.code is Code.NOT_FOUND


async def test_a_ready_node_is_removed_by_force_only(api):
    api.add_node("w1")
    request = control.RemoveNodeRequest(node_id="w1")
    refusal = await refused(api, "RemoveNode", request)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "node w1 is not down and can't be removed" in refusal.message
    request.force = True
    await api.call("RemoveNode", request)
    assert api.store.find_node("w1") is None


async def test_a_member_of_raft_is_demoted_before_it_is_removed(api):
    api.add_manager("m1")
    request = control.RemoveNodeRequest(node_id="m1", force=True)
    refusal = await refused(api, "RemoveNode", request)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "demoted to worker" in refusal.message


async def test_a_removed_node_is_remembered_until_its_certificate_ends(api):
    pair = issue(shared_ca(), node_id="w1")
    expiry = read_node_certificate(pair.cert_pem).not_after
    down = NodeStatus(state=NodeState.DOWN)
    api.add_node("w1", status=down, certificate=NodeCertificate(certificate=pair.cert_pem))
    api.add_node("w2", status=down)
    for node_id in ("w1", "w2"):
        await api.call("RemoveNode", control.RemoveNodeRequest(node_id=node_id))
    removed = api.store.cluster().removed_nodes
    assert removed["w1"] == expiry
    assert removed["w2"] == api.clock.now() + DEFAULT_CERT_EXPIRY_NS


async def test_long_expired_nodes_are_forgotten_on_the_way(api):
    cluster = api.store.cluster()
    now = api.clock.now()
    removed = {"old": now - REMEMBERED_NS, "recent": now - REMEMBERED_NS + 1, "for ever": 0}
    api.writer.write(Update(replace(cluster, removed_nodes=removed), base=cluster.version))
    api.add_node("w1", status=NodeStatus(state=NodeState.DOWN))
    await api.call("RemoveNode", control.RemoveNodeRequest(node_id="w1"))
    assert set(api.store.cluster().removed_nodes) == {"recent", "for ever", "w1"}


async def test_a_removal_that_races_with_a_status_change_is_repeated(api):
    api.add_node("w1", status=NodeStatus(state=NodeState.DOWN))

    class Racing:
        """Lets the node change once between the check and the write."""

        raced = False

        async def submit(self, transaction: Any) -> int:
            if not self.raced:
                self.raced = True
                node = api.store.get_node("w1")
                status = NodeStatus(state=NodeState.DOWN, message="seen again")
                api.writer.write(Update(replace(node, status=status), base=node.version))
            return await api.writer.submit(transaction)

    api.use_writer(Racing())
    await api.call("RemoveNode", control.RemoveNodeRequest(node_id="w1"))
    assert api.store.find_node("w1") is None


async def test_an_unknown_node_is_not_found(api):
    for method in ("GetNode", "RemoveNode"):
        request = getattr(control, f"{method}Request")(node_id="nobody")
        assert await refused(api, method, request) == Rejection(
            Code.NOT_FOUND, "node nobody not found"
        )
