"""`swarmd.v1.Cluster`: questions about the cluster that the leader answers from its state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from swarmd.manager.control.core import SubmitsTransactions
from swarmd.manager.rehearsals import Rehearsals
from swarmd.manager.whatif_messages import move_to_pb
from swarmd.model.env import Env
from swarmd.model.errors import invalid
from swarmd.model.instant import Instant
from swarmd.model.states import TaskState
from swarmd.orchestrator.explain import Explanation, explain_service, explain_task
from swarmd.orchestrator.rebalance import Planned
from swarmd.orchestrator.rebalance.movable import is_move
from swarmd.orchestrator.rebalance.moves import begun
from swarmd.orchestrator.rebalance.policy import AHEAD_MAX
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.whatif.hypothesis import find_service
from swarmd.rpc.call import Call
from swarmd.rpc.pb import cluster as pb
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Create, Transaction
from swarmd.store.store import Store

CLUSTER = "swarmd.v1.Cluster"


class ClusterService:
    """Answers from one manager's replica.

    Args:
        read_barrier: returns once the replica holds everything acknowledged before the call.
        env: for tasks that begin moves.
        fleet: what the scheduler knows of the nodes, on the leader.
    """

    def __init__(
        self,
        view: Store,
        writer: SubmitsTransactions,
        *,
        clock: Clock,
        read_barrier: Callable[[], Awaitable[object]],
        env: Callable[[], Env],
        fleet: Callable[[], Fleet | None] = lambda: None,
    ) -> None:
        self._view = view
        self._writer = writer
        self._clock = clock
        self._read_barrier = read_barrier
        self._env = env
        self._fleet = fleet
        self._rehearsals = Rehearsals(view, clock=clock)
        self._moving = asyncio.Lock()  # or two requests would begin more moves than allowed

    async def Explain(self, call: Call, request: pb.ExplainRequest) -> pb.ExplainResponse:
        if not request.service_id and not request.task_id:
            raise invalid("invalid argument: the service or task to explain is missing")
        await self._read_barrier()
        now, fleet = Instant(self._clock.now()), self._fleet()
        if request.service_id:
            service = find_service(request.service_id, self._view)
            return _to_pb(explain_service(service, self._view, now, fleet))
        task = self._view.get_task(request.task_id)
        service = self._view.get_service(task.service_id)
        return _to_pb(explain_task(task, service, self._view, now, fleet))

    async def Simulate(self, call: Call, request: pb.SimulateRequest) -> pb.SimulateResponse:
        await self._read_barrier()
        return await self._rehearsals.simulate(request)

    async def Rebalance(self, call: Call, request: pb.RebalanceRequest) -> pb.RebalanceResponse:
        await self._read_barrier()
        if request.dry_run:
            return self._answer(await self._rehearsals.moves(tuple(request.services)), 0)
        async with self._moving:
            most = self._view.cluster().spec.scheduling.rebalance.max_moves
            under_way = sum(is_move(task, self._view) for task in self._view.tasks())
            if under_way >= most:  # nothing can be begun, so nothing needs to be planned
                return pb.RebalanceResponse(under_way=under_way)
            limit = most + AHEAD_MAX
            planned = await self._rehearsals.moves(tuple(request.services), limit)
            return self._answer(planned, await self._begin(planned))

    def _answer(self, planned: Planned, started: int) -> pb.RebalanceResponse:
        return pb.RebalanceResponse(
            moves=[move_to_pb(move, self._view) for move in planned.moves],
            started=started,
            under_way=len(planned.under_way) + started,
            notes=planned.notes,
        )

    async def _begin(self, planned: Planned) -> int:
        """Have as many moves made as may be under way; the planner sees to the rest."""
        cluster = self._view.cluster()
        room = cluster.spec.scheduling.rebalance.max_moves - len(planned.under_way)
        actions = []
        for move in planned.moves[: max(room, 0)]:
            service = self._view.find_service(move.task.service_id)
            task = self._view.find_task(move.task.id)
            same = task is not None and task.desired_state is TaskState.RUNNING
            if service is None or service.spec_version != move.spec_version or not same:
                break  # changed meanwhile: what follows is planned anew by the next call
            successor, reason = begun(move, service, cluster, self._env())
            actions.append(Create(successor, reason))
        if actions:
            await self._writer.submit(Transaction(tuple(actions), atomic=False))
        return len(actions)


def _to_pb(answer: Explanation) -> pb.ExplainResponse:
    return pb.ExplainResponse(
        reasons=answer.reasons,
        remedies=answer.remedies,
        service_id=answer.service.id,
        service_name=answer.service.spec.name,
        running=answer.running,
        wanted=answer.wanted,
        causes=[
            pb.Cause(reason=cause.reason, tasks=cause.tasks, count=cause.count)
            for cause in answer.causes
        ],
        verdicts=[
            pb.Verdict(
                filter=finding.filter,
                reason=finding.reason,
                remedy=finding.remedy,
                nodes=finding.nodes,
                count=finding.count,
            )
            for finding in answer.findings
        ],
        able=answer.able,
        nodes=answer.nodes,
    )
