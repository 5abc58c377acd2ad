"""Leases of containers: the keeper kills one whose node heard of no manager for too long.

The keeper is told of a container when its first process exists and has not begun with what it is
for. From then on the lease holds whatever becomes of the daemon (docs/design/agent.md, "Leases").
"""

from __future__ import annotations

from swarmd.agent.executors.base import TemporaryFailure
from swarmd.agent.executors.keeper_link import KeeperLink, KeeperLost
from swarmd.agent.leases import Leases
from swarmd.model.ids import TaskId
from swarmd.model.task import Task

_NO_WORD = "waits for word from a manager, without which it may not run"


class ContainerLeases:
    """The leases of a node's containers; tasks without one pass through."""

    def __init__(self, keeper: KeeperLink, leases: Leases) -> None:
        self._keeper = keeper
        self._leases = leases

    def hold(self, task: Task) -> None:
        """The task runs here, or is about to."""
        self._leases.hold(task.id, task.lease_ns)

    def drop(self, task_id: TaskId) -> None:
        self._leases.drop(task_id)

    def check(self, task: Task) -> None:
        """Refuse to bring up a task whose lease nobody keeps, or has run out.

        Raises:
            TemporaryFailure
        """
        if not task.lease_ns:
            return
        if "guard" not in self._keeper.facts.get("can", ()):
            raise TemporaryFailure(
                "the keeper of this node's tasks is of an earlier version that keeps no leases of "
                "containers; it is replaced when its other tasks have ended"
            )
        if not self._leases.is_valid(task.lease_ns):
            raise TemporaryFailure(_NO_WORD)

    async def guard(self, task: Task, directories: tuple[str, ...]) -> None:
        """Have the keeper keep the lease from now on; again is fine.

        Args:
            directories: of the container's cgroup, which exists.

        Raises:
            TemporaryFailure: the lease has run out, and what is in the cgroup is being killed; or
                nobody can keep it just now.
        """
        if not task.lease_ns:
            return
        try:
            answer = await self._keeper.request(
                "guard",
                id=task.id,
                lease_ns=task.lease_ns,
                contact=self._leases.contact,
                directories=directories,
            )
        except KeeperLost as error:
            raise TemporaryFailure(str(error)) from None
        if "error" in answer:
            raise TemporaryFailure(f"its lease can't be kept: {answer['error']['about']}")
        if answer.get("lapsed", True):
            raise TemporaryFailure(_NO_WORD)

    async def give_up(self, task: Task) -> None:
        """The container was not brought up after all, and is gone; the next attempt begins anew.

        Raises:
            TemporaryFailure: its lease ran out meanwhile, which explains whatever came of that.
        """
        if not task.lease_ns:
            return
        lapsed = await self.has_lapsed(task)
        self._keeper.tell("unguard", id=task.id)
        if lapsed:
            raise TemporaryFailure(_NO_WORD)

    async def has_lapsed(self, task: Task) -> bool:
        """Whether the keeper has killed the container, as far as it is there to tell."""
        if not task.lease_ns:
            return False
        try:
            answer = await self._keeper.request("guarded", id=task.id)
        except KeeperLost:
            return False
        return bool(answer.get("lapsed"))
