"""The mesh by IPVS; where this kernel has none, `make test-ipvs` brings one that has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swarmd.lb.core.leaving import Due
from swarmd.lb.ipvs.mesh import IpvsMesh, has_zones
from swarmd.lb.ipvs.virtual import missing
from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.network.kernel import netns
from swarmd.network.kernel.ipvs import Ipvs
from tests.support.mesh_contract import MeshContract
from tests.support.mesh_world import CLIENT, MeshWorld, ask, mesh_world

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
]


def make(ingress: Path, node: Path) -> MeshKernel:
    return IpvsMesh(ingress, node=node)


class TestIpvsMesh(MeshContract):
    def make(self, ingress: Path, node: Path) -> MeshKernel:
        return make(ingress, node)

    def hashes_alike(self) -> bool:
        """Its hashes go by the order in which each node came to know of the tasks."""
        return False

    def has_zones(self) -> bool:
        with mesh_world(make) as w:
            return netns.inside(w.client, has_zones)

    def spoil(self, namespace: Path) -> None:
        def flush() -> None:
            for tool in ("iptables-legacy", "ip6tables-legacy"):
                for table in ("raw", "mangle", "nat"):
                    subprocess.run([tool, "-t", table, "-F"], check=True)

        netns.inside(namespace, flush)


def weights(world: MeshWorld, node: str) -> set[tuple[str, int]]:
    """Of the targets in the mesh of IPv4."""

    def look() -> set[tuple[str, int]]:
        with Ipvs() as kernel:
            found = {row for rows in kernel.services().values() for row in rows.items()}
            return {row for row in found if ":" not in row[0]}

    return netns.inside(world.nodes[node].ingress, look)


def test_a_task_that_leaves_keeps_its_place_without_weight_until_it_is_gone() -> None:
    with mesh_world(make, a="n1", b="n2") as w:
        w.apply()
        a, b = w.tasks["a"].address, w.tasks["b"].address
        assert weights(w, "n3") == {(a, 1), (b, 1)}
        w.tasks["a"].ready = False
        w.apply()
        assert weights(w, "n3") == {(a, 0), (b, 1)}
        w.nodes["n3"].mesh.forget(Due(gone=frozenset({a})))
        assert weights(w, "n3") == {(b, 1)}
        assert {ask(w.client, w.nodes["n3"].underlay) for _ in range(3)} == {("b", CLIENT)}


def test_a_new_daemon_takes_over_what_is_there() -> None:
    with mesh_world(make, a="n1", b="n2") as w:
        w.apply()
        w.tasks["b"].ready = False
        node = w.nodes["n3"]
        node.mesh = make(node.ingress, node.path)
        w.apply("n3")
        assert weights(w, "n3") == {(w.tasks["a"].address, 1)}
        assert ask(w.client, node.underlay) == ("a", CLIENT)
