"""Who may call what: decisions only, for every method there is."""

from __future__ import annotations

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.rpc.access import (
    check_access,
    check_member,
    forwarding_metadata,
    originator,
    without_forwarding,
)
from swarmd.rpc.call import Peer
from swarmd.rpc.identity import MANAGER, WORKER, Identity
from swarmd.rpc.metadata import EMPTY, Metadata
from swarmd.rpc.methods import BY_PATH, Method
from swarmd.rpc.roles import access_to

NOBODY = Peer(address="192.0.2.1:1000")
A_WORKER = Peer(identity=Identity("w1", "c1", (WORKER,)), address="192.0.2.2:1000")
A_MANAGER = Peer(identity=Identity("m1", "c1", (MANAGER,)), address="192.0.2.3:1000")
LOCAL = Peer(local=True)

OPEN = {
    "/docker.swarmkit.v1.CA/GetRootCACertificate",
    "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate",
    "/docker.swarmkit.v1.NodeCA/NodeCertificateStatus",
}
WORKER_SERVICES = {
    "docker.swarmkit.v1.Dispatcher",
    "docker.swarmkit.v1.LogBroker",
    "docker.swarmkit.v1.ResourceAllocator",
    "swarmd.v1.Acknowledgements",
    "swarmd.v1.Endpoints",
    "swarmd.v1.Errands",
    "swarmd.v1.ExecBroker",
    "swarmd.v1.NodeLifecycle",
    "swarmd.v1.WantedImages",
}
LOCAL_SERVICES = {"swarmd.v1.Checkup", "swarmd.v1.Images", "swarmd.v1.Local", "swarmd.v1.Volumes"}


def allowed(peer: Peer, method: Method) -> bool:
    try:
        check_access(peer, method.access, method=method.path)
    except Rejection as rejection:
        return rejection.code != Code.PERMISSION_DENIED
    return True


@pytest.mark.parametrize("path", sorted(BY_PATH))
def test_every_method_opens_to_exactly_the_roles_it_is_for(path: str) -> None:
    method = BY_PATH[path]
    for_workers = method.service in WORKER_SERVICES
    assert {
        "nobody": allowed(NOBODY, method),
        "worker": allowed(A_WORKER, method),
        "manager": allowed(A_MANAGER, method),
        "local": allowed(LOCAL, method),
    } == {
        "nobody": path in OPEN,
        "worker": path in OPEN or for_workers,
        "manager": method.service not in LOCAL_SERVICES,
        "local": True,
    }


def test_a_method_without_an_entry_is_open_to_nobody() -> None:
    access = access_to("docker.swarmkit.v1.CA", "NewMethod")
    for peer in (NOBODY, A_WORKER, A_MANAGER):
        with pytest.raises(Rejection):
            check_access(peer, access, method="/x/NewMethod")


def test_a_certificate_without_a_role_opens_nothing() -> None:
    peer = Peer(identity=Identity("w1", "c1", ()))
    with pytest.raises(Rejection, match="role none"):
        check_access(peer, access_to("docker.swarmkit.v1.Dispatcher", "Session"), method="/x/y")


def test_members_of_another_cluster_and_removed_nodes_are_told_why() -> None:
    identity = Identity("w1", "c2", (WORKER,))
    with pytest.raises(Rejection, match="node w1 has a certificate of cluster c2"):
        check_member(identity, cluster_id="c1", removed=False)
    with pytest.raises(Rejection, match="node w1 was removed"):
        check_member(identity, cluster_id="c2", removed=True)
    check_member(identity, cluster_id="c2", removed=False)


@pytest.mark.parametrize("peer", [NOBODY, A_WORKER])
def test_only_managers_forward(peer: Peer) -> None:
    claims = Metadata.of(*forwarding_metadata(A_MANAGER, own_address="x:1"))
    with pytest.raises(Rejection, match="only a manager"):
        originator(peer, claims)


def test_a_call_that_nobody_forwarded_comes_from_the_peer() -> None:
    assert originator(A_WORKER, EMPTY) is A_WORKER


@pytest.mark.parametrize("caller", [NOBODY, A_WORKER, A_MANAGER])
def test_what_a_manager_forwards_arrives_as_its_caller(caller: Peer) -> None:
    metadata = Metadata.of(*forwarding_metadata(caller, own_address="192.0.2.3:2377"))
    got = originator(A_MANAGER, metadata)
    assert got == Peer(identity=caller.identity, address=caller.address, forwarded=True, via="m1")


def test_a_manager_names_the_line_of_the_caller_that_it_watches() -> None:
    pairs = forwarding_metadata(A_WORKER, own_address="192.0.2.3:2377")
    claims = Metadata.of(*pairs, ("swarmd-line", "7"))
    assert originator(A_MANAGER, claims).line == "7"
    with pytest.raises(Rejection, match="only a manager"):
        originator(A_WORKER, claims)


def test_nobody_has_a_line_of_another_name_without_being_forwarded() -> None:
    assert originator(A_MANAGER, Metadata.of(("swarmd-line", "7"))).line == ""


def test_a_role_less_caller_is_forwarded_without_a_role() -> None:
    caller = Peer(identity=Identity("w1", "c1", ()), address="192.0.2.9:1")
    got = originator(A_MANAGER, Metadata.of(*forwarding_metadata(caller, own_address="x:1")))
    assert got.identity is not None
    assert got.identity.roles == ("",)


def test_a_local_call_is_forwarded_as_the_managers_own() -> None:
    metadata = Metadata.of(*forwarding_metadata(LOCAL, own_address="192.0.2.3:2377"))
    assert list(metadata) == [("redirect", "192.0.2.3:2377")]
    assert originator(A_MANAGER, metadata) is A_MANAGER


@pytest.mark.parametrize(
    "missing", ["forwarded_cert_cn", "forwarded_cert_org", "forwarded_cert_ou"]
)
def test_an_incomplete_identity_is_refused(missing: str) -> None:
    pairs = forwarding_metadata(A_WORKER, own_address="x:1")
    metadata = Metadata.of(*((key, value) for key, value in pairs if key != missing))
    with pytest.raises(Rejection, match="full identity"):
        originator(A_MANAGER, metadata)


def test_claims_of_the_caller_are_not_passed_on() -> None:
    claims = forwarding_metadata(A_MANAGER, own_address="x:1")
    metadata = Metadata.of(("x-kept", "1"), *claims, ("swarmd-line", "7"))
    assert list(without_forwarding(metadata)) == [("x-kept", "1")]
