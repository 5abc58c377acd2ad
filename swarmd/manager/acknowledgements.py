"""`swarmd.v1.Acknowledgements`: which nodes act on which version, asked of the leader.

A task that is to stop has to leave every balancer first. Its agent knows the version at which it
was told to, and asks here when all nodes act on tables of that version or later. A table that has
not changed since then is as good as one of that version, so quiet tables keep nobody waiting.

Nodes acknowledge when they have put something new into force, the sooner the fewer they are: the
answer says how long to be silent afterwards, so that hundreds of nodes cost the leader a bounded
number of calls per second however often tables change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from swarmd.manager.endpoints_service import PUBLISHED, EndpointsService
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.ids import NetworkId, NodeId
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.node import Node
from swarmd.model.states import NodeState
from swarmd.network.core.acknowledged import Acknowledged, TableState, Waiting
from swarmd.rpc.call import Call
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Committed
from swarmd.store.store import Store

ACKNOWLEDGEMENTS = "swarmd.v1.Acknowledgements"
PATIENCE_NS = 5 * SECOND
# With so much silence per node the leader gets a thousand acknowledgements a second at most.
PAUSE_PER_NODE_NS = 1 * MILLISECOND


class Acknowledgements:
    """One manager's part; what it has heard counts while it leads. `stop` ends a term."""

    def __init__(self, store: Store, endpoints: EndpointsService) -> None:
        self._store = store
        self._endpoints = endpoints
        self._heard = Acknowledged()
        self._over: dict[Waiting, asyncio.Event] = {}
        self._advanced = asyncio.Event()
        self._term = 0
        self._unsubscribe: Callable[[], None] = store.subscribe(self._observe)

    @property
    def heard(self) -> Acknowledged:
        """What nodes have said in this term."""
        return self._heard

    def Acknowledge(self, call: Call, request: pb.AcknowledgeRequest) -> pb.AcknowledgeResponse:
        """Take a node's word on all the tables it has in force."""
        if not call.node_id:
            raise invalid("only a node can say what it has in force")
        states = {
            NetworkId(table.network_id): TableState(
                table.version, tuple(table.problems), table.repaired, table.moving
            )
            for table in request.tables
        }
        self._finish(self._heard.acknowledge(NodeId(call.node_id), states))
        return pb.AcknowledgeResponse(pause=len(self._heard) * PAUSE_PER_NODE_NS)

    async def Settled(self, call: Call, request: pb.SettledRequest) -> pb.SettledResponse:
        """Wait until every READY node that is concerned acts on the version, 5 s at most.

        Asked for it, also until they have moved on the UDP clients of tasks that left until then.
        """
        term, heard = self._term, self._heard
        waiting: Waiting | None = None
        try:
            async with timeout(PATIENCE_NS / SECOND):
                while self._store.index < request.version:
                    await self._advanced.wait()
                    self._check(term)
                waiting = self._begin(heard, request)
                if waiting.late:
                    await self._over[waiting].wait()
                    self._check(term)
        except TimeoutError:
            if waiting is None:
                raise Rejection(
                    Code.UNAVAILABLE, f"this manager has not come to version {request.version} yet"
                ) from None
        finally:
            if waiting is not None:
                heard.end(waiting)
                del self._over[waiting]
        return pb.SettledResponse(late_node_ids=waiting.late)

    def stop(self) -> None:
        """Forget what was heard, and send those who wait to the next leader."""
        self._term += 1
        self._heard = Acknowledged()
        for event in (self._advanced, *self._over.values()):
            event.set()

    def close(self) -> None:
        """Stop observing as well; safe to call twice."""
        self.stop()
        self._unsubscribe()

    # --- inside

    def _begin(self, heard: Acknowledged, request: pb.SettledRequest) -> Waiting:
        tables = [NetworkId(network_id) for network_id in request.network_ids]
        if request.published:
            tables.append(PUBLISHED)
        needed = {
            table: min(request.version, self._endpoints.changed_at(table)) for table in tables
        }
        waiting = Waiting(needed, moved=request.version if request.moved else 0)
        heard.wait(waiting, filter(self._is_ready, heard.nodes()))
        self._over[waiting] = asyncio.Event()
        return waiting

    def _is_ready(self, node_id: NodeId) -> bool:
        node = self._store.find_node(node_id)
        return node is not None and node.status.state is NodeState.READY

    def _check(self, term: int) -> None:
        if term != self._term:
            raise Rejection(Code.UNAVAILABLE, "this manager leads no more; ask the leader")

    def _observe(self, committed: Committed) -> None:
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()
        for change in committed.changes:
            if isinstance(change.old, Node) and not self._is_ready(change.old.id):
                self._finish(self._heard.drop(change.old.id))

    def _finish(self, over: tuple[Waiting, ...]) -> None:
        for waiting in over:
            self._over[waiting].set()
