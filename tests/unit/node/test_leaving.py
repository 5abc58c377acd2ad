"""Who is told that a node leaves."""

from __future__ import annotations

from typing import Any

from swarmd.agent.remotes import Remote
from swarmd.model.errors import Code
from swarmd.node.leaving import tell_managers
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import cluster as pb


class Line(Channel):
    """A channel to a manager that answers, or does not."""

    def __init__(self, address: str, *, answers: bool) -> None:
        super().__init__(address)
        self.answers = answers
        self.told = self.closed = False

    def stub(self, service: str) -> Any:
        return self

    async def Leave(self, request: object, *, timeout_s: float) -> pb.LeaveClusterResponse:
        if not self.answers:
            raise RpcError(Code.UNAVAILABLE, "nobody is there")
        self.told = True
        return pb.LeaveClusterResponse()

    async def close(self) -> None:
        self.closed = True
        await super().close()


async def leave(*answering: bool) -> tuple[bool, list[Line]]:
    lines: list[Line] = []

    def dial(address: str) -> Line:
        lines.append(Line(address, answers=answering[len(lines)]))
        return lines[-1]

    remotes = [Remote(f"10.0.0.{number}:2377") for number in range(len(answering))]
    return await tell_managers(remotes, dial), lines


async def test_the_next_manager_is_told_when_one_does_not_answer() -> None:
    told, lines = await leave(False, True, True)
    assert told
    assert [line.told for line in lines] == [False, True], "the third need not be asked"
    assert all(line.closed for line in lines)


async def test_nobody_may_be_there_to_be_told() -> None:
    told, lines = await leave(False, False)
    assert not told
    assert len(lines) == 2
