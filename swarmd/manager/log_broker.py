"""Logs on the leader: clients subscribe, the agents concerned are asked, lines pass through.

Nothing is stored. `Logs` is for clients, `LogBroker` for agents; both share the subscriptions.
When leadership ends the streams end with it, and whoever follows subscribes again, telling the next
leader what it has been shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from swarmd.manager.log_selection import Selector, check, concerns, select
from swarmd.manager.log_subscription import Subscription
from swarmd.model.env import Ids
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.node import Node
from swarmd.model.states import NodeState
from swarmd.model.task import Task
from swarmd.rpc.call import Call
from swarmd.rpc.pb import logbroker as pb
from swarmd.store.changes import Committed
from swarmd.store.store import Store

LOGS = "docker.swarmkit.v1.Logs"
LOG_BROKER = "docker.swarmkit.v1.LogBroker"
SUBSCRIPTIONS_MAX = 256
REACHED_MAX = 100_000


class _Listener:
    """One agent's `ListenSubscriptions` stream and what it has yet to be told."""

    def __init__(self, node_id: NodeId) -> None:
        self.node_id = node_id
        self.rung = asyncio.Event()
        self.over = False
        self._orders: dict[str, pb.SubscriptionMessage] = {}

    def send(self, order: pb.SubscriptionMessage) -> None:
        self._orders[order.id] = order
        self.rung.set()

    def end(self) -> None:
        self.over = True
        self.rung.set()

    def take(self) -> list[pb.SubscriptionMessage]:
        self.rung.clear()
        orders = list(self._orders.values())
        self._orders.clear()
        return orders


