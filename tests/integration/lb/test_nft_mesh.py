"""The mesh by nftables: the contract of the kernel's meshes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.lb.nft.mesh import NftMesh
from swarmd.network.kernel import netns, nft
from tests.support.mesh_contract import MeshContract

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(nft.missing()), reason="libnftables is not installed"),
]


class TestNftMesh(MeshContract):
    def make(self, ingress: Path, node: Path) -> MeshKernel:
        return NftMesh(ingress, node=node)

    def spoil(self, namespace: Path) -> None:
        netns.inside(namespace, lambda: nft.run("flush ruleset"))
