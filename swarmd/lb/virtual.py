"""What a back end for virtual addresses must do. All of them pass one suite of contract tests.

A virtual address works in the namespaces of the tasks that may use it. The back end is handed the
tables of this node's networks and which namespace is on which of them, and brings every namespace
in line; what it could not do is reported and tried again with the next call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from swarmd.model.ids import NetworkId
from swarmd.network.core.tables import NetworkTable


class Tended(Struct, frozen=True):
    """What looking after the kernel's state came to."""

    repaired: int = 0  # namespaces in which somebody else had changed what is ours
    problems: tuple[str, ...] = ()


class VirtualBalancer(Protocol):
    """A back end. Its methods are called from one event loop, one at a time."""

    name: str

    async def apply(
        self,
        tables: Mapping[NetworkId, NetworkTable],
        members: Mapping[Path, tuple[NetworkId, ...]],
    ) -> tuple[str, ...]:
        """Have each namespace of `members` reach the services of its networks; answers problems.

        Open connections go on until their task has left the table; `forget` then cuts them off.
        The namespaces that are no longer among the members are left alone: they end.
        """
        ...

    async def attend(self, path: Path, networks: tuple[NetworkId, ...]) -> tuple[str, ...]:
        """Have one namespace more, which nothing is known of, by the tables told last.

        What `apply` would do for it, at the cost of one, however many there are; answers problems.
        """
        ...

    async def tend(self) -> Tended:
        """To be called each second: repairs what drifted."""
        ...

    async def move(self) -> bool:
        """Have UDP clients of tasks that left begin anew with others.

        It takes a while on a machine with many connections, and may be under way while the other
        methods are called. Answers whether there are more, which aren't due yet.
        """
        ...

    async def forget(self) -> bool:
        """Cut off what leads to tasks that have left the tables; as `move` else."""
        ...

    @property
    def moving(self) -> Mapping[NetworkId, int]:
        """Networks in which tasks that left may still get datagrams of clients they had.

        For each the lowest version of its table at which one of these may have left.
        """
        ...
