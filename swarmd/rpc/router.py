"""From a path to whoever answers it: our own handler, or the leader.

The router knows no transport. Handlers are methods of plain objects, bound by the names in the
service's descriptor:

    unary           def Method(call, request) -> response, or async def
    server stream   async def Method(call, request): yield response ...
    client stream   async def Method(call, requests) -> response
    both            async def Method(call, requests): yield response ...

A plain `def` is run straight from the socket's callback and must not block; it costs half as much
as a task. A response may be given as bytes that were serialized before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from swarmd.model.errors import Code, Rejection, failed_precondition
from swarmd.rpc.access import check_access, check_member, originator
from swarmd.rpc.call import Peer
from swarmd.rpc.metadata import Metadata
from swarmd.rpc.methods import BY_PATH, SERVICES, Method
from swarmd.rpc.roles import Answers

NOT_A_MANAGER = "this node is not a swarm manager"


class Leadership(Protocol):
    """Where the leader is, as this manager knows."""

    def is_leader(self) -> bool:
        """Whether this manager leads and its leader's services are to be called."""
        ...

    async def find_leader(self) -> str:
        """Address of the leader, once there is one; empty when it is this manager.

        Raises:
            Rejection: there has been none for too long to wait.
        """
        ...


class Handler(msgspec.Struct, frozen=True):
    """A method and the function that answers it here."""

    method: Method
    function: Callable[..., Any]
    is_async: bool


class Resolution(msgspec.Struct, frozen=True):
    """What is to be done with a call; without a handler it goes to the leader."""

    method: Method
    caller: Peer
    handler: Handler | None


class Router:
    """The services of one daemon and the rules by which they may be called.

    Args:
        cluster_id: this cluster, as of now.
        is_removed: whether a node id was removed from the cluster, as of now.
        why_no_manager: what callers are told while this node is not a manager.
    """

    def __init__(
        self,
        *,
        cluster_id: Callable[[], str],
        is_removed: Callable[[str], bool],
        why_no_manager: Callable[[], Rejection] = lambda: failed_precondition(NOT_A_MANAGER),
    ) -> None:
        self._cluster_id = cluster_id
        self._is_removed = is_removed
        self._why_no_manager = why_no_manager
        self._handlers: dict[str, Handler] = {}
        # None while this node is not a manager.
        self.leadership: Leadership | None = None

    def register(self, service: str, implementation: object) -> None:
        """Let `implementation` answer `service` (its full name), replacing who did.

        Methods it does not define answer UNIMPLEMENTED.
        """
        self.unregister(service)
        for name, method in SERVICES[service].items():
            function = getattr(implementation, name, None)
            if function is not None:
                is_async = not method.is_unary or inspect.iscoroutinefunction(function)
                self._handlers[method.path] = Handler(method, function, is_async)

    def unregister(self, service: str) -> None:
        """Stop answering `service`; calls under way go on."""
        for method in SERVICES[service].values():
            self._handlers.pop(method.path, None)

    def check_member(self, peer: Peer) -> None:
        """Raise unless the peer has no certificate or is a present member of this cluster."""
        identity = peer.identity
        if identity is not None:
            check_member(
                identity,
                cluster_id=self._cluster_id(),
                removed=self._is_removed(identity.node_id),
            )

    def resolve(self, peer: Peer, path: str, metadata: Metadata) -> Resolution:
        """Decide on a call before any of its messages is looked at.

        Raises:
            Rejection: the caller may not, or nobody can answer.
        """
        method = BY_PATH.get(path)
        if method is None:
            raise Rejection(Code.UNIMPLEMENTED, f"unknown method {path}")
        self.check_member(peer)
        caller = originator(peer, metadata)
        if caller.forwarded:
            self.check_member(caller)
        check_access(caller, method.access, method=path)
        answers = method.routing.socket if peer.local else method.routing.network
        if answers is Answers.NOBODY:
            raise Rejection(Code.UNIMPLEMENTED, f"{method.service} is not offered here")
        if answers is Answers.LEADER and not self._leads():
            return Resolution(method, caller, None)
        return Resolution(method, caller, self.find_handler(method))

    def find_handler(self, method: Method) -> Handler:
        """Who answers `method` on this node.

        Raises:
            Rejection: nobody; UNAVAILABLE when a leader has yet to start the service, and what
                `why_no_manager` says when only managers have it and this node is none.
        """
        handler = self._handlers.get(method.path)
        if handler is not None:
            return handler
        if self.leadership is None and not self._serves(method.service):
            raise self._why_no_manager()
        is_leaders = Answers.LEADER in (method.routing.network, method.routing.socket)
        if is_leaders and not self._serves(method.service):
            raise Rejection(Code.UNAVAILABLE, f"the leader is still starting {method.service}")
        raise Rejection(Code.UNIMPLEMENTED, f"{method.path} is not implemented")

    def _serves(self, service: str) -> bool:
        return any(method.path in self._handlers for method in SERVICES[service].values())

    def _leads(self) -> bool:
        if self.leadership is None:
            raise self._why_no_manager()
        return self.leadership.is_leader()
