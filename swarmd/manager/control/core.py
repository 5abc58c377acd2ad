"""What every call of the API is given, and how it reads and writes.

Reads are linearizable: a call first waits at the read barrier, then looks at the state once. Writes
are checked against the state that was read and carry its version, so that a write based on an old
state is refused by the store and not by chance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from swarmd.model.env import Ids
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.service import Service
from swarmd.rpc.convert.table import Mapping
from swarmd.rpc.convert.unsupported import unsupported
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Transaction
from swarmd.store.view import View

SERVICES_LISTED_MAX = 8


class ManagerMember(NamedTuple):
    """A member of the Raft group as this manager sees it."""

    node_id: str
    raft_id: int
    addr: str
    leader: bool
    reachable: bool


class SubmitsTransactions(Protocol):
    async def submit(self, transaction: Transaction) -> int: ...


class ControlEnv(NamedTuple):
    """What the API works with.

    `read_barrier` returns once this manager's state holds everything acknowledged before the call.
    `demotion_blocker` says why taking a manager out of the Raft group would stop the swarm, None
    when it would not. `entropy` returns that many bytes from the operating system.
    """

    view: View
    writer: SubmitsTransactions
    read_barrier: Callable[[], Awaitable[object]]
    clock: Clock
    ids: Ids
    members: Callable[[], tuple[ManagerMember, ...]]
    demotion_blocker: Callable[[str], str | None]
    entropy: Callable[[int], bytes]


class Calls:
    """Base of the calls of one noun."""

    def __init__(self, env: ControlEnv) -> None:
        self._env = env
        self._view = env.view
        # Held by writes that refer to other objects, or publish ports, and by removals of what may
        # be referred to: two that contradict each other can't both pass their checks.
        self._references = asyncio.Lock()

    async def _synchronize(self) -> None:
        await self._env.read_barrier()


def require_id(identifier: str, kind: str) -> str:
    if not identifier:
        raise invalid(f"invalid argument: the {kind} id is missing")
    return identifier


def require(request: Any, *fields: str) -> None:
    """Refuse a request without one of the messages it needs."""
    for field in fields:
        if not request.HasField(field):
            raise invalid(f"invalid argument: {field} is missing")


def read_spec(mapping: Mapping[Any, Any], message: Any) -> Any:
    """The record of a spec; a spec asking for what no record can hold is refused, not trimmed."""
    refusal = unsupported(mapping, message)
    if refusal is not None:
        raise refusal
    return mapping.from_pb(message)


def unimplemented(what: str) -> Rejection:
    return Rejection(Code.UNIMPLEMENTED, f"{what} are not part of this version of swarmd")


def in_use_by(kind: str, name: str, services: Sequence[Service]) -> Rejection:
    """The refusal to remove what services refer to."""
    listed = ", ".join(service.spec.name for service in services[:SERVICES_LISTED_MAX])
    more = len(services) - SERVICES_LISTED_MAX
    plural = "s" if len(services) > 1 else ""
    return invalid(
        f"{kind} '{name}' is in use by the following service{plural}: {listed}"
        + (f" and {more} more" if more > 0 else "")
        + f"; update or remove {'them' if plural else 'it'} first"
    )
