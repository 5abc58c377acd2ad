"""A data plane in an inner network: the kernel's part there, and what joins it to the machine's.

clients ─► proxy ─► the mesh ─► tasks ─► outlet ─► the world
                      └► overlays ◄─► ferry ◄─► other nodes
"""

from __future__ import annotations

import socket
from pathlib import Path

from swarmd.lb.nft.mesh_text import NAMESPACE_ADDRESS
from swarmd.lb.proxy.ground import make_socket
from swarmd.lb.proxy.outlet import Outlet
from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.ferry import Ferry
from swarmd.network.inner import open_outlet
from swarmd.network.kernel.reservoir import Reservoir
from swarmd.runtime.clock import Clock


class Inside:
    """What joins the two, while the daemon runs. Make it inside the event loop it will use.

    Args:
        path: the inner namespace.

    Raises:
        OSError, NftError: the kernel refuses.
    """

    def __init__(self, path: Path, underlay: Underlay, *, node_name: str, clock: Clock) -> None:
        self._reservoir = Reservoir(path)
        self._outlet = Outlet(
            open_outlet(path, own=underlay.address), node_name=node_name, clock=clock
        )
        self.ferry = Ferry(underlay, path)

    def to_task(self, _address: str, family: int, kind: int) -> socket.socket:
        """A socket that reaches tasks by the node's bridge; see `MakeSocket`."""
        return self._reservoir(family, kind)

    def to_mesh(self, address: str, family: int, kind: int) -> socket.socket:
        """A socket that reaches the mesh, or what else there is by the machine's own network."""
        if address == NAMESPACE_ADDRESS:
            return self._reservoir(family, kind)
        return make_socket(address, family, kind)

    def close(self) -> None:
        """Let go; what the kernel has in there stays. The ferry is closed by who uses it."""
        self._outlet.close()
        self._reservoir.close()
