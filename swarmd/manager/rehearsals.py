"""What-if questions beside the leader's work: on a copy, in a thread, one at a time.

The loop only takes the list of records, which are shared and never change. The thread holds the
interpreter for no more than its switch interval at a time, so heartbeats and elections go on; a
question takes longer on a busy leader, and nothing else does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from swarmd.manager.validate import check_port_conflicts, check_service_spec, check_service_update
from swarmd.manager.validate.references import check_referenced, resolved
from swarmd.manager.whatif_messages import hypothesis_from_pb, outcome_to_pb
from swarmd.model.env import Env
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.instant import Instant
from swarmd.orchestrator.rebalance import Planned, plan_moves
from swarmd.orchestrator.whatif import Hypothesis, rehearse
from swarmd.orchestrator.whatif.hypothesis import ServiceCreated, ServiceUpdated, find_service
from swarmd.rpc.pb import cluster as pb
from swarmd.runtime.chance import RandomIds, system_rng
from swarmd.runtime.clock import Clock
from swarmd.runtime.garbage import present_left_out
from swarmd.store.changes import Object
from swarmd.store.store import Store

T = TypeVar("T")

WAITING_MAX = 4
HYPOTHESES_MAX = 100


class Rehearsals:
    """Answers questions that take too long for the leader's loop."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def simulate(self, request: pb.SimulateRequest) -> pb.SimulateResponse:
        """What would become of the state of this moment.

        Raises:
            Rejection: a hypothesis cannot come true, or too many questions wait already.
        """
        if not request.hypotheses:
            raise invalid("invalid argument: say what happens, such as a node that goes down")
        if len(request.hypotheses) > HYPOTHESES_MAX:
            raise invalid(f"no more than {HYPOTHESES_MAX} things can happen in one question")
        supposed = [self._checked(hypothesis_from_pb(item)) for item in request.hypotheses]

        def answer(index: int, records: list[Object], env: Env) -> pb.SimulateResponse:
            return outcome_to_pb(rehearse(index, records, supposed, env))

        return await self._in_turn(
            lambda: asyncio.to_thread(answer, self._store.index, self._store.records(), self._env())
        )

    async def moves(self, services: tuple[str, ...], limit: int | None = None) -> Planned:
        """The moves that a rebalance would make now, of all services or those named by id or name.

        Raises:
            Rejection: there is no such service, or too many questions wait already.
        """
        wanted = tuple(find_service(word, self._store).id for word in services)

        def answer(index: int, records: list[Object], now: Instant) -> Planned:
            copy = Store()
            copy.restore(index, records)
            if limit is None:
                return plan_moves(copy, now, services=wanted)
            return plan_moves(copy, now, services=wanted, limit=limit)

        return await self._in_turn(
            lambda: asyncio.to_thread(
                answer, self._store.index, self._store.records(), Instant(self._clock.now())
            )
        )

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Rejection(
                Code.RESOURCE_EXHAUSTED,
                f"{WAITING_MAX} simulations are being made already; try again later",
            )
        self._waiting += 1
        try:
            async with self._turn:
                # A full collection stops every thread, the leader's too.
                with present_left_out():
                    return await work()
        finally:
            self._waiting -= 1

    def _checked(self, hypothesis: Hypothesis) -> Hypothesis:
        """A hypothesis whose spec would be accepted."""
        match hypothesis:
            case ServiceCreated(spec=spec):
                check_service_spec(spec)
                spec = resolved(spec, self._store)
                check_port_conflicts(spec.endpoint_spec, self._store.services())
                check_referenced(spec, self._store)
                return ServiceCreated(spec)
            case ServiceUpdated(service=word, spec=spec):
                old = find_service(word, self._store)
                check_service_spec(spec)
                spec = resolved(spec, self._store)
                check_service_update(old.spec, spec)
                services = self._store.services()
                check_port_conflicts(spec.endpoint_spec, services, own_id=old.id)
                check_referenced(spec, self._store)
                return ServiceUpdated(old.id, spec)
            case _:
                return hypothesis

    def _env(self) -> Env:
        rng = system_rng()
        return Env(Instant(self._clock.now()), RandomIds(rng), rng)
