"""Whether a node can take a task: the filters, in the order in which they are asked.

A node is refused by the first filter that fails, and that one is what people are told. What nodes
are by themselves is judged once per cell (`statics`); what is on them is asked before every
placement.
"""

from __future__ import annotations

from swarmd.orchestrator.scheduler.company import Company
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import has_room
from swarmd.orchestrator.scheduler.refusals import Refusal
from swarmd.orchestrator.scheduler.requirement import Requirement
from swarmd.orchestrator.scheduler.statics import Verdict, judge


class Filters:
    """The filters for one requirement over one fleet.

    Holds while only tasks of the requirement's own kind are added to the fleet.
    """

    def __init__(self, fleet: Fleet, requirement: Requirement) -> None:
        self.requirement = requirement
        self.kind = fleet.kind_like(requirement.kind)
        self.company: Company | None = None  # where it makes a difference
        if requirement.affinities:
            company = Company(requirement.affinities, self.kind, fleet)
            self.company = company if company.matters else None

    def refusal(self, info: NodeInfo, verdict: Verdict | None = None) -> Refusal | None:
        """The first filter by which the node refuses a task; None when it can take it.

        Args:
            verdict: what the node's cell answered, if that is known.
        """
        verdict = verdict or judge(info, self.requirement.statics)
        if not verdict.ready:
            return Refusal.NOT_READY
        if not has_room(info, self.requirement.size):
            return Refusal.RESOURCES
        if verdict.unfit is not None:
            return verdict.unfit
        crowding = self._crowding(info)
        if crowding is not None:
            return crowding
        if verdict.tainted:
            return Refusal.TAINT
        if self.company is not None and not self.company.suits(info):
            return Refusal.AFFINITY
        return None

    def takes(self, info: NodeInfo) -> bool:
        """Whether a node whose cell refuses nothing can take one more task now."""
        return self.has_place(info) and (self.company is None or self.company.suits(info))

    def has_place(self, info: NodeInfo) -> bool:
        """Whether what is on a node leaves place for one more task, whatever its company."""
        return has_room(info, self.requirement.size) and self._crowding(info) is None

    def can_ever(self, info: NodeInfo) -> bool:
        """Whether the node could take a task if nothing else were on it."""
        return judge(info, self.requirement.statics).fit

    def _crowding(self, info: NodeInfo) -> Refusal | None:
        requirement = self.requirement
        if requirement.ports and any(port in info.used_ports for port in requirement.ports):
            return Refusal.HOST_PORT
        limit = requirement.max_replicas
        if limit and info.active_of.get(self.kind.service_id, 0) >= limit:
            return Refusal.MAX_REPLICAS
        return None
