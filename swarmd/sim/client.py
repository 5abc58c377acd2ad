"""Clients of a simulated swarm: they call managers over the network and note what they were told.

A client goes to any manager, changes to another when one fails it, and never knows more than its
answers say. Each call becomes an operation in a ledger: what it asked, when it began and ended,
and whether it happened for certain, did not for certain, or may have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Any, NamedTuple

from swarmd.manager.manager import CONTROL
from swarmd.model.errors import Code
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.spec import ServiceSpec
from swarmd.model.states import FailureAction
from swarmd.rpc.convert import (
    node_from_pb,
    node_spec_to_pb,
    service_from_pb,
    service_spec_to_pb,
)
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import control as pb
from swarmd.rpc.tls import GRPC_ALPN
from swarmd.sim.daemon import SimChannel
from swarmd.sim.identity import certificate
from swarmd.sim.linearizable import Operation
from swarmd.sim.loop import ProcessLoop
from swarmd.sim.network import Endpoint, Network, SimContext
from swarmd.sim.parts import MachineClock
from swarmd.sim.timeline import Timeline

REVISION = "revision"  # the label that tells one spec of a service from another
ABSENT = "-"
PATIENCE_S = 6.0  # for one call

# Answers after which a request has certainly had no effect.
_REFUSALS = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.FAILED_PRECONDITION,
        Code.RESOURCE_EXHAUSTED,
        Code.UNIMPLEMENTED,
    }
)


class Outcome(Enum):
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Answer(NamedTuple):
    outcome: Outcome
    message: Any = None
    error: RpcError | None = None


class Ledger:
    """Everything clients were told about each service, by its name."""

    def __init__(self) -> None:
        self.histories: dict[str, list[Operation]] = {}
        self.done = 0
        self.unknown = 0

    def add(self, name: str, operation: Operation) -> None:
        self.histories.setdefault(name, []).append(operation)
        if operation.end is None:
            self.unknown += 1
        else:
            self.done += 1


class Client:
    """One client process on a machine of its own.

    Args:
        managers: their addresses, as of now.
    """

    def __init__(
        self,
        timeline: Timeline,
        network: Network,
        ledger: Ledger,
        *,
        name: str,
        host: str,
        managers: Callable[[], tuple[str, ...]],
    ) -> None:
        self.name, self.host = name, host
        self.rng: Random = timeline.rng(f"client:{name}")
        self.ledger = ledger
        self._timeline = timeline
        self._managers = managers
        self._clock = MachineClock(timeline).of_process()
        shown = certificate(name, manager=True)
        self._context = SimContext.make(shown, GRPC_ALPN)
        self.loop = ProcessLoop(
            timeline, name, block_s=lambda: 0.001, endpoint=Endpoint(network, host, shown)
        )
        self._channel: SimChannel | None = None
        self._serial = 0

    def revision(self) -> str:
        """A value that no other spec has."""
        self._serial += 1
        return f"{self.name}.{self._serial}"

    # --- services

    async def create(self, spec: ServiceSpec) -> Service | None:
        """Create a service whose spec has a revision; None unless it is certain."""
        request = pb.CreateServiceRequest(spec=service_spec_to_pb(spec))
        step = (ABSENT, spec.labels[REVISION])
        answer = await self._write("CreateService", request, spec.name, "cas", step)
        return service_from_pb(answer.message.service) if answer.message else None

    async def update(self, known: Service, spec: ServiceSpec) -> Service | None:
        """Give a service another spec, based on what is known of it."""
        began = self._timeline.now
        request = pb.UpdateServiceRequest(service_id=known.id, spec=service_spec_to_pb(spec))
        request.service_version.index = known.version
        step = (known.spec.labels[REVISION], spec.labels[REVISION])
        answer = await self._write("UpdateService", request, spec.name, "cas", step)
        if answer.outcome is not Outcome.REFUSED and _may_roll_back(spec):
            # The swarm itself may go back to the spec that was replaced, whenever it likes.
            self.ledger.add(spec.name, Operation("cas", step[::-1], None, began, None))
        return service_from_pb(answer.message.service) if answer.message else None

    async def remove(self, known: Service) -> bool:
        """Remove a service; whether it certainly is."""
        request = pb.RemoveServiceRequest(service_id=known.id)
        answer = await self._write("RemoveService", request, known.spec.name, "set", (ABSENT,))
        return answer.outcome is Outcome.DONE or _not_found(answer)

    async def find(self, name: str) -> tuple[bool, Service | None]:
        """The service of that name: whether that is certain, and None if there is none."""
        request = pb.ListServicesRequest()
        request.filters.names.append(name)
        start = self._timeline.now
        answer = await self.call("ListServices", request)
        if answer.outcome is not Outcome.DONE:
            return False, None
        found = [service_from_pb(message) for message in answer.message.services]
        service = next((s for s in found if s.spec.name == name), None)
        seen = service.spec.labels[REVISION] if service is not None else ABSENT
        self.ledger.add(name, Operation("read", (), seen, start, self._timeline.now))
        return True, service

    # --- nodes

    async def change_node(self, node_id: str, change: Callable[[Node], Node]) -> bool:
        """Change what the operator wants of a node; whether it is certain."""
        answer = await self.call("GetNode", pb.GetNodeRequest(node_id=node_id))
        if answer.outcome is not Outcome.DONE:
            return False
        node = node_from_pb(answer.message.node)
        spec = node_spec_to_pb(change(node).spec)
        request = pb.UpdateNodeRequest(node_id=node_id, spec=spec)
        request.node_version.index = node.version
        return (await self.call("UpdateNode", request)).outcome is Outcome.DONE

    # --- calls

    async def call(self, method: str, request: Any, *, service: str = CONTROL) -> Answer:
        """One call to a manager, tried once."""
        channel = self._channel
        if channel is None:
            address = self.rng.choice(self._managers())
            channel = self._channel = SimChannel(address, self._context, self._clock)
        try:
            message = await getattr(channel.stub(service), method)(request, timeout_s=PATIENCE_S)
        except RpcError as error:
            outcome = _outcome(error)
            self._timeline.tell(
                self.name, f"{method}: {outcome.value}: {error.code.name} {error.message}"
            )
            if outcome is Outcome.UNKNOWN or error.code is Code.UNAVAILABLE:
                self._channel = None
                await channel.close()
            return Answer(outcome, error=error)
        return Answer(Outcome.DONE, message)

    async def _write(
        self, method: str, request: Any, name: str, kind: str, step: tuple[str, ...]
    ) -> Answer:
        start = self._timeline.now
        self._timeline.tell(self.name, f"{method} {name} {' -> '.join(step)}")
        answer = await self.call(method, request)
        if answer.outcome is Outcome.DONE:
            self._timeline.tell(self.name, f"{method} {name} {step[-1]}: done")
            self.ledger.add(name, Operation(kind, step, step[-1], start, self._timeline.now))
        elif answer.outcome is Outcome.UNKNOWN:
            self.ledger.add(name, Operation(kind, step, None, start, None))
        return answer

    async def pause(self, shortest_s: float, longest_s: float) -> None:
        await asyncio.sleep(self.rng.uniform(shortest_s, longest_s))


def _outcome(error: RpcError) -> Outcome:
    if error.unprocessed or error.code in _REFUSALS:
        return Outcome.REFUSED
    if "update out of sequence" in error.message:
        return Outcome.REFUSED
    return Outcome.UNKNOWN


def _not_found(answer: Answer) -> bool:
    return answer.error is not None and answer.error.code is Code.NOT_FOUND


def _may_roll_back(spec: ServiceSpec) -> bool:
    config = spec.update_config
    return config is not None and config.failure_action is FailureAction.ROLLBACK
