"""What separates the roles of nodes from what operators want, and in which steps it is mended."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.manager.role_manager import RoleStep, StepKind, concerns_roles, plan_roles
from swarmd.model.ids import NodeId
from swarmd.model.node import Node, NodeSpec, NodeStatus
from swarmd.model.states import NodeState, Role
from swarmd.raft.members import Member
from swarmd.store.changes import Change, Kind

WORKER, MANAGER = Role.WORKER, Role.MANAGER


def a_node(name: str, *, wanted: Role, role: Role) -> Node:
    return Node(id=NodeId(name), spec=NodeSpec(role=wanted), role=role)


def a_member(name: str) -> Member:
    return Member(f"raft-{name}", name, f"{name}:2377")


def steps(nodes: list[Node], members: list[str]) -> tuple[RoleStep, ...]:
    return plan_roles(nodes, [a_member(name) for name in members], own_node_id="leader")


LEADER = a_node("leader", wanted=MANAGER, role=MANAGER)


def test_nothing_is_done_where_all_are_what_they_should_be() -> None:
    assert steps([LEADER, a_node("w", wanted=WORKER, role=WORKER)], ["leader"]) == ()


def test_a_promotion_sets_the_role_and_leaves_joining_to_the_node() -> None:
    node = a_node("n", wanted=MANAGER, role=WORKER)
    assert steps([LEADER, node], ["leader"]) == (
        RoleStep(StepKind.SET_ROLE, node=node, role=MANAGER),
    )


def test_a_demotion_takes_the_member_out_before_it_sets_the_role() -> None:
    node = a_node("n", wanted=WORKER, role=MANAGER)
    removal = RoleStep(StepKind.REMOVE_MEMBER, raft_id="raft-n")
    assert steps([LEADER, node], ["leader", "n"]) == (removal,)
    assert steps([LEADER, node], ["leader"]) == (
        RoleStep(StepKind.SET_ROLE, node=node, role=WORKER),
    )


def test_a_leader_that_is_demoted_hands_over_first() -> None:
    node = replace(LEADER, spec=NodeSpec(role=WORKER))
    assert steps([node], ["leader"]) == (RoleStep(StepKind.TRANSFER_LEADERSHIP),)


def test_members_without_a_node_or_with_that_of_a_worker_are_removed() -> None:
    joined_too_late = a_node("late", wanted=WORKER, role=WORKER)
    assert steps([LEADER, joined_too_late], ["leader", "late", "gone"]) == (
        RoleStep(StepKind.REMOVE_MEMBER, raft_id="raft-late"),
        RoleStep(StepKind.REMOVE_MEMBER, raft_id="raft-gone"),
    )


WORKER_NODE = a_node("n", wanted=WORKER, role=WORKER)
MANAGER_NODE = a_node("n", wanted=MANAGER, role=MANAGER)
PROMOTED = a_node("n", wanted=MANAGER, role=WORKER)
READY = NodeStatus(state=NodeState.READY)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, WORKER_NODE, False, id="a worker joins"),
        pytest.param(None, MANAGER_NODE, True, id="a manager joins"),
        pytest.param(WORKER_NODE, replace(WORKER_NODE, status=READY), False, id="a status"),
        pytest.param(MANAGER_NODE, replace(MANAGER_NODE, status=READY), False, id="of a manager"),
        pytest.param(WORKER_NODE, PROMOTED, True, id="a promotion is wanted"),
        pytest.param(PROMOTED, MANAGER_NODE, True, id="a promotion is done"),
        pytest.param(WORKER_NODE, None, False, id="a worker is removed"),
        pytest.param(MANAGER_NODE, None, True, id="a manager is removed"),
        pytest.param(PROMOTED, None, True, id="one is removed on its way"),
    ],
)
def test_only_changes_of_roles_are_followed_at_once(
    old: Node | None, new: Node | None, expected: bool
) -> None:
    assert concerns_roles(Change(Kind.NODE, "n", old, new)) is expected
