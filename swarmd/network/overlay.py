"""An overlay network on this node, kept in line with its table.

Level by level: each table, each task and each look from time to time leads to the same comparison
of what is there with what should be. Whatever was changed behind our back since the last comparison
is put right and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path

from swarmd.model.ids import NodeId, TaskId
from swarmd.network.core.interfaces import Interface, port_of
from swarmd.network.core.overlay_plan import Port, Underlay, Wanted, wanted
from swarmd.network.core.tables import NetworkTable
from swarmd.network.overlay_space import Outcome, OverlaySpace
from swarmd.network.plugging import Plug

log = logging.getLogger(__name__)


class Overlay:
    """One network. Its methods are called from one event loop.

    Args:
        spared: names of ports that may belong to tasks this daemon has not taken over yet.
    """

    def __init__(
        self,
        table: NetworkTable,
        *,
        path: Path,
        node_id: NodeId,
        underlay: Underlay,
        node: Path | None = None,
        spared: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.table = table
        self.path = path
        self.repaired = 0  # how often something of ours was found changed
        self.problems: tuple[str, ...] = ()
        self._node_id = node_id
        self._underlay = underlay
        self._space = OverlaySpace(path, node=node)
        self._spared = spared
        self._plugs: dict[Port, Plug] = {}
        self._tasks: dict[TaskId, Port] = {}
        self._wanted: tuple[NetworkTable, Wanted] | None = None
        self._is_settled = False  # the last comparison left nothing to be done
        self._lock = asyncio.Lock()

    @property
    def tasks(self) -> frozenset[TaskId]:
        """The tasks that are connected, or should be."""
        return frozenset(self._tasks)

    @property
    def mtu(self) -> int:
        return self._target().mtu

    async def apply(self, table: NetworkTable) -> None:
        """Go by `table` from now on; problems are noted and tried again."""
        if table is self.table and self._is_settled:
            return
        self.table = table
        self._is_settled = False
        async with self._lock:
            if not self._is_settled:
                await self._bring()

    async def use(self, underlay: Underlay) -> None:
        """Go by another underlay from now on."""
        async with self._lock:
            self._underlay = underlay
            self._wanted = None
            self._is_settled = False
            await self._bring()

    async def attach(self, task_id: TaskId, namespace: Path, interface: Interface) -> None:
        """Connect a task; again is fine, and connects what isn't.

        Raises:
            OSError: it cannot be connected, with a sentence that says why.
        """
        port = port_of(task_id, interface)
        plug = Plug(namespace=namespace, interface=interface)
        async with self._lock:
            self._tasks[task_id] = port
            is_new = self._plugs.get(port) != plug
            self._plugs[port] = plug
            if self._is_settled and await self._connect(port, plug if is_new else None):
                return
            await self._bring()
            if self.problems:
                raise OSError("; ".join(self.problems))

    def adopt(self, task_id: TaskId, namespace: Path, interface: Interface) -> None:
        """Note a task that an earlier run of the daemon has connected."""
        port = port_of(task_id, interface)
        self._tasks[task_id] = port
        self._plugs[port] = Plug(namespace=namespace, interface=interface)
        self._is_settled = False

    def detach(self, task_id: TaskId) -> None:
        """Forget a task that has ended; one that isn't connected is fine.

        Its interface goes with its namespace. Deleting it by itself would take the kernel longer
        than all of attaching; should something keep the namespace, the next comparison does it.
        """
        port = self._tasks.pop(task_id, None)
        if port is not None:
            self._plugs.pop(port, None)

    async def tend(self) -> None:
        """Compare, and put right what was changed, or couldn't be done before."""
        async with self._lock:
            await self._bring()

    async def remove(self) -> None:
        """Take the network away from this node.

        Raises:
            OSError: the kernel refuses.
        """
        async with self._lock:
            self._tasks.clear()
            self._plugs.clear()
            self._is_settled = False
            await asyncio.to_thread(self._space.remove)

    async def _connect(self, port: Port, plug: Plug | None) -> bool:
        """Connect a task where everything else is in place; None: it was before."""
        try:
            if plug is None:
                return await asyncio.to_thread(self._space.has, port)
            await asyncio.to_thread(self._space.plug, self._target(), port, plug)
        except OSError as error:
            log.info("network.unsettled network=%s reason=%s", self.table.name, error)
            return False
        return True

    def _target(self) -> Wanted:
        if self._wanted is None or self._wanted[0] is not self.table:
            self._wanted = (self.table, wanted(self.table, self._node_id, self._underlay))
        return self._wanted[1]

    async def _bring(self) -> None:
        table = self.table
        try:
            outcome = await asyncio.to_thread(
                self._space.bring, self._target(), dict(self._plugs), self._spared()
            )
        except OSError as error:
            outcome = Outcome(problems=(f"its namespace {self.path} can't be used: {error}",))
        if outcome.changed and self._is_settled:
            self.repaired += outcome.changed
            log.warning("network.repaired network=%s things=%d", table.name, outcome.changed)
        problems = tuple(f"network {table.name}: {problem}" for problem in outcome.problems)
        for problem in set(problems) - set(self.problems):
            log.warning("network.problem %s", problem)
        self.problems = problems
        self._is_settled = not problems and table is self.table
