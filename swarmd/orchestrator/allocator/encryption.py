"""Which mechanism encrypts a new network. Pure.

All nodes of a network have to use the same one, also those that join later. It is the best one
that every node can at the moment; nodes that can't are left out by the scheduler from then on.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from swarmd.model.network import MECHANISM_OPTION, Mechanism, Network, is_encrypted
from swarmd.model.node import ENCRYPTION_PLUGIN, Node
from swarmd.model.states import NodeState

BEST_FIRST = (Mechanism.WIREGUARD, Mechanism.IPSEC, Mechanism.TUNNEL)


def with_mechanism(network: Network, nodes: Iterable[Node]) -> Network:
    """`network` with its mechanism among its driver's options, unless it names one or needs none.

    Nodes that can't encrypt at all, which mostly can't have overlays either, are not asked.
    """
    state = network.driver_state
    if state is None or not is_encrypted(network) or MECHANISM_OPTION in state.options:
        return network
    able = [can for node in nodes if node.status.state is NodeState.READY and (can := _can(node))]
    common = [one for one in BEST_FIRST if able and all(one.value in can for can in able)]
    chosen = common[0] if common else Mechanism.TUNNEL
    options = {**state.options, MECHANISM_OPTION: chosen.value}
    return replace(network, driver_state=replace(state, options=options))


def _can(node: Node) -> frozenset[str]:
    engine = node.description.engine if node.description else None
    plugins = engine.plugins if engine else ()
    return frozenset(plugin.name for plugin in plugins if plugin.type == ENCRYPTION_PLUGIN)
