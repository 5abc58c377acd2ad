"""Many simulated nodes in one process: they join, stay in session, and end together."""

from __future__ import annotations

import asyncio
import random

from swarmd.model.errors import Rejection
from swarmd.rpc.errors import RpcError
from tests.bench.swarm.agent import SimulatedAgent
from tests.bench.swarm.board import Board
from tests.bench.swarm.enrol import Enrolment
from tests.bench.swarm.keys import KeyPair

JOINING_MAX = 64  # nodes on their way in at a time


class Fleet:
    """Joins one node per key when started.

    Args:
        addresses: the managers that nodes are told to join at.
        seed: of every choice the nodes make.
    """

    def __init__(self, pairs: list[KeyPair], addresses: list[str], token: str, seed: int) -> None:
        self.board = Board()
        self.agents: list[SimulatedAgent] = []
        self._pairs = pairs
        self._addresses = addresses
        self._enrolment = Enrolment(addresses, token)
        self._seed = seed
        self._joining = asyncio.Semaphore(JOINING_MAX)

    async def run(self) -> None:
        """Join all nodes and keep them in session until cancelled."""
        async with asyncio.TaskGroup() as nodes:
            for number, pair in enumerate(self._pairs):
                nodes.create_task(self._node(number, pair))

    async def _node(self, number: int, pair: KeyPair) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        try:
            async with self._joining:
                identity = await self._enrolment.enrol(pair, rng)
        except (RpcError, Rejection) as error:
            self.board.failed.append(str(error))
            return
        agent = SimulatedAgent(identity, self._addresses, board=self.board, rng=rng)
        self.agents.append(agent)
        await agent.run()
