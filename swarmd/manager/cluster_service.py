"""`swarmd.v1.Cluster`: questions about the cluster that the leader answers from its state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarmd.model.errors import invalid, not_found
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.orchestrator.explain import Explanation, explain_service, explain_task
from swarmd.rpc.call import Call
from swarmd.rpc.pb import cluster as pb
from swarmd.runtime.clock import Clock
from swarmd.store.view import View

CLUSTER = "swarmd.v1.Cluster"


class ClusterService:
    """Answers from one manager's replica.

    Args:
        read_barrier: returns once the replica holds everything acknowledged before the call.
    """

    def __init__(
        self, view: View, *, clock: Clock, read_barrier: Callable[[], Awaitable[object]]
    ) -> None:
        self._view = view
        self._clock = clock
        self._read_barrier = read_barrier

    async def Explain(self, call: Call, request: pb.ExplainRequest) -> pb.ExplainResponse:
        if not request.service_id and not request.task_id:
            raise invalid("invalid argument: the service or task to explain is missing")
        await self._read_barrier()
        now = Instant(self._clock.now())
        if request.service_id:
            return _to_pb(explain_service(self._service(request.service_id), self._view, now))
        task = self._view.get_task(request.task_id)
        service = self._view.get_service(task.service_id)
        return _to_pb(explain_task(task, service, self._view, now))

    def _service(self, word: str) -> Service:
        service = self._view.find_service(word) or self._view.find_service_by_name(word)
        if service is None:
            raise not_found("service", word)
        return service


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