class LogBroker:
    """Implements `docker.swarmkit.v1.Logs` and `docker.swarmkit.v1.LogBroker`."""

    def __init__(self, store: Store, *, ids: Ids, own_node_id: NodeId) -> None:
        self._store = store
        self._ids = ids
        self._own_node_id = own_node_id
        self._subscriptions: dict[str, Subscription] = {}
        self._listeners: dict[NodeId, list[_Listener]] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Watch the store for tasks that join a followed selection and nodes that go down."""
        if self._unsubscribe is None:
            self._unsubscribe = self._store.subscribe(self._observe)

    def stop(self) -> None:
        """End all streams: agents and readers have to find the next leader."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for subscription in self._subscriptions.values():
            subscription.abort(_stopped())
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()

    # --- Logs: clients

    async def SubscribeLogs(
        self, call: Call, request: pb.SubscribeLogsRequest
    ) -> AsyncIterator[pb.SubscribeLogsMessage]:
        """Lines of the selected tasks as the agents send them, each node's in order."""
        selector = _selector(request.selector)
        check(selector, self._store)
        if request.options.tail > 0:
            raise invalid(
                f"a log tail of {request.options.tail} would skip lines from the start, which "
                "swarmd doesn't do; use -(n+1) for the last n lines"
            )
        if len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise Rejection(
                Code.RESOURCE_EXHAUSTED,
                f"{SUBSCRIPTIONS_MAX} clients read logs already; end one and try again",
            )
        if len(request.options.reached) > REACHED_MAX:
            raise invalid(f"at most {REACHED_MAX} tasks can be continued with")
        # Agents read the options without asking whether there are any, so they are always set.
        order = pb.SubscriptionMessage(
            id=self._ids.new(), selector=request.selector, options=request.options
        )
        subscription = Subscription(order, selector)
        self._subscriptions[subscription.id] = subscription
        try:
            self._ask(subscription)
            async for answer in subscription.lines():
                yield answer
        finally:
            del self._subscriptions[subscription.id]
            subscription.cancel()
            closing = pb.SubscriptionMessage(
                id=order.id, selector=order.selector, options=order.options, close=True
            )
            for node_id in subscription.nodes:
                for listener in self._listeners.get(node_id, ()):
                    listener.send(closing)

    # --- LogBroker: agents

    async def ListenSubscriptions(
        self, call: Call, request: pb.ListenSubscriptionsRequest
    ) -> AsyncIterator[pb.SubscriptionMessage]:
        """Orders for the calling node: those that are open, then each as it opens and closes."""
        listener = _Listener(self._caller(call))
        self._listeners.setdefault(listener.node_id, []).append(listener)
        try:
            for subscription in self._subscriptions.values():
                order = subscription.order_for(listener.node_id)
                if order is not None:
                    listener.send(order)
                elif listener.node_id in self._selected(subscription):
                    self._ask_node(subscription, listener.node_id)
            while True:
                for order in listener.take():
                    yield order
                await listener.rung.wait()
                if listener.over:
                    raise _stopped()
        finally:
            self._gone(listener)

    async def PublishLogs(
        self, call: Call, requests: AsyncIterator[pb.PublishLogsMessage]
    ) -> pb.PublishLogsResponse:
        """Lines of one subscription from the calling node; the last message closes."""
        node_id = self._caller(call)
        subscription: Subscription | None = None
        closed = False
        try:
            async for request in requests:
                subscription = self._subscription_of(request, subscription)
                origins = {message.context.node_id for message in request.messages}
                for origin in origins.union(bulk.node_id for bulk in request.bulk):
                    if origin != node_id:
                        raise Rejection(
                            Code.PERMISSION_DENIED,
                            f"node {node_id} may not publish logs of node {origin}",
                        )
                await subscription.put(node_id, request)
                if request.close:
                    closed = True
                    break
        finally:
            if subscription is not None:
                error = "" if closed else f"node {node_id} disconnected unexpectedly"
                subscription.close(node_id, error)
        return pb.PublishLogsResponse()

    def _subscription_of(
        self, request: pb.PublishLogsMessage, current: Subscription | None
    ) -> Subscription:
        if not request.subscription_id:
            raise invalid("missing subscription ID")
        if current is not None:
            if request.subscription_id != current.id:
                raise invalid(
                    f"a log stream for subscription {current.id} can't change to "
                    f"{request.subscription_id}"
                )
            return current
        found = self._subscriptions.get(request.subscription_id)
        if found is None:
            raise Rejection(Code.NOT_FOUND, f"subscription {request.subscription_id} not found")
        return found

    # --- who is asked

    def _ask(self, subscription: Subscription) -> None:
        selection = select(subscription.selector, self._store, follow=subscription.follow)
        for node_id in selection.nodes:
            self._ask_node(subscription, node_id)
        for task_id in selection.unplaced:
            subscription.unplaced(task_id)
        subscription.settle()

    def _ask_node(self, subscription: Subscription, node_id: NodeId) -> None:
        listeners = self._listeners.get(node_id, [])
        if subscription.follow and not listeners:
            subscription.absent(node_id)  # asked when it connects
            return
        if subscription.ask(node_id, available=bool(listeners)):
            order = subscription.order_of(node_id)
            for listener in listeners:
                listener.send(order)

    def _selected(self, subscription: Subscription) -> tuple[NodeId, ...]:
        if not subscription.follow:
            return ()
        return select(subscription.selector, self._store, follow=True).nodes

    def _gone(self, listener: _Listener) -> None:
        remaining = self._listeners[listener.node_id]
        remaining.remove(listener)
        if not remaining:
            del self._listeners[listener.node_id]
            for subscription in self._subscriptions.values():
                self._lost(subscription, listener.node_id)

    def _lost(self, subscription: Subscription, node_id: NodeId) -> None:
        subscription.close(node_id, f"node {node_id} disconnected unexpectedly")

    def _observe(self, committed: Committed) -> None:
        if not self._subscriptions:
            return
        for change in committed.changes:
            if isinstance(change.new, Task):
                self._task_changed(change.new)
            elif isinstance(change.new, Node) and change.new.status.state is NodeState.DOWN:
                for subscription in self._subscriptions.values():
                    self._lost(subscription, change.new.id)

    def _task_changed(self, task: Task) -> None:
        if not task.node_id:
            return
        for subscription in self._subscriptions.values():
            if concerns(subscription.selector, task):
                subscription.placed(task.id)
                if subscription.follow:
                    self._ask_node(subscription, task.node_id)

    def _caller(self, call: Call) -> NodeId:
        if call.node_id:
            return NodeId(call.node_id)
        if call.peer.local:
            return self._own_node_id
        raise Rejection(Code.PERMISSION_DENIED, f"{call.method} needs a node certificate")


def _stopped() -> Rejection:
    return Rejection(Code.ABORTED, "the leader of the swarm has changed; read the logs again")


def _selector(message: pb.LogSelector) -> Selector:
    return Selector(
        tuple(ServiceId(name) for name in message.service_ids),
        tuple(NodeId(name) for name in message.node_ids),
        tuple(TaskId(name) for name in message.task_ids),
    )
