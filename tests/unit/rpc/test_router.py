from __future__ import annotations

from typing import Any

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.rpc.call import Peer
from swarmd.rpc.identity import MANAGER, WORKER, Identity
from swarmd.rpc.metadata import EMPTY, Metadata
from swarmd.rpc.router import Router
from tests.support.rpc_server import Leading

DISPATCHER = "docker.swarmkit.v1.Dispatcher"
HEARTBEAT = f"/{DISPATCHER}/Heartbeat"
CONTROL = "docker.swarmkit.v1.Control"
LIST_NODES = f"/{CONTROL}/ListNodes"
RAFT = "docker.swarmkit.v1.RaftMembership"
INFO = "/swarmd.v1.Local/Info"
WORKER_PEER = Peer(identity=Identity("w1", "c1", (WORKER,)))
MANAGER_PEER = Peer(identity=Identity("m1", "c1", (MANAGER,)))
LOCAL = Peer(local=True)


class Answers:
    def Heartbeat(self, call: Any, request: Any) -> None: ...
    async def ListNodes(self, call: Any, request: Any) -> None: ...
    async def Session(self, call: Any, request: Any) -> Any:
        yield None


def router(*services: str, leader: str | None = "", removed: tuple[str, ...] = ()) -> Router:
    made = Router(cluster_id=lambda: "c1", is_removed=removed.__contains__)
    for service in services:
        made.register(service, Answers())
    made.leadership = None if leader is None else Leading(leader)
    return made


def refusal(made: Router, peer: Peer, path: str, metadata: Metadata = EMPTY) -> Code:
    with pytest.raises(Rejection) as caught:
        made.resolve(peer, path, metadata)
    return caught.value.code


def test_a_registered_method_is_found_with_its_kind() -> None:
    made = router(DISPATCHER, CONTROL)
    plain = made.resolve(WORKER_PEER, HEARTBEAT, EMPTY).handler
    assert plain is not None
    assert not plain.is_async
    awaited = made.resolve(MANAGER_PEER, LIST_NODES, EMPTY).handler
    assert awaited is not None
    assert awaited.is_async


def test_unknown_and_unimplemented_methods_say_so() -> None:
    made = router(DISPATCHER)
    assert refusal(made, MANAGER_PEER, "/nothing/Here") == Code.UNIMPLEMENTED
    assert refusal(made, WORKER_PEER, f"/{DISPATCHER}/UpdateTaskStatus") == Code.UNIMPLEMENTED
    made.unregister(DISPATCHER)
    # A leader that has just been elected starts its services one by one.
    assert refusal(made, WORKER_PEER, HEARTBEAT) == Code.UNAVAILABLE
    # Relayed by another manager whose view of the leader is ahead of the leader's own start.
    assert refusal(made, MANAGER_PEER, LIST_NODES) == Code.UNAVAILABLE


def test_permission_is_decided_before_anything_else_is_told() -> None:
    made = router()
    assert refusal(made, Peer(), HEARTBEAT) == Code.PERMISSION_DENIED
    assert refusal(made, WORKER_PEER, LIST_NODES) == Code.PERMISSION_DENIED


def test_membership_is_checked_for_the_peer_and_for_whom_it_forwards() -> None:
    made = router(DISPATCHER, removed=("w1",))
    assert refusal(made, WORKER_PEER, HEARTBEAT) == Code.PERMISSION_DENIED
    stranger = Peer(identity=Identity("w2", "c2", (WORKER,)))
    assert refusal(made, stranger, HEARTBEAT) == Code.PERMISSION_DENIED
    forwarded = Metadata.of(
        ("forwarded_cert", "true"),
        ("forwarded_cert_cn", "w1"),
        ("forwarded_cert_org", "c1"),
        ("forwarded_cert_ou", WORKER),
    )
    assert refusal(made, MANAGER_PEER, HEARTBEAT, forwarded) == Code.PERMISSION_DENIED


def test_calls_for_the_leader_are_passed_on_by_a_follower() -> None:
    made = router(CONTROL, leader="192.0.2.1:2377")
    assert made.resolve(WORKER_PEER, HEARTBEAT, EMPTY).handler is None


def test_the_listener_decides_who_answers_control() -> None:
    made = router(CONTROL, leader="192.0.2.1:2377")
    assert made.resolve(MANAGER_PEER, LIST_NODES, EMPTY).handler is not None
    assert made.resolve(LOCAL, LIST_NODES, EMPTY).handler is None


def test_services_of_one_listener_are_not_offered_on_the_other() -> None:
    made = router()
    assert refusal(made, LOCAL, f"/{RAFT}/Join") == Code.UNIMPLEMENTED
    # The port asks for a role first, and there is none for it.
    assert refusal(made, MANAGER_PEER, INFO) == Code.PERMISSION_DENIED


def test_a_worker_says_that_it_is_no_manager() -> None:
    made = router(leader=None)
    assert refusal(made, LOCAL, LIST_NODES) == Code.FAILED_PRECONDITION
