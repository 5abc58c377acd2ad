"""Questions to many nodes at once, of which some may not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.node import Node
from swarmd.model.states import NodeState
from swarmd.rpc.pb import errands as pb
from swarmd.store.view import View

AT_ONCE = 64


async def ask_each(
    view: View, node_ids: Iterable[str], ask: Callable[[NodeId], Awaitable[None]]
) -> list[pb.AbsentNode]:
    """Ask nodes one beside the other; returns those of which there is no answer, and why.

    Args:
        node_ids: empty for all nodes.
        ask: raises a `Rejection` when the node does not answer.
    """
    wanted = tuple(node_ids)
    absent: list[pb.AbsentNode] = []
    at_once = asyncio.Semaphore(AT_ONCE)

    async def ask_one(node: Node) -> None:
        async with at_once:
            try:
                if node.status.state is NodeState.DOWN:
                    raise Rejection(Code.UNAVAILABLE, "the node is down")
                await ask(node.id)
            except Rejection as rejection:
                absent.append(pb.AbsentNode(node_id=node.id, reason=rejection.message))

    nodes = [view.get_node(NodeId(one)) for one in wanted] if wanted else view.nodes()
    async with asyncio.TaskGroup() as tasks:
        for node in nodes:
            tasks.create_task(ask_one(node))
    return absent
