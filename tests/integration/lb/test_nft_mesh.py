"""The mesh by nftables: the contract of the kernel's meshes."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.lb.nft.mesh import NftMesh
from swarmd.lb.tracking import LIMIT
from swarmd.network.kernel import netns, nft, sysctl
from tests.support.full_tracking import fill
from tests.support.mesh_contract import MeshContract
from tests.support.mesh_world import CLIENT, PATIENCE_S, ask, mesh_world

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(nft.missing()), reason="libnftables is not installed"),
]
FILLABLE = 500_000


class TestNftMesh(MeshContract):
    def make(self, ingress: Path, node: Path) -> MeshKernel:
        return NftMesh(ingress, node=node)

    def spoil(self, namespace: Path) -> None:
        netns.inside(namespace, lambda: nft.run("flush ruleset"))


def test_a_look_changes_nothing_where_nobody_else_has() -> None:
    with mesh_world(lambda ingress, node: NftMesh(ingress, node=node), a="n1") as w:
        w.apply()
        w.tasks["a"].ready = False
        w.apply()
        node = w.nodes["n2"]

        def changes() -> list[int]:
            return [netns.inside(path, nft.generation) for path in (node.path, node.ingress)]

        before = changes()
        assert node.mesh.repair() == 0
        assert changes() == before


def test_a_node_that_can_track_no_more_says_so_and_keeps_what_it_has() -> None:
    limit = int(sysctl.get(LIMIT))
    if limit > FILLABLE:
        pytest.skip(f"this machine tracks {limit} connections, more than a test can fill in")

    def listen() -> socket.socket:
        return socket.create_server((full.underlay, 9000))

    def connect() -> socket.socket:
        return socket.create_connection((full.underlay, 9000), PATIENCE_S)

    with mesh_world(lambda ingress, node: NftMesh(ingress, node=node), a="n2") as w:
        w.apply()
        full, other = w.nodes["n1"], w.nodes["n2"]
        assert ask(w.client, full.underlay) == ("a", CLIENT)
        with (
            netns.inside(full.path, listen) as server,
            netns.inside(w.client, connect) as client,
            server.accept()[0] as accepted,
        ):
            client.settimeout(PATIENCE_S)
            netns.inside(full.path, lambda: fill(limit))
            [sentence] = full.mesh.crowded()
            assert re.fullmatch(
                rf"the node tracks {limit} connections of at most {limit}, .* dropped; raise .*",
                sentence,
            )
            # New connections are dropped; the others go on, and so do other nodes.
            with pytest.raises(TimeoutError):
                ask(w.client, full.underlay, patience_s=0.5)
            accepted.send(b"on")
            assert client.recv(2) == b"on"
            assert ask(w.client, other.underlay) == ("a", CLIENT)
