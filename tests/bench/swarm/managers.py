"""The managers under load, whatever program they are."""

from __future__ import annotations

from typing import Protocol

from swarmd.rpc.channel import Channel


class Managers(Protocol):
    """Some managers of one cluster, on machines of their own, by name.

    They take no tasks themselves. `pids` are those of the managers that run.
    """

    title: str
    pids: dict[str, int]

    async def start(self) -> None:
        """Found the cluster with the first manager and have the others join."""
        ...

    def address(self, name: str) -> str:
        """Where a manager serves nodes, host:port."""
        ...

    def control(self, name: str) -> Channel:
        """A channel to the control socket of a manager; it offers the Control API."""
        ...

    def kill(self, name: str) -> None:
        """End a manager as a power cut would."""
        ...

    def given_up(self) -> int | None:
        """How often a node was taken for dead so far; None if this program doesn't say."""
        ...

    async def stop(self) -> None:
        """End everything that was started; safe to call whatever happened before."""
        ...
